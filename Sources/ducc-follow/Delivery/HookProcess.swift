// One attempt: the program is started, waited for, and ended where it takes too long.

import CLinux
import Delivery
import Glibc
import Platform

/// Runs a program for one event.
enum HookProcess {
    /// How long a program has between SIGTERM and SIGKILL.
    static let killAfter = 5
    /// How long a running program may go on after a signal asked us to stop.
    static let grace = 30

    /// - Throws: `Interrupted` where a signal asked us to stop and the program had to be ended for that.
    static func run(
        _ program: String, _ arguments: [String], environment: [String], input: [UInt8], timeout: Int
    ) throws(Interrupted) -> AttemptOutcome {
        let child: ChildProcess
        do throws(SystemError) {
            let input = try Files.memoryFile(with: input)
            child = try ChildProcess.start(program, arguments, environment: environment, input: input.raw)
        } catch { return .notStarted(error) }
        let end: OwnedDescriptor
        do throws(SystemError) {
            end = try child.endDescriptor()
        } catch {
            // Nobody could stop it when its time is over.
            child.signalGroup(SIGKILL)
            _ = child.wait()
            return .notStarted(error)
        }

        let deadline = MonotonicClock.nanoseconds() + UInt64(timeout) * 1_000_000_000
        var limit = deadline
        var isStopping = false
        while !waitForEnd(end.raw, until: limit, alsoForSignal: !isStopping) {
            if !isStopping, Interruption.signal != nil {
                isStopping = true
                limit = min(limit, MonotonicClock.nanoseconds() + UInt64(grace) * 1_000_000_000)
                Report.say("stopping as soon as \(program) is done; once more to leave at once")
                continue
            }
            stop(child, end.raw)
            // A deadline of its own is the program's failure; a stop on our account is not.
            if limit < deadline { try Interruption.check() }
            return .timedOut(seconds: timeout)
        }
        return .ended(child.wait())
    }

    /// Ends the program and everything it started in its group, and waits until it is gone.
    private static func stop(_ child: ChildProcess, _ end: CInt) {
        child.signalGroup(SIGTERM)
        let limit = MonotonicClock.nanoseconds() + UInt64(killAfter) * 1_000_000_000
        _ = waitForEnd(end, until: limit, alsoForSignal: false)
        // What the program started in its group may need its time too; nothing tells when a group is empty but asking.
        if waitForEnd(end, until: MonotonicClock.nanoseconds() + 1, alsoForSignal: false) { _ = child.wait() }
        while MonotonicClock.nanoseconds() < limit, kill(-child.identifier, 0) == 0 { poll(nil, 0, 20) }
        child.signalGroup(SIGKILL)
        _ = child.wait()
    }

    /// - Returns: whether the program has ended.
    private static func waitForEnd(_ end: CInt, until limit: UInt64, alsoForSignal: Bool) -> Bool {
        while true {
            let now = MonotonicClock.nanoseconds()
            if now >= limit { return false }
            var descriptors = [
                pollfd(fd: end, events: Int16(POLLIN), revents: 0),
                pollfd(
                    fd: alsoForSignal ? Interruption.descriptor : -1, events: Int16(POLLIN), revents: 0),
            ]
            poll(&descriptors, 2, CInt(min((limit - now) / 1_000_000 + 1, 1 << 30)))
            if descriptors[0].revents != 0 { return true }
            if descriptors[1].revents != 0 { return false }
        }
    }
}
