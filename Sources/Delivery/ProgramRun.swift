// One program under way, from its start to its end: its output is read (and said in the log, up to a limit), its time is
// watched, and what it started in its process group has that time too and goes with it when it is ended.

import Glibc
import Platform

/// A program that was started.
final class ProgramRun {
    /// How much of its output is said.
    static let outputLimit = 16 << 10

    private enum Phase {
        case running(until: UInt64?)
        /// SIGTERM was sent.
        case ending(until: UInt64)
        case killed
    }

    private let child: ChildProcess
    private let end: SharedDescriptor
    private let output: SharedDescriptor
    private let killAfter: UInt64
    private var phase: Phase
    /// How the program itself ended; what it started may still have its time.
    private var ended: ExitStatus?
    private var text: [UInt8] = []
    private var outputBytes = 0
    private var outputEnded: Bool
    /// Whether it had to be ended because its time was over.
    private(set) var timedOut = false

    /// Starts a program; its standard output and standard error are one.
    ///
    /// - Parameters:
    ///   - output: what it writes to in place of our pipe for both; that pipe is then standard error alone, or
    ///   - errors: nothing.
    ///   - deadline: of `MonotonicClock`.
    /// - Throws: `SystemError`.
    init(
        _ program: String, _ arguments: [String], environment: [String], directory: String, user: SystemUser?,
        input: CInt, output: CInt? = nil, errors: CInt? = nil, deadline: UInt64?, killAfter: UInt64
    ) throws(SystemError) {
        let pipe = try Pipe()
        outputEnded = output != nil && errors != nil
        self.output = pipe.reading
        _ = fcntl(self.output.raw, F_SETFL, O_NONBLOCK)
        // The place of the descriptor that tells of its end: it is not started where nobody could wait for it.
        let reserved = try OwnedDescriptor(opening: "/dev/null", O_RDONLY)
        child = try ChildProcess.start(
            program, arguments, environment: environment, directory: directory, input: input,
            output: output ?? pipe.writing.raw, errors: errors ?? pipe.writing.raw, user: user)
        _ = consume reserved
        do throws(SystemError) { end = SharedDescriptor(try child.endDescriptor()) } catch {
            // Nobody could tell when it has ended.
            child.signalGroup(SIGKILL)
            _ = child.wait()
            throw error
        }
        phase = .running(until: deadline)
        self.killAfter = killAfter
    }

    deinit {
        guard status == nil else { return }
        child.signalGroup(SIGKILL)
        if ended == nil { _ = child.wait() }
    }

    /// How it ended; nil as long as it runs, or what it started has time to end.
    private(set) var status: ExitStatus?

    var descriptors: [pollfd] {
        var descriptors: [pollfd] = []
        if ended == nil { descriptors.append(pollfd(fd: end.raw, events: Int16(POLLIN), revents: 0)) }
        if !outputEnded { descriptors.append(pollfd(fd: output.raw, events: Int16(POLLIN), revents: 0)) }
        return descriptors
    }

    /// When `look` is wanted although nothing happened.
    var deadline: UInt64? {
        switch phase {
        case .running(let until): until
        // Nothing tells when a group is empty but asking.
        case .ending(let until): ended == nil ? until : min(until, MonotonicClock.nanoseconds() + 20_000_000)
        case .killed: nil
        }
    }

    /// Sets another end of its time.
    func setDeadline(_ time: UInt64?) { if case .running = phase { phase = .running(until: time) } }

    /// Looks whether it has ended, and ends it where its time is over.
    ///
    /// - Returns: what it wrote since, whole lines.
    func look(now: UInt64) -> [String] {
        readOutput()
        var waiting = pollfd(fd: end.raw, events: Int16(POLLIN), revents: 0)
        if ended == nil, poll(&waiting, 1, 0) == 1 {
            readOutput()
            ended = child.wait()
        }
        switch phase {
        case .running(let until?) where ended == nil && now >= until:
            timedOut = true
            terminate(now: now)
        case .ending(let until) where now >= until:
            child.signalGroup(SIGKILL)
            phase = .killed
        case .ending where kill(-child.identifier, 0) == 0: return lines(isLast: false)
        default: break
        }
        status = ended
        if status != nil { outputEnded = true }
        return lines(isLast: status != nil)
    }

    /// Asks it to end; after `killAfter` it is killed.
    func terminate(now: UInt64) {
        guard case .running = phase, ended == nil else { return }
        child.signalGroup(SIGTERM)
        phase = .ending(until: now + killAfter)
    }

    private func readOutput() {
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        // Not for ever: who writes faster than we read must not hold up the others.
        for _ in 0..<64 where !outputEnded {
            let count = retrying { read(output.raw, &chunk, chunk.count) }
            if count == 0 || (count < 0 && errno != EAGAIN) { outputEnded = true }
            guard count > 0 else { return }
            text += chunk[..<min(count, max(0, Self.outputLimit - outputBytes))]
            if outputBytes < Self.outputLimit, outputBytes + count >= Self.outputLimit {
                text += Array("\n(the rest of its output is not said)\n".utf8)
            }
            outputBytes += count
        }
    }

    private func lines(isLast: Bool) -> [String] {
        var lines: [String] = []
        while let feed = text.firstIndex(of: UInt8(ascii: "\n")) {
            lines.append(String(decoding: text[..<feed], as: UTF8.self))
            text.removeSubrange(...feed)
        }
        if isLast, !text.isEmpty {
            lines.append(String(decoding: text, as: UTF8.self))
            text = []
        }
        return lines
    }
}
