// A `pipe` hook: one long-lived process that reads JSON lines and prints an `event_id` a line, which acknowledges all
// events up to and including it. For high rates: what is acknowledged moves the cursor now and then, not each time.

import Following
import Glibc
import Notifications
import Platform

/// Feeds one long-lived program.
package final class PipeRunner: HookRunner {
    /// An event that isn't acknowledged.
    private struct Sent {
        let event: Event
        let place: StreamPlace?
    }

    /// How many bytes wait to be written at the most.
    private static let bufferSize = 256 << 10
    private static let longestAcknowledgement = 4096
    /// So many lines in a row that acknowledge nothing, and it is ended: what it prints is no acknowledgement.
    private static let mostStrayLines = 100
    /// So many of them are said.
    private static let mostSaid = 10

    package let hook: HookConfiguration
    package var isPaused = false
    private let command: HookCommand
    private let letters: any GivenUpEvents
    private let log: DeliveryLog
    /// How many events may be without an acknowledgement.
    private let window: Int

    private var queue = Queue<Sent>()
    private var queuedBytes = 0
    /// How many of the queue were handed to the running process.
    private var sent = 0
    private var progress: HookProgress

    private var run: ProgramRun?
    private var input: SharedDescriptor?
    private var acknowledgements: SharedDescriptor?
    private var outgoing: [UInt8] = []
    private var written = 0
    private var incoming: [UInt8] = []
    /// Whether what comes next belongs to a line that is too long to be an acknowledgement.
    private var isInLongLine = false
    private var strayLines = 0
    /// How often the oldest event was tried in vain.
    private var failures: [FailedAttempt] = []
    private var notBefore: UInt64 = 0
    private var shortage = Shortage()
    private var isStopping = false
    private var isUntimed = false
    private var stopLimit: UInt64?

    package var finished = 0

    /// - Throws: `HookError` where its program can't be run.
    package init(
        _ hook: HookConfiguration, letters: any GivenUpEvents, saved: Cursor?, log: DeliveryLog,
        window: Int = Daemon.Limits().unacknowledged
    ) throws(HookError) {
        self.hook = hook
        self.letters = letters
        self.log = log
        self.window = window
        progress = HookProgress(lastEventIdentifier: saved?.lastEventIdentifier)
        command = try HookCommand(hook)
    }

    package var isFull: Bool { queue.count >= window || queuedBytes >= HookProgress.mostBytes }
    package var isIdle: Bool { queue.isEmpty }

    package var trouble: HookTrouble? {
        guard let failure = failures.last, let oldest = queue.first else { return nil }
        return HookTrouble(oldest.event, attempts: failures.count, failure)
    }

    package func skip(_ ends: [Int64], in file: Int) { progress.skip(ends, in: file) }

    package func offer(_ event: Event, at place: StreamPlace?, file: () -> Cursor.File?) {
        if let place, !progress.begins(at: place, file: file) { return }
        queue.append(Sent(event: event, place: place))
        queuedBytes += event.line.count
    }

    package func cursor(reading: [(file: Int, position: Cursor.File)]) -> Cursor {
        progress.cursor(
            reading: reading,
            events: queue.indices.lazy.compactMap { [queue] position in
                queue[position].place.map { ($0, false) }
            })
    }

    // MARK: The process

    package func work(now: UInt64) {
        if run == nil, !queue.isEmpty, !isPaused, !isStopping, now >= notBefore { start(now: now) }
        if isPaused != isUntimed {
            // What it isn't given it can't acknowledge.
            isUntimed = isPaused
            setTimer(now: now)
        }
        if !isPaused, !isStopping { write(now: now) }
    }

    /// Its time runs as long as there is something to acknowledge.
    private func setTimer(now: UInt64) {
        run?.setDeadline(isUntimed || sent == 0 ? nil : now + UInt64(hook.timeout * 1e9))
    }

    package var deadline: UInt64? {
        let restart = run == nil && !queue.isEmpty && !isPaused && !isStopping ? notBefore : nil
        return [restart, run?.deadline, stopLimit].compactMap { $0 }.min()
    }

    package var descriptors: [pollfd] {
        guard let run else { return [] }
        var descriptors = run.descriptors
        if let acknowledgements {
            descriptors.append(pollfd(fd: acknowledgements.raw, events: Int16(POLLIN), revents: 0))
        }
        if let input, wantsToWrite {
            descriptors.append(pollfd(fd: input.raw, events: Int16(POLLOUT), revents: 0))
        }
        return descriptors
    }

    package func look(now: UInt64) {
        guard let run else { return }
        readAcknowledgements(now: now)
        for line in run.look(now: now) { log(.info, "says: \(line)", [("hook", hook.name)]) }
        if let limit = stopLimit, now >= limit {
            stopLimit = nil
            run.terminate(now: now)
        }
        if isStopping { write(now: now) }
        guard let status = run.status else { return }
        readAcknowledgements(now: now)
        ended(run.timedOut ? .timedOut(seconds: hook.timeout) : .ended(status), now: now)
    }

    package func stop(limit: UInt64) {
        isStopping = true
        // It gets the rest of a line that is begun; at its end of file it can finish what it has, and leave.
        let isInLine = written > 0 && outgoing[written - 1] != UInt8(ascii: "\n")
        let feed = isInLine ? outgoing[written...].firstIndex(of: UInt8(ascii: "\n")) : nil
        outgoing.removeSubrange((feed.map { $0 + 1 } ?? written)...)
        write(now: MonotonicClock.nanoseconds())
        stopLimit = run == nil ? nil : limit
    }

    package var hasStopped: Bool { isStopping && run == nil }

    private func start(now: UInt64) {
        do throws(SystemError) {
            let toChild = try Pipe()
            let fromChild = try Pipe()
            let run = try ProgramRun(
                command.program, command.standingArguments, environment: command.standingEnvironment,
                directory: hook.directory, user: command.user, input: toChild.reading.raw,
                output: fromChild.writing.raw,
                deadline: nil, killAfter: UInt64(hook.killAfter * 1e9))
            for descriptor in [toChild.writing.raw, fromChild.reading.raw] {
                _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
            }
            self.run = run
            input = toChild.writing
            acknowledgements = fromChild.reading
            outgoing = []
            written = 0
            incoming = []
            isInLongLine = false
            strayLines = 0
            sent = 0
            shortage.isOver()
            log(.info, "started", [("hook", hook.name)])
        } catch {
            guard error.isShortage else { return ended(.notStarted(error), now: now) }
            shortage.say(error, hook.name, log)
            notBefore = now + Shortage.pause
        }
    }

    /// Whether there is something that it may be given now.
    private var wantsToWrite: Bool { written < outgoing.count && (!isPaused || isStopping) }

    private func write(now: UInt64) {
        guard let input else { return }
        while true {
            if written == outgoing.count {
                if isStopping {
                    self.input = nil
                    return
                }
                outgoing.removeAll(keepingCapacity: true)
                written = 0
                while sent < queue.count, outgoing.count < Self.bufferSize {
                    append(queue[sent].event)
                    outgoing.append(UInt8(ascii: "\n"))
                    sent += 1
                    if sent == 1 { setTimer(now: now) }
                }
                if outgoing.isEmpty { return }
            }
            let count = outgoing[written...].withUnsafeBytes { bytes in
                retrying { Glibc.write(input.raw, bytes.baseAddress, bytes.count) }
            }
            guard count > 0 else {
                // Its reader has gone: its end is seen soon, or else its time runs.
                if errno != EAGAIN { self.input = nil }
                return
            }
            written += count
        }
    }

    /// The event's line; one of the original DUCC's gets the identifier that acknowledges it.
    private func append(_ event: Event) {
        guard event[.eventIdentifier] == nil, let brace = event.line.firstIndex(of: UInt8(ascii: "{")) else {
            outgoing += event.line
            return
        }
        outgoing += event.line[...brace]
        outgoing += Array("\"\(Field.eventIdentifier.rawValue)\":\"\(event.identifier)\",".utf8)
        outgoing += event.line[(brace + 1)...]
    }

    private func readAcknowledgements(now: UInt64) {
        guard let descriptor = acknowledgements else { return }
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        var isFirst = true
        for _ in 0..<64 {
            let count = retrying { read(descriptor.raw, &chunk, chunk.count) }
            guard count > 0 else {
                if count == 0 { acknowledgements = nil }
                break
            }
            incoming += chunk[..<count]
            let before = queue.count
            acknowledgeLines()
            if strayLines >= Self.mostStrayLines {
                log(
                    .error, "printed \(strayLines) lines in a row that acknowledge nothing: it is ended",
                    [("hook", hook.name)])
                acknowledgements = nil
                run?.terminate(now: now)
                break
            }
            if queue.count < before { isFirst = false }
        }
        guard !isFirst else { return }
        failures = []
        setTimer(now: now)
    }

    private func acknowledgeLines() {
        var begin = 0
        while strayLines < Self.mostStrayLines,
            let feed = incoming[begin...].firstIndex(of: UInt8(ascii: "\n"))
        {
            if !isInLongLine { acknowledge(incoming[begin..<feed]) }
            isInLongLine = false
            begin = feed + 1
        }
        if begin > 0 { incoming.removeSubrange(..<begin) }
        guard incoming.count > Self.longestAcknowledgement else { return }
        if !isInLongLine { log(.warning, "printed a line that is no event_id", [("hook", hook.name)]) }
        isInLongLine = true
        incoming = []
    }

    private func acknowledge(_ bytes: ArraySlice<UInt8>) {
        // In order, most often the very next one.
        for index in 0..<sent where queue[index].event.identifier.utf8.elementsEqual(bytes) {
            progress.lastEventIdentifier = queue[index].event.identifier
            for position in 0...index where queue[position].place == nil {
                letters.settle(queue[position].event)
            }
            for _ in 0...index { removeFirst() }
            sent -= index + 1
            finished += index + 1
            strayLines = 0
            return
        }
        strayLines += 1
        if strayLines > Self.mostSaid { return }
        let text = String(decoding: bytes.prefix(100), as: UTF8.self)
        log(.warning, "acknowledges what it doesn't have: \(text)", [("hook", hook.name)])
    }

    private func removeFirst() {
        queuedBytes -= queue.first?.event.line.count ?? 0
        queue.removeFirst()
    }

    private func ended(_ outcome: AttemptOutcome, now: UInt64) {
        run = nil
        input = nil
        acknowledgements = nil
        sent = 0
        if isStopping { return }
        guard let oldest = queue.first else {
            log(.info, "\(outcome); it is started again for the next event", [("hook", hook.name)])
            return
        }
        let attempt = failures.count + 1
        let details = [("hook", hook.name), ("event", oldest.event.identifier), ("attempt", "\(attempt)")]
        failures.append(FailedAttempt(time: Timestamp.now().description, outcome: "\(outcome)"))
        // Whatever its exit code: it left without acknowledging.
        let judged = outcome == .ended(.exited(0)) ? AttemptOutcome.ended(.exited(75)) : outcome
        switch hook.retry.decide(after: judged, attempt: attempt, jitter: .random(in: 0..<1)) {
        case .done: break
        case .again(let milliseconds):
            log(
                .warning,
                "\(outcome) with \(queue.count) events not acknowledged, attempt \(attempt) of "
                    + "\(hook.retry.attempts); again in "
                    + RetrySchedule.text(milliseconds: milliseconds), details)
            notBefore = now + UInt64(milliseconds) * 1_000_000
        case .giveUp: giveUp(oldest, details, "\(outcome)", now: now)
        }
    }

    private func giveUp(_ oldest: Sent, _ details: [(String, String)], _ reason: String, now: UInt64) {
        if hook.onExhausted == .stop {
            isPaused = true
            log(.error, "\(reason): the hook stops here, until it is resumed", details)
            return
        }
        do {
            let place = try letters.add(oldest.event, failures, cameBack: oldest.place == nil)
            log(.error, "\(reason), attempt \(failures.count): \(place)", details)
            progress.lastEventIdentifier = oldest.event.identifier
            removeFirst()
            finished += 1
            failures = []
            notBefore = now
        } catch {
            log(.error, "\(reason); and it can't be put with the dead letters: \(error)", details)
            notBefore = now + 10_000_000_000
        }
    }
}
