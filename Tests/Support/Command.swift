// Running programs the way a user does: arguments, environment, what they print, how they end.

import CLinux
import Glibc
import Platform
import Synchronization

/// How a program ended and what it printed.
package struct CommandResult: Sendable {
    package let status: ExitStatus
    package let output: String
    package let errors: String

    /// The exit code; 128 and more for a signal, as a shell says it.
    package var code: CInt {
        switch status {
        case .exited(let code): code
        case .signalled(let number): 128 + number
        }
    }
}

/// A program that runs in the background, and is killed with its group when the last reference goes.
package final class RunningCommand: Sendable {
    package let process: ChildProcess
    private let output: Collector
    private let errors: Collector
    private let result = Mutex<CommandResult?>(nil)

    package init(
        _ program: String, _ arguments: [String], environment: [String: String] = [:],
        directory: String? = nil,
        input: String? = nil
    ) throws {
        let output = try Collector()
        let errors = try Collector()
        var variables = ProcessEnvironment.current
        variables.merge(environment) { $1 }
        let source = try input.map { SharedDescriptor(try OwnedDescriptor(opening: $0, O_RDONLY)) }
        process = try ChildProcess.start(
            program, arguments, environment: variables.map { "\($0)=\($1)" }, directory: directory,
            input: source?.raw, output: output.writeEnd, errors: errors.writeEnd)
        try output.begin()
        try errors.begin()
        self.output = output
        self.errors = errors
    }

    deinit {
        guard result.withLock({ $0 == nil }) else { return }
        process.signalGroup(SIGKILL)
        _ = process.wait()
    }

    /// What was printed so far.
    package var outputSoFar: String { output.text }
    package var errorsSoFar: String { errors.text }

    /// Whether it has come to its end.
    package var hasEnded: Bool {
        if result.withLock({ $0 != nil }) { return true }
        guard let end = try? process.endDescriptor() else { return true }
        var descriptor = pollfd(fd: end.raw, events: Int16(POLLIN), revents: 0)
        return poll(&descriptor, 1, 0) == 1
    }

    /// Sends a signal to the program alone.
    package func signal(_ number: CInt) { kill(process.identifier, number) }

    /// Waits for the end; a program that takes longer than `seconds` is killed, which its result shows.
    package func wait(seconds: Int = 120) throws -> CommandResult {
        if let known = result.withLock({ $0 }) { return known }
        let end = try process.endDescriptor()
        var descriptor = pollfd(fd: end.raw, events: Int16(POLLIN), revents: 0)
        if retrying({ poll(&descriptor, 1, CInt(seconds * 1000)) }) == 0 { process.signalGroup(SIGKILL) }
        let status = process.wait()
        let found = CommandResult(status: status, output: output.finish(), errors: errors.finish())
        result.withLock { $0 = found }
        return found
    }
}

/// Runs a program to its end.
@discardableResult
package func run(
    _ program: String, _ arguments: [String], environment: [String: String] = [:], directory: String? = nil,
    seconds: Int = 120
) throws -> CommandResult {
    try RunningCommand(program, arguments, environment: environment, directory: directory).wait(
        seconds: seconds)
}

/// A program that must succeed for the test to make sense.
@discardableResult
package func runSuccessfully(
    _ program: String, _ arguments: [String], environment: [String: String] = [:], seconds: Int = 120
) throws -> String {
    let result = try run(program, arguments, environment: environment, seconds: seconds)
    guard result.code == 0 else {
        throw SupportError(
            "\(program) \(arguments.joined(separator: " ")): \(result.status): \(result.errors)")
    }
    return result.output
}

/// Something the tests themselves need went wrong.
package struct SupportError: Error, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}

/// Waits until a condition holds.
///
/// - Throws: `SupportError` where it doesn't within `seconds`.
package func waitUntil(_ what: String, seconds: Int = 30, _ condition: () throws -> Bool) throws {
    let end = MonotonicClock.nanoseconds() + UInt64(seconds) * 1_000_000_000
    while try !condition() {
        guard MonotonicClock.nanoseconds() < end else {
            throw SupportError("waited \(seconds) s in vain: \(what)")
        }
        poll(nil, 0, 5)
    }
}

/// A pipe whose content is gathered by a thread, so that no program ever waits for us.
private final class Collector: Sendable {
    private let reading: SharedDescriptor
    private let writing: Mutex<SharedDescriptor?>
    private let bytes = Mutex<[UInt8]>([])
    private let thread = Mutex<RunningThread?>(nil)

    init() throws {
        var ends: [CInt] = [0, 0]
        guard ducc_pipe(&ends) == 0 else { throw SystemError("make a pipe") }
        reading = SharedDescriptor(OwnedDescriptor(raw: ends[0]))
        writing = Mutex(SharedDescriptor(OwnedDescriptor(raw: ends[1])))
    }

    var writeEnd: CInt { writing.withLock { $0?.raw ?? -1 } }

    func begin() throws {
        writing.withLock { $0 = nil }
        let started = try Threads.start { [self] in
            var buffer = [UInt8](repeating: 0, count: 64 << 10)
            while true {
                let count = retrying { read(reading.raw, &buffer, buffer.count) }
                guard count > 0 else { return }
                bytes.withLock { $0.append(contentsOf: buffer[..<count]) }
            }
        }
        thread.withLock { $0 = started }
    }

    var text: String { bytes.withLock { String(decoding: $0, as: UTF8.self) } }

    func finish() -> String {
        thread.withLock { thread in
            thread?.join()
            thread = nil
        }
        return text
    }
}
