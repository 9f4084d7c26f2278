// What one hook has still to do, and how far it is with the stream. Nothing here starts a process or reads a file:
// events, outcomes and time come in, what is to be started and where the cursor is go out.
//
// The order of its promises:
//  1. an event is passed by the cursor only when it was acknowledged or given up;
//  2. what was acknowledged beyond the oldest unfinished event is in the cursor too (`done`), so that a restart repeats
//     what was running, and nothing else;
//  3. events of one key, and all events where only one runs at a time, are begun in the stream's order, each after the
//     end of the one before, retries included.

import Following
import Notifications

/// An event on its way to one hook.
package struct Assignment {
    /// The lane's own number for it.
    package let number: Int
    package let event: Event
    /// Where it lies; nil for one that came back from the dead letters.
    package let place: StreamPlace?
    /// What keeps it in order with others.
    let key: String?
    /// Which attempt is running, or was the last one; 0 before the first.
    package fileprivate(set) var attempt = 0
    /// How the attempts before ended.
    package fileprivate(set) var failures: [FailedAttempt] = []
    fileprivate var state = State.waiting(until: 0)

    enum State: Equatable {
        /// Not before this time of `MonotonicClock`.
        case waiting(until: UInt64)
        case running
        case finished
    }
}

/// An attempt that came to nothing.
package struct FailedAttempt: Equatable, Sendable {
    /// RFC 3339, UTC.
    package let time: String
    /// What happened, in words.
    package let outcome: String

    package init(time: String, outcome: String) {
        self.time = time
        self.outcome = outcome
    }
}

/// One hook's way through the stream.
package struct Lane {
    private var queue = Queue<Assignment>()
    private var queuedBytes = 0
    private var offered = 0
    private let concurrency: Int
    private let capacity: Int
    /// How many are running.
    package private(set) var running = 0
    private var progress: HookProgress

    /// - Parameters:
    ///   - concurrency: how many run at a time.
    ///   - capacity: how many wait at the most before the lane is full.
    package init(concurrency: Int, capacity: Int = 1000, lastEventIdentifier: String? = nil) {
        self.concurrency = concurrency
        self.capacity = max(capacity, concurrency)
        progress = HookProgress(lastEventIdentifier: lastEventIdentifier)
    }

    /// Whether no more can be offered now.
    package var isFull: Bool { queue.count >= capacity || queuedBytes >= HookProgress.mostBytes }
    /// Whether everything that was offered is finished.
    package var isIdle: Bool { queue.isEmpty }
    /// What an earlier run finished beyond its cursor, in one of the files.
    package mutating func skip(_ ends: [Int64], in file: Int) { progress.skip(ends, in: file) }

    /// Takes an event.
    ///
    /// - Parameters:
    ///   - file: the position of the event's file before it; asked where it isn't known.
    ///   - key: events of equal keys stay in order.
    package mutating func offer(
        _ event: Event, at place: StreamPlace?, key: String? = nil, file: () -> Cursor.File?
    ) {
        if let place, !progress.begins(at: place, file: file) { return }
        queue.append(Assignment(number: offered, event: event, place: place, key: key))
        queuedBytes += event.line.count
        offered += 1
    }

    /// The next event to be begun now; it counts as running from then on.
    package mutating func begin(now: UInt64) -> Assignment? {
        guard let position = startable(now: now) else { return nil }
        queue[position].state = .running
        queue[position].attempt += 1
        running += 1
        return queue[position]
    }

    /// When something that waits may be begun, if nothing else happens before; nil where nothing waits for its time.
    package var deadline: UInt64? {
        guard running < concurrency else { return nil }
        var earliest: UInt64?
        forEachCandidate { position, until in
            earliest = min(earliest ?? until, until)
            return true
        }
        return earliest
    }

    private func startable(now: UInt64) -> Int? {
        guard running < concurrency else { return nil }
        var found: Int?
        forEachCandidate { position, until in
            if until <= now { found = position }
            return found == nil
        }
        return found
    }

    /// Goes through what order allows to be begun, the oldest first, until `body` gives false.
    private func forEachCandidate(_ body: (_ position: Int, _ until: UInt64) -> Bool) {
        var taken: Set<String> = []
        for position in queue.indices {
            let assignment = queue[position]
            if assignment.state == .finished { continue }
            if let key = assignment.key, !taken.insert(key).inserted { continue }
            if case .waiting(let until) = assignment.state, !body(position, until) { return }
            // One at a time: nothing overtakes the oldest one.
            if concurrency == 1 { return }
        }
    }

    /// An event was acknowledged, or given up.
    package mutating func finish(_ number: Int) {
        guard let position = position(of: number) else { return }
        if queue[position].state == .running { running -= 1 }
        queue[position].state = .finished
        progress.lastEventIdentifier = queue[position].event.identifier
        while let first = queue.first, first.state == .finished {
            queuedBytes -= first.event.line.count
            queue.removeFirst()
        }
    }

    /// An attempt failed: the event is tried again, not before a time of `MonotonicClock`.
    package mutating func again(_ number: Int, at time: UInt64, after failure: FailedAttempt) {
        guard let position = position(of: number), queue[position].state == .running else { return }
        running -= 1
        queue[position].failures.append(failure)
        queue[position].state = .waiting(until: time)
    }

    /// An attempt was none: the daemon stops, or could not start it. The event is as if it had not been begun.
    package mutating func takeBack(_ number: Int) {
        guard let position = position(of: number), queue[position].state == .running else { return }
        running -= 1
        queue[position].attempt -= 1
        queue[position].state = .waiting(until: 0)
    }

    private func position(of number: Int) -> Int? {
        guard let first = queue.first else { return nil }
        let position = number - first.number
        return queue.indices.contains(position) ? position : nil
    }

    /// Where the hook is: what a restart has to begin with.
    ///
    /// - Parameter reading: how far each open file was read and offered.
    package mutating func cursor(reading: [(file: Int, position: Cursor.File)]) -> Cursor {
        progress.cursor(
            reading: reading,
            events: queue.indices.lazy.compactMap { [queue] position in
                queue[position].place.map { ($0, queue[position].state == .finished) }
            })
    }
}
