// An `exec` hook: a process for each event, as many at a time as it allows.

import Following
import Glibc
import Notifications
import Platform

/// Runs a program for each event.
package final class ExecRunner: HookRunner {
    package let hook: HookConfiguration
    package var isPaused = false
    package private(set) var trouble: HookTrouble?
    private let command: HookCommand
    private let letters: any GivenUpEvents
    private let inheritsOutput: Bool
    private let log: DeliveryLog
    private var lane: Lane
    private var running: [(assignment: Assignment, run: ProgramRun)] = []
    private var isStopping = false
    private var shortage = Shortage()
    /// Nothing is begun before.
    private var notBefore: UInt64 = 0
    private var stopLimit: UInt64?

    /// - Parameter inheritsOutput: whether what its program writes goes where our own output goes, not to the log.
    /// - Throws: `HookError` where its program can't be run.
    package init(
        _ hook: HookConfiguration, letters: any GivenUpEvents, saved: Cursor?, log: DeliveryLog,
        capacity: Int = Daemon.Limits().waiting, inheritsOutput: Bool = false
    ) throws(HookError) {
        self.inheritsOutput = inheritsOutput
        self.hook = hook
        self.letters = letters
        self.log = log
        command = try HookCommand(hook)
        lane = Lane(
            concurrency: hook.concurrency, capacity: capacity, lastEventIdentifier: saved?.lastEventIdentifier
        )
    }

    package var isFull: Bool { lane.isFull }
    package var isIdle: Bool { lane.isIdle }

    package func skip(_ ends: [Int64], in file: Int) { lane.skip(ends, in: file) }

    package func offer(_ event: Event, at place: StreamPlace?, file: () -> Cursor.File?) {
        let key = hook.orderBy.map { event[Field(rawValue: $0)] ?? "" }
        lane.offer(event, at: place, key: key, file: file)
    }

    package func cursor(reading: [(file: Int, position: Cursor.File)]) -> Cursor {
        lane.cursor(reading: reading)
    }

    package func work(now: UInt64) {
        guard !isPaused, !isStopping else { return }
        while now >= notBefore, let assignment = lane.begin(now: now) { start(assignment, now: now) }
    }

    package var deadline: UInt64? {
        let times =
            running.compactMap(\.run.deadline)
            + (isPaused || isStopping ? [] : [lane.deadline.map { max($0, notBefore) }].compactMap { $0 })
        return (times + [stopLimit].compactMap { $0 }).min()
    }

    package var descriptors: [pollfd] { running.flatMap(\.run.descriptors) }

    package func look(now: UInt64) {
        if let limit = stopLimit, now >= limit {
            stopLimit = nil
            for (_, run) in running { run.terminate(now: now) }
        }
        for (assignment, run) in running {
            for line in run.look(now: now) { log(.info, "says: \(line)", details(assignment)) }
            guard let status = run.status else { continue }
            running.removeAll { $0.run === run }
            if isStopping, stopLimit == nil, !run.timedOut, status != .exited(0) {
                // Ended on our account: that was no attempt of its own.
                lane.takeBack(assignment.number)
            } else {
                ended(
                    assignment, run.timedOut ? .timedOut(seconds: hook.timeout) : .ended(status),
                    now: now)
            }
        }
    }

    package func stop(limit: UInt64) {
        isStopping = true
        stopLimit = limit
    }

    package var hasStopped: Bool { isStopping && running.isEmpty }

    private func start(_ assignment: Assignment, now: UInt64) {
        let event = assignment.event
        if event.fields.contains(where: { $0.1.utf8.contains(0) }) {
            return giveUp(assignment, "a value has a NUL, which no argument and no variable can hold")
        }
        do throws(SystemError) {
            let input = try Files.memoryFile(with: event.line + [UInt8(ascii: "\n")])
            let run = try ProgramRun(
                command.program, command.arguments(for: event),
                environment: command.environment(for: event, attempt: assignment.attempt),
                directory: hook.directory, user: command.user, input: input.raw,
                output: inheritsOutput ? 1 : nil, errors: inheritsOutput ? 2 : nil,
                deadline: now + UInt64(hook.timeout * 1e9), killAfter: UInt64(hook.killAfter * 1e9))
            log(.debug, "begun", details(assignment))
            running.append((assignment, run))
            shortage.isOver()
        } catch {
            guard error.isShortage else { return ended(assignment, .notStarted(error), now: now) }
            shortage.say(error, hook.name, log)
            lane.takeBack(assignment.number)
            notBefore = now + Shortage.pause
        }
    }

    private func ended(_ assignment: Assignment, _ outcome: AttemptOutcome, now: UInt64) {
        switch hook.retry.decide(after: outcome, attempt: assignment.attempt, jitter: .random(in: 0..<1)) {
        case .done:
            log(.debug, "done", details(assignment))
            if assignment.place == nil { letters.settle(assignment.event) }
            finish(assignment)
        case .again(let milliseconds):
            log(
                .warning,
                "\(outcome), attempt \(assignment.attempt) of \(hook.retry.attempts); again in "
                    + RetrySchedule.text(milliseconds: milliseconds), details(assignment))
            again(
                assignment, at: now + UInt64(milliseconds) * 1_000_000,
                FailedAttempt(time: Timestamp.now().description, outcome: "\(outcome)"))
        case .giveUp: giveUp(assignment, "\(outcome)")
        }
    }

    private func giveUp(_ assignment: Assignment, _ reason: String) {
        let failure = FailedAttempt(time: Timestamp.now().description, outcome: reason)
        if hook.onExhausted == .stop {
            isPaused = true
            log(.error, "\(reason): the hook stops here, until it is resumed", details(assignment))
            again(assignment, at: 0, failure)
            return
        }
        do {
            let place = try letters.add(
                assignment.event, assignment.failures + [failure], cameBack: assignment.place == nil)
            log(.error, "\(reason), attempt \(assignment.attempt): \(place)", details(assignment))
            finish(assignment)
        } catch {
            // It must not be lost: the hook waits until there is room for it.
            log(.error, "\(reason); and it can't be put with the dead letters: \(error)", details(assignment))
            again(assignment, at: MonotonicClock.nanoseconds() + 10_000_000_000, failure)
        }
    }

    private func again(_ assignment: Assignment, at time: UInt64, _ failure: FailedAttempt) {
        lane.again(assignment.number, at: time, after: failure)
        trouble = HookTrouble(assignment.event, attempts: assignment.attempt, failure)
    }

    private func finish(_ assignment: Assignment) {
        if trouble?.event == assignment.event.identifier { trouble = nil }
        lane.finish(assignment.number)
        finished += 1
    }

    package var finished = 0

    private func details(_ assignment: Assignment) -> [(String, String)] {
        [
            ("hook", hook.name), ("event", assignment.event.identifier), ("attempt", "\(assignment.attempt)"),
        ]
    }
}
