// A hook's dead letters as they lie on the disk: one JSON line an event, with every attempt. The event's line stands in
// it unchanged, so that nothing of it is lost, and its identifier, which for a line of the original DUCC depends on where
// that stood. There may be many: they are read as a stream, and what is no dead letter is left as it is.

import FoundationEssentials
import Glibc
import Notifications
import Platform

/// One event that was given up.
package struct DeadLetter: Sendable {
    /// The event.
    package let event: Event
    package let failures: [FailedAttempt]
}

/// The file of a hook's dead letters.
package struct DeadLetterFile: Sendable {
    /// The file, one line an event.
    package let path: String
    private let hook: String

    /// More bytes than a dead letter can have.
    private static let longestLine = 256 << 20
    private static let chunk = 256 << 10

    package init(hook: String, state: String) {
        self.hook = hook
        path = "\(state)/dead/\(hook).jsonl"
    }

    // MARK: A line

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

    private struct Identity: Codable {
        let identifier: String
        enum CodingKeys: String, CodingKey { case identifier = "event_id" }
    }

    /// What a line begins with: so the event's identifier is found without the rest being understood.
    private static let beginning = Array(#"{"event_id":""#.utf8)
    private static let ending = Array(#""}"#.utf8)

    private static func line(_ letter: Line, of identifier: String) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let identity = try encoder.encode(Identity(identifier: identifier))
        return try identity.dropLast() + [UInt8(ascii: ",")] + encoder.encode(letter).dropFirst()
            + [UInt8(ascii: "\n")]
    }

    /// The identifier of a dead letter's event; nil where a line is none.
    static func identifier(of line: [UInt8]) -> String? {
        if line.starts(with: beginning), line.suffix(ending.count).elementsEqual(ending) {
            let rest = line[beginning.count...]
            let end = rest.firstIndex { $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") }
            if let end, line[end] == UInt8(ascii: "\"") {
                return String(decoding: rest[..<end], as: UTF8.self)
            }
        }
        // Written by others, or with something escaped in it.
        guard let letter = try? JSONDecoder().decode(Line.self, from: Data(line)) else { return nil }
        if let identity = try? JSONDecoder().decode(Identity.self, from: Data(line)) {
            return identity.identifier
        }
        return (try? Event(line: Array(letter.line.utf8)))?.identifier
    }

    static func letter(_ line: [UInt8], of identifier: String) -> DeadLetter? {
        guard let letter = try? JSONDecoder().decode(Line.self, from: Data(line)),
            let event = try? Event(line: Array(letter.line.utf8), identifier: identifier)
        else { return nil }
        return DeadLetter(
            event: event,
            failures: letter.attempts.map { FailedAttempt(time: $0.time, outcome: $0.outcome) })
    }

    // MARK: Reading

    /// Goes through the lines.
    ///
    /// - Parameters:
    ///   - start: where a line begins.
    ///   - body: gets each without its line feed, and where it begins; says whether to go on.
    /// - Throws: `SystemError`; no file is one without lines.
    func forEachLine(
        from start: Int64 = 0, _ body: (_ line: [UInt8], _ begin: Int64) throws(SystemError) -> Bool
    ) throws(SystemError) {
        guard Files.exists(path) else { return }
        let file = try OwnedDescriptor(opening: path, O_RDONLY)
        var chunk = [UInt8](repeating: 0, count: Self.chunk)
        var line: [UInt8] = []
        var begin = start
        var position = start
        while true {
            let count = retrying { pread(file.raw, &chunk, chunk.count, off_t(position)) }
            guard count >= 0 else { throw SystemError("read", path) }
            if count == 0 { break }
            position += Int64(count)
            var rest = chunk[..<count]
            while let feed = rest.firstIndex(of: UInt8(ascii: "\n")) {
                line += rest[..<feed]
                guard try body(line, begin) else { return }
                begin += Int64(line.count) + 1
                line.removeAll(keepingCapacity: true)
                rest = rest[(feed + 1)...]
            }
            line += rest
            guard line.count <= Self.longestLine else { throw SystemError("read", path, code: EFBIG) }
        }
        if !line.isEmpty { _ = try body(line, begin) }
    }

    /// All of them, the oldest first; of an event that was given up twice the last one.
    ///
    /// - Throws: `SystemError`.
    package func all() throws(SystemError) -> [DeadLetter] {
        var letters: [DeadLetter] = []
        try forEachLine { line, _ in
            if let identifier = Self.identifier(of: line), let letter = Self.letter(line, of: identifier) {
                letters.append(letter)
            }
            return true
        }
        var known: Set<String> = []
        return letters.reversed().filter { known.insert($0.event.identifier).inserted }.reversed()
    }

    /// Their events' identifiers.
    ///
    /// - Throws: `SystemError`.
    package func identifiers() throws(SystemError) -> Set<String> {
        var found: Set<String> = []
        try forEachLine { line, _ in
            if let identifier = Self.identifier(of: line) { found.insert(identifier) }
            return true
        }
        return found
    }

    /// How many there are.
    ///
    /// - Throws: `SystemError`.
    package func count() throws(SystemError) -> Int { try identifiers().count }

    // MARK: Writing

    /// Adds an event, durably.
    ///
    /// - Returns: where it begins.
    /// - Throws: `SystemError`, with the file as it was, or with a torn line at its end.
    func append(_ event: Event, _ failures: [FailedAttempt]) throws -> Int64 {
        let fields = Dictionary(event.fields.map { ($0.0.rawValue, $0.1) }) { $1 }
        let letter = Line(
            hook: hook, event: fields,
            attempts: failures.map { Line.Attempt(time: $0.time, outcome: $0.outcome) },
            line: String(decoding: event.line, as: UTF8.self))
        var bytes = try Self.line(letter, of: event.identifier)
        try Files.makeDirectories(Files.parentPath(of: path), mode: 0o700)
        let file = try OwnedDescriptor(opening: path, O_RDWR | O_CREAT | O_APPEND, mode: 0o600)
        var information = stat()
        guard fstat(file.raw, &information) == 0 else { throw SystemError("look at", path) }
        var begin = Int64(information.st_size)
        var last: UInt8 = 0
        if begin > 0, pread(file.raw, &last, 1, off_t(begin - 1)) == 1, last != UInt8(ascii: "\n") {
            bytes.insert(UInt8(ascii: "\n"), at: 0)
            begin += 1
        }
        try Files.writeAll(bytes, to: file.raw, path: path)
        guard fdatasync(file.raw) == 0 else { throw SystemError("sync", path) }
        if information.st_size == 0 { try Files.syncDirectory(of: path) }
        return begin
    }

    /// Removes the events of these identifiers, or all, in one step.
    ///
    /// - Throws: `SystemError`; then all are still there.
    package func remove(_ identifiers: Set<String>?) throws(SystemError) {
        try removeLines { identifier, _, _ in identifiers?.contains(identifier) ?? true }
    }

    /// Removes dead letters, in one step.
    ///
    /// - Parameter isRemoved: gets an event's identifier, where its line begins, and how long that is.
    /// - Throws: `SystemError`; then all are still there.
    func removeLines(
        where isRemoved: (_ identifier: String, _ begin: Int64, _ length: Int64) -> Bool
    ) throws(SystemError) {
        guard Files.exists(path) else { return }
        try Files.replace(path, mode: 0o600) { file, temporary throws(SystemError) in
            var kept: [UInt8] = []
            try forEachLine { line, begin throws(SystemError) in
                if let identifier = Self.identifier(of: line),
                    isRemoved(identifier, begin, Int64(line.count) + 1)
                {
                    return true
                }
                kept += line
                kept.append(UInt8(ascii: "\n"))
                if kept.count >= Self.chunk {
                    try Files.writeAll(kept, to: file, path: temporary)
                    kept.removeAll(keepingCapacity: true)
                }
                return true
            }
            try Files.writeAll(kept, to: file, path: temporary)
        }
    }
}
