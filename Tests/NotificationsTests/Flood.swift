// A writer in a process of its own that emits on and on until it is told to stop: what fails, rotates or dies beside it
// happens between any two of its events.

import Glibc
import Notifications
import Platform
import Support
import Synchronization

/// A process that emits some thousand events a second.
final class Flood: Sendable {
    let command: RunningCommand
    private let isDone: SharedFlag
    private let thread: Mutex<RunningThread?>

    private final class SharedFlag: Sendable {
        let value = Atomic(false)
    }

    init(_ path: String, in directory: TemporaryDirectory) throws {
        let feed = directory.path("feed-\(RandomIdentifier.hex(4))")
        guard mkfifo(feed, 0o600) == 0 else { throw SystemError("make", feed) }
        // Both ends, and without waiting, so that a process that died stops nobody.
        let input = SharedDescriptor(try OwnedDescriptor(opening: feed, O_RDWR | O_NONBLOCK))
        command = try RunningCommand(Programs.emitter, [path, "--input"], input: feed)
        let isDone = SharedFlag()
        self.isDone = isDone
        let line = Array((String(repeating: "x", count: 300) + "\n").utf8)
        thread = Mutex(
            try Threads.start {
                while !isDone.value.load(ordering: .acquiring) {
                    for _ in 0..<5 { write(input.raw, line, line.count) }
                    poll(nil, 0, 5)
                }
            })
    }

    deinit { stop() }

    private func stop() {
        isDone.value.store(true, ordering: .releasing)
        thread.withLock {
            $0?.join()
            $0 = nil
        }
    }

    /// Lets the process emit what it was told so far, and end.
    ///
    /// - Returns: the identifiers of all events, and what standard error said.
    func finish() throws -> (identifiers: [String], reports: [String]) {
        stop()
        let result = try command.wait()
        guard result.code == 0 else { throw SupportError("the writer ended with \(result.status)") }
        return (
            result.output.split(separator: "\n").map(String.init),
            result.errors.split(separator: "\n").map(String.init)
        )
    }
}

/// All events of a file, those recovered from torn lines included, in their order.
func recoveredEvents(of path: String) throws -> [Event] {
    let file = try OwnedDescriptor(opening: path, O_RDONLY)
    var reader = NotificationReader()
    var found: [Event] = []
    while try reader.fill(from: file.raw, path: path) {
        while let item = reader.next() {
            if case .event(let event) = item { found.append(event) }
        }
    }
    return found
}

/// What `ducc-follow verify` says: its findings, and the last line.
func verification(of path: String) throws -> (code: CInt, findings: [String], summary: String) {
    let result = try run(Programs.follow, ["verify", path])
    let lines = result.output.split(separator: "\n").map(String.init)
    return (result.code, Array(lines.dropLast()), lines.last ?? result.errors)
}
