// What a hook could not be told: one JSON line an event, with every attempt, appended in one write and on disk before
// the cursor passes it. The event's line stands in it unchanged, so that nothing of it is lost.

import FoundationEssentials
import Glibc
import Notifications
import Platform

/// One event that was given up.
package struct DeadLetter: Sendable {
    /// The event's line.
    package let event: Event
    package let failures: [FailedAttempt]
    /// The line in the file.
    let line: [UInt8]
}

/// Where events go that a hook gives up.
package protocol GivenUpEvents {
    /// Takes an event: it is nowhere else from then on.
    ///
    /// - Parameter cameBack: whether it had been given up before.
    /// - Returns: what became of it, in words.
    /// - Throws: where it can't be kept; then it is tried again.
    func add(_ event: Event, _ failures: [FailedAttempt], cameBack: Bool) throws -> String
    /// An event was done that had been given up before.
    ///
    /// - Throws: where it can't be taken out.
    func settle(_ event: Event) throws
}

/// A hook's dead letters.
package struct DeadLetters: GivenUpEvents, Sendable {
    /// The file, one line an event.
    package let path: String
    private let hook: String

    /// The most bytes of a file of dead letters that are read.
    private static let limit = 1 << 30

    package init(hook: String, state: String) {
        self.hook = hook
        path = "\(state)/dead/\(hook).jsonl"
    }

    private struct Line: Codable {
        struct Attempt: Codable {
            let time: String
            let outcome: String
        }
        let hook: String
        let event: [String: String]
        let attempts: [Attempt]
        /// The event's line as it was read.
        let line: String
    }

    /// Adds an event, durably; one that came back takes its own place.
    ///
    /// - Throws: `SystemError`, with the file as it was, or with a torn line at its end that is passed over.
    package func add(_ event: Event, _ failures: [FailedAttempt], cameBack: Bool) throws -> String {
        let fields = Dictionary(event.fields.map { ($0.0.rawValue, $0.1) }) { $1 }
        let letter = Line(
            hook: hook, event: fields,
            attempts: failures.map { Line.Attempt(time: $0.time, outcome: $0.outcome) },
            line: String(decoding: event.line, as: UTF8.self))
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let bytes = Array(try encoder.encode(letter)) + [UInt8(ascii: "\n")]
        if cameBack { try replace([event.identifier], by: bytes) } else { try append(bytes) }
        return "put with the dead letters"
    }

    private func append(_ line: [UInt8]) throws(SystemError) {
        var bytes = line
        try Files.makeDirectories(Files.parentPath(of: path), mode: 0o700)
        let file = try OwnedDescriptor(opening: path, O_RDWR | O_CREAT | O_APPEND, mode: 0o600)
        var information = stat()
        var last: UInt8 = 0
        if fstat(file.raw, &information) == 0, information.st_size > 0,
            pread(file.raw, &last, 1, information.st_size - 1) == 1, last != UInt8(ascii: "\n")
        {
            bytes.insert(UInt8(ascii: "\n"), at: 0)
        }
        try Files.writeAll(bytes, to: file.raw, path: path)
        guard fdatasync(file.raw) == 0 else { throw SystemError("sync", path) }
        if information.st_size == 0 { try Files.syncDirectory(of: path) }
    }

    /// All of them, the oldest first; what is no dead letter is passed over.
    ///
    /// - Throws: `SystemError`.
    package func all() throws(SystemError) -> [DeadLetter] {
        let bytes: [UInt8]
        do throws(SystemError) { bytes = try Files.read(path, limit: Self.limit) } catch {
            if error.code == ENOENT { return [] }
            throw error
        }
        return bytes.split(separator: UInt8(ascii: "\n")).compactMap { line in
            guard let letter = try? JSONDecoder().decode(Line.self, from: Data(line)),
                let event = try? Event(line: Array(letter.line.utf8))
            else { return nil }
            return DeadLetter(
                event: event,
                failures: letter.attempts.map { FailedAttempt(time: $0.time, outcome: $0.outcome) },
                line: Array(line))
        }
    }

    /// How many there are.
    package var count: Int { (try? all().count) ?? 0 }

    package func settle(_ event: Event) throws { try remove([event.identifier]) }

    /// Removes the events of these identifiers, in one step.
    ///
    /// - Returns: how many there were of them.
    /// - Throws: `SystemError`; then all are still there.
    @discardableResult
    package func remove(_ identifiers: Set<String>) throws(SystemError) -> Int {
        try replace(identifiers, by: [])
    }

    @discardableResult
    private func replace(_ identifiers: Set<String>, by line: [UInt8]) throws(SystemError) -> Int {
        let letters = try all()
        let kept = letters.filter { !identifiers.contains($0.event.identifier) }
        if kept.count < letters.count || !line.isEmpty {
            try Files.replace(
                path, with: kept.flatMap { $0.line + [UInt8(ascii: "\n")] } + line, mode: 0o600)
        }
        return letters.count - kept.count
    }
}
