// The daemon's end of a pipe hook's pipes.

import CLinux
import Glibc
import Notifications
import Platform
import Support
import Synchronization

/// A running `consumers/audit-sqlite`, killed when the last reference goes.
final class Audit: Sendable {
    static let hook = "\(Programs.root)/consumers/audit-sqlite/hook"
    private let process: ChildProcess
    private let input = Mutex<SharedDescriptor?>(nil)
    private let status = Mutex<ExitStatus?>(nil)
    private let output = Gathered()
    private let complaints = Gathered()
    private let threads = Mutex<[RunningThread]>([])

    /// - Parameter isHeard: whether somebody reads its standard output.
    init(_ database: String, environment: [String: String] = [:], isHeard: Bool = true) throws {
        // Writing to a hook that was killed is an error, not the end of the tests.
        Glibc.signal(SIGPIPE, SIG_IGN)
        let (inputEnd, inputWriter) = try Self.pipe()
        let (outputEnd, outputWriter) = try Self.pipe()
        let (errorsEnd, errorsWriter) = try Self.pipe()
        var variables = ["PATH": "/usr/bin:/bin"]
        variables.merge(environment) { $1 }
        process = try ChildProcess.start(
            Self.hook, [database], environment: variables.map { "\($0)=\($1)" }, input: inputEnd.raw,
            output: outputWriter.raw, errors: errorsWriter.raw)
        input.withLock { $0 = inputWriter }
        var started = [try Threads.start { [complaints] in complaints.read(errorsEnd) }]
        if isHeard { started.append(try Threads.start { [output] in output.read(outputEnd) }) }
        threads.withLock { $0 = started }
    }

    deinit { kill() }

    private static func pipe() throws -> (SharedDescriptor, SharedDescriptor) {
        var ends: [CInt] = [0, 0]
        guard ducc_pipe(&ends) == 0 else { throw SystemError("make a pipe") }
        return (
            SharedDescriptor(OwnedDescriptor(raw: ends[0])), SharedDescriptor(OwnedDescriptor(raw: ends[1]))
        )
    }

    /// What a query finds: values of a row with `|` between them. Python's sqlite3 is asked, not the hook.
    static func query(_ database: String, _ sql: String) throws -> [String] {
        let script = """
            import sqlite3, sys
            for row in sqlite3.connect(sys.argv[1]).execute(sys.argv[2]): print(*row, sep="|")
            """
        return try runSuccessfully("/usr/bin/python3", ["-c", script, database, sql]).split(separator: "\n")
            .map(String.init)
    }

    /// What it acknowledged so far. A line that isn't finished counts for nothing.
    var acknowledged: [String] {
        let bytes = output.bytes
        guard let last = bytes.lastIndex(of: 10) else { return [] }
        return String(decoding: bytes[..<last], as: UTF8.self)
            .split(separator: "\n").map(String.init)
    }

    /// What it said on standard error so far.
    var errors: String { String(decoding: complaints.bytes, as: UTF8.self) }

    /// How many bytes it hasn't read yet.
    var pending: Int {
        var count: CInt = 0
        return input.withLock { $0.map { ioctl($0.raw, UInt(FIONREAD), &count) == 0 ? Int(count) : 0 } ?? 0 }
    }

    func send(_ events: [Event]) throws { try send(bytes: events.flatMap { Array($0.line) + [UInt8(10)] }) }

    func send(bytes: [UInt8]) throws {
        guard let end = input.withLock({ $0 }) else { return }
        try Files.writeAll(bytes, to: end.raw, path: "the hook")
    }

    /// Sends from a thread, until all is sent or the hook is gone.
    func feed(_ events: [Event]) throws -> RunningThread {
        let bytes = events.flatMap { Array($0.line) + [UInt8(10)] }
        return try Threads.start { [self] in try? send(bytes: bytes) }
    }

    func signal(_ number: CInt) { Glibc.kill(process.identifier, number) }

    /// SIGKILL, and all that it had printed by then is in `acknowledged` afterwards.
    func kill() {
        if status.withLock({ $0 }) == nil { process.signalGroup(SIGKILL) }
        finish()
    }

    /// Ends its input and waits for it.
    ///
    /// - Returns: its exit code, 128 and more for a signal.
    func end() throws -> CInt {
        input.withLock { $0 = nil }
        return try wait()
    }

    func wait() throws -> CInt {
        if status.withLock({ $0 }) == nil {
            let end = try process.endDescriptor()
            var descriptor = pollfd(fd: end.raw, events: Int16(POLLIN), revents: 0)
            if retrying({ poll(&descriptor, 1, 30_000) }) == 0 { process.signalGroup(SIGKILL) }
        }
        finish()
        return switch status.withLock({ $0 }) {
        case .exited(let code): code
        case .signalled(let number): 128 + number
        case nil: -1
        }
    }

    private func finish() {
        status.withLock { if $0 == nil { $0 = process.wait() } }
        for thread in threads.withLock({ threads in
            defer { threads = [] }
            return threads
        }) { thread.join() }
    }
}

/// What comes out of a pipe.
private final class Gathered: Sendable {
    private let content = Mutex<[UInt8]>([])
    var bytes: [UInt8] { content.withLock { $0 } }

    func read(_ end: SharedDescriptor) {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while case let count = retrying({ Glibc.read(end.raw, &buffer, buffer.count) }), count > 0 {
            content.withLock { $0.append(contentsOf: buffer[..<count]) }
        }
    }
}
