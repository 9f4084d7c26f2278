// What a hook could not be told, for the daemon that has the file. An event is on disk before the cursor passes it. What
// leaves is gathered, and the file written anew now and then: it may be long, and everything else waits meanwhile.

import Notifications
import Platform

/// Where events go that a hook gives up.
package protocol GivenUpEvents {
    /// Takes an event: it is nowhere else from then on.
    ///
    /// - Parameter cameBack: whether it had been given up before.
    /// - Returns: what became of it, in words.
    /// - Throws: where it can't be kept; then it is tried again.
    func add(_ event: Event, _ failures: [FailedAttempt], cameBack: Bool) throws -> String
    /// An event was done that had been given up before.
    func settle(_ event: Event)
}

extension RequestError {
    /// There is no such dead letter.
    package static func noDeadLetter(_ identifier: String, hook: String) -> RequestError {
        RequestError("\(hook) has no dead letter \(identifier)", .missing)
    }
}

/// A hook's dead letters.
final class DeadLetters: GivenUpEvents {
    private let hook: String
    private let file: DeadLetterFile

    /// What is to leave the file: the events' identifiers, and before which place their lines begin.
    private var settled: [String: Int64] = [:]
    /// The file is not written before, of `MonotonicClock`.
    private var notBefore: UInt64 = 0
    private static let interval: UInt64 = 1_000_000_000
    private static let patience: UInt64 = 10_000_000_000

    /// What is to be delivered once more, and from where on in the file it is looked for.
    private var waiting: Set<String> = []
    private var position: Int64 = 0
    /// What the hook was given of it, and is not done with.
    private var underWay: Set<String> = []
    /// So many at a time, or so many bytes: new events must not have to wait for all of them.
    private static let batch = 100
    private static let batchSize = 1 << 20

    init(hook: String, state: String) {
        self.hook = hook
        file = DeadLetterFile(hook: hook, state: state)
    }

    // MARK: In and out

    /// Adds an event, durably; one that came back takes its own place.
    ///
    /// - Throws: `SystemError`, with the file as it was, or with a torn line at its end that is passed over.
    func add(_ event: Event, _ failures: [FailedAttempt], cameBack: Bool) throws -> String {
        let begin = try file.append(event, failures)
        if cameBack || settled[event.identifier] != nil { settled[event.identifier] = begin }
        if cameBack { underWay.remove(event.identifier) }
        return "put with the dead letters"
    }

    func settle(_ event: Event) {
        settled[event.identifier] = .max
        underWay.remove(event.identifier)
    }

    /// Removes events at once.
    ///
    /// - Parameter identifiers: nil: all.
    /// - Throws: `SystemError`; then all are still there.
    func remove(_ identifiers: [String]?) throws(SystemError) {
        let removed = identifiers.map { Set($0) }
        try write { identifier in removed?.contains(identifier) ?? true }
        waiting = removed.map { waiting.subtracting($0) } ?? []
    }

    /// When `write` is wanted; nil where it isn't.
    var deadline: UInt64? { settled.isEmpty ? nil : notBefore }

    /// Takes out of the file what has left.
    ///
    /// - Throws: `SystemError`; then it is tried again later.
    func write() throws(SystemError) {
        if !settled.isEmpty { try write { _ in false } }
    }

    private func write(alsoWithout isRemoved: (_ identifier: String) -> Bool) throws(SystemError) {
        let start = MonotonicClock.nanoseconds()
        notBefore = start + Self.patience
        var position = position
        try file.removeLines { identifier, begin, length in
            guard hasLeft(identifier, begin) || isRemoved(identifier) else { return false }
            if begin < self.position { position -= length }
            return true
        }
        self.position = position
        settled = [:]
        // However long the file: most of the time is for other things.
        let end = MonotonicClock.nanoseconds()
        notBefore = end + max(Self.interval, 10 * (end - start))
    }

    private func hasLeft(_ identifier: String, _ begin: Int64) -> Bool {
        settled[identifier].map { begin < $0 } ?? false
    }

    // MARK: Once more

    /// Lets events be delivered once more.
    ///
    /// - Parameter identifiers: nil: all.
    /// - Returns: how many.
    /// - Throws: `RequestError` where one isn't there, or they can't be read.
    func replay(_ identifiers: [String]?) throws(RequestError) -> Int {
        var known: Set<String> = []
        do throws(SystemError) {
            try file.forEachLine { line, begin in
                if let identifier = DeadLetterFile.identifier(of: line), !hasLeft(identifier, begin) {
                    known.insert(identifier)
                }
                return true
            }
        } catch { throw RequestError(error.description) }
        for identifier in identifiers ?? [] where !known.contains(identifier) {
            throw .noDeadLetter(identifier, hook: hook)
        }
        // Those that the hook has already are not given to it twice.
        let new = (identifiers.map { Set($0) } ?? known).subtracting(underWay).subtracting(waiting)
        waiting.formUnion(new)
        position = 0
        return new.count
    }

    /// The hook begins anew: what it had comes again.
    func takeBack() {
        waiting.formUnion(underWay)
        underWay = []
        position = 0
    }

    /// The next ones to be delivered once more, as many as are good to be given to the hook now.
    ///
    /// - Throws: `SystemError`; then they are no more waited for.
    func next() throws(SystemError) -> [DeadLetter] {
        guard !waiting.isEmpty, underWay.count < Self.batch else { return [] }
        var letters: [DeadLetter] = []
        var size = 0
        var isAtEnd = true
        do throws(SystemError) {
            try file.forEachLine(from: position) { line, begin in
                position = begin + Int64(line.count) + 1
                guard let identifier = DeadLetterFile.identifier(of: line), !hasLeft(identifier, begin),
                    waiting.remove(identifier) != nil,
                    let letter = DeadLetterFile.letter(line, of: identifier)
                else { return true }
                underWay.insert(identifier)
                letters.append(letter)
                size += line.count
                isAtEnd = letters.count < Self.batch && size < Self.batchSize
                return isAtEnd
            }
        } catch {
            waiting = []
            throw error
        }
        if isAtEnd { waiting = [] }
        return letters
    }
}
