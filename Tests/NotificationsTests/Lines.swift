// What the tests of the writer look at: lines as raw text, and their proof computed anew.

import Glibc
import Notifications
import Platform
import Support

/// The non-empty lines of a file.
func lines(of path: String) throws -> [String] {
    try text(of: path).split(separator: "\n").map(String.init)
}

/// The events of a file; a line that is none is an error here.
func events(of path: String) throws -> [Event] {
    try lines(of: path).map { try Event(line: Array($0.utf8)) }
}

/// The check that a line must have, from its text alone.
func expectedCheck(of line: String) -> String {
    let parts = line.split(separator: ",\"check\":\"", omittingEmptySubsequences: false)
    return String(SHA256.hex(of: Array(parts.dropLast().joined(separator: ",\"check\":\"").utf8)).prefix(32))
}

/// Bytes of a descriptor that are there now.
func available(_ descriptor: CInt) -> String {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    while true {
        let count = read(descriptor, &chunk, chunk.count)
        guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
        bytes += chunk[..<count]
    }
}

/// A writer in a process of its own: one event for each line it is told.
final class WriterProcess {
    let command: RunningCommand
    private let input: OwnedDescriptor
    private let feed: String

    init(
        _ path: String, in directory: TemporaryDirectory, prefix: [String] = [],
        program: String = Programs.emitter
    )
        throws
    {
        feed = directory.path("feed-\(RandomIdentifier.hex(4))")
        guard mkfifo(feed, 0o600) == 0 else { throw SystemError("make", feed) }
        // Open for reading and writing, so that neither side waits for the other.
        input = try OwnedDescriptor(opening: feed, O_RDWR)
        let words = prefix + [program, path, "--input"]
        command = try RunningCommand(words[0], Array(words.dropFirst()), input: feed)
    }

    /// Emits one event and returns once that is done.
    func emit(_ layer: String) throws {
        let before = command.outputSoFar.utf8.count
        let line = Array((layer + "\n").utf8)
        guard write(input.raw, line, line.count) == line.count else { throw SystemError("write to", feed) }
        try waitUntil("the event \(layer.prefix(20)) is emitted") { command.outputSoFar.utf8.count > before }
    }

    /// The lines of standard error, once there are so many: they come another way than the output that `emit` waits for.
    func reports(_ count: Int) throws -> [String] {
        func lines() -> [String] { command.errorsSoFar.split(separator: "\n").map(String.init) }
        try waitUntil("standard error has \(count) lines") { lines().count >= count }
        return lines()
    }
}
