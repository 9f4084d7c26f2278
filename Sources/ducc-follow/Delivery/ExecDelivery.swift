// Delivering events to a program: one process an event, one after the other, in the stream's order.

import Delivery
import Glibc
import Notifications
import Platform

/// Runs a program for each event until it says that it is done with it, or it is given up.
struct ExecDelivery {
    private let command: HookCommand
    private let schedule: RetrySchedule
    private let timeout: Int

    /// nil where the command line has no `--exec`.
    init?(_ options: FollowCommand) throws(HookError) {
        if options.exec.isEmpty { return nil }
        command = try HookCommand(words: options.exec, name: options.cursor)
        var schedule = RetrySchedule()
        schedule.attempts = options.attempts
        self.schedule = schedule
        timeout = options.timeout.seconds
    }

    /// Returns once the event is done with: acknowledged, or given up and reported.
    ///
    /// - Throws: `Interrupted` where a signal came first; the event is then not done.
    func deliver(_ event: Event) throws(Interrupted) {
        let arguments = command.arguments(for: event)
        if event.fields.contains(where: { $0.1.utf8.contains(0) }) {
            giveUp(event, "a value has a NUL, which no argument and no variable can hold")
            return
        }
        var attempt = 1
        while true {
            try Interruption.check()
            let outcome = try HookProcess.run(
                command.program, arguments, environment: command.environment(for: event, attempt: attempt),
                input: event.line + [UInt8(ascii: "\n")], timeout: timeout)
            let jitter = Double.random(in: 0..<1)
            switch schedule.decide(after: outcome, attempt: attempt, jitter: jitter) {
            case .done: return
            case .giveUp:
                giveUp(event, "\(outcome), attempt \(attempt)")
                return
            case .again(let milliseconds):
                Report.say(
                    "\(command.program): \(outcome) for \(event.identifier), attempt \(attempt) of "
                        + "\(schedule.attempts); again in \((milliseconds + 500) / 1000) s")
                try Interruption.sleep(milliseconds: milliseconds)
                attempt += 1
            }
        }
    }

    /// The event in full: this line is all that is left of it.
    private func giveUp(_ event: Event, _ reason: String) {
        Report.say(
            "\(command.program): giving up \(event.identifier): \(reason): "
                + String(decoding: event.line, as: UTF8.self))
    }
}
