// `--exec`: one hook, delivered to as the daemon does it, but one event after the other and with nothing kept besides the
// cursor.

import Delivery
import Following
import Glibc
import Notifications
import Platform

/// Runs a program for each event until it says that it is done with it, or it is given up.
final class AdHocHook {
    /// How long a running program may go on after a signal asked us to stop.
    private static let grace: UInt64 = 30_000_000_000

    private let program: String
    private let runner: ExecRunner

    /// - Throws: `HookError` where there is no such program.
    init?(_ command: FollowCommand) throws(HookError) {
        guard let program = command.exec.first else { return nil }
        self.program = program
        var hook = HookConfiguration(
            name: command.cursor ?? Files.lastComponent(of: program), target: .exec(command.exec),
            directory: ".")
        hook.timeout = Double(command.timeout.seconds)
        hook.retry.attempts = command.attempts
        runner = try ExecRunner(
            hook, letters: Reported(), saved: nil, log: LogOptions.text(isVerbose: false),
            inheritsOutput: true)
    }

    /// Returns once the event is done with: acknowledged, or given up and reported.
    ///
    /// - Throws: `Interrupted` where a signal came first; the event is then not done.
    func deliver(_ event: Event, at place: StreamPlace) throws(Interrupted) {
        runner.offer(event, at: place) { nil }
        var isStopping = false
        while true {
            let now = MonotonicClock.nanoseconds()
            if !isStopping, Interruption.signal != nil {
                isStopping = true
                runner.stop(limit: now + Self.grace)
                if !runner.hasStopped {
                    Report.say("stopping as soon as \(program) is done; once more to leave at once")
                }
            }
            runner.look(now: now)
            runner.work(now: now)
            if runner.isIdle { return }
            if runner.hasStopped { break }
            wait(alsoForSignal: !isStopping)
        }
        try Interruption.check()
    }

    private func wait(alsoForSignal: Bool) {
        let signal = alsoForSignal ? Interruption.descriptor : -1
        var descriptors = runner.descriptors + [pollfd(fd: signal, events: Int16(POLLIN), revents: 0)]
        let now = MonotonicClock.nanoseconds()
        let timeout = runner.deadline.map { CInt(min(($0 > now ? $0 - now : 0) / 1_000_000 + 1, 1 << 30)) }
        poll(&descriptors, nfds_t(descriptors.count), timeout ?? -1)
    }

    /// Without a daemon's state all that is left of an event is what is said of it: all of it.
    private struct Reported: GivenUpEvents {
        func add(_ event: Event, _ failures: [FailedAttempt], cameBack: Bool) -> String {
            "giving up \(String(decoding: event.line, as: UTF8.self))"
        }

        func settle(_ event: Event) {}
    }
}
