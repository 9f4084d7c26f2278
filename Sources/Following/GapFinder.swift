// Events that should be there and are not. A run counts its events, and a follower gives each run's events in order: a
// number that is passed over was lost, by a truncation (`copytruncate` loses what is written between its copy and that),
// by a file that went unread, or by a writer that could not write, which then says so itself.

import Notifications

/// Events of one run that are missing.
public struct StreamGap: Sendable {
    /// The run's UUID.
    public let run: String
    /// The `seq` of the first that is missing, and of the last.
    public let missing: ClosedRange<UInt64>
    /// Whether the writer itself says that it could not write them.
    public let isDeclared: Bool
    /// The event before which they are missing.
    private let next: Event

    /// - Parameter next: the event of the run before which they are missing.
    init(_ missing: ClosedRange<UInt64>, before next: Event) {
        run = String(next.identifier.prefix(36))
        self.missing = missing
        isDeclared = next.lost.map { $0.clamped(to: missing) == missing } ?? false
        self.next = next
    }

    /// What there is to say about it, as an event: the same each time.
    ///
    /// Its `event_id` is `RUN:FIRST-LAST`, its `action` `notification_gap`, its time that of the event behind the gap.
    public var event: Event? {
        var fields: [(Field, String)] = []
        if let time = next[.time] { fields.append((.time, time)) }
        if let timestamp = next.timestamp { fields.append((.timestamp, timestamp)) }
        fields += [
            (.action, "notification_gap"),
            (.eventIdentifier, "\(run):\(missing.lowerBound)-\(missing.upperBound)"),
            (.runIdentifier, run), (.lostFirst, "\(missing.lowerBound)"),
            (.lostLast, "\(missing.upperBound)"),
            (.reason, isDeclared ? "their writer could not write them" : "they are not in the stream"),
        ]
        return Event(fields)
    }
}

extension StreamGap: CustomStringConvertible {
    /// What is missing, and how that can be.
    public var description: String {
        let numbers =
            missing.lowerBound == missing.upperBound
            ? "event \(missing.lowerBound) of run \(run) is"
            : "events \(missing.lowerBound) to \(missing.upperBound) of run \(run) are"
        return "\(numbers) missing: "
            + (isDeclared
                ? "their writer could not write them"
                : "lost before they could be read (copytruncate does that, or a file that went unread)")
    }
}

/// Finds what is missing in the events of a stream.
struct GapFinder {
    /// The last event of a run.
    private struct Last {
        /// 0 before the first.
        var number: UInt64 = 0
        var unknownParts = 0
    }

    /// The run of the last event, and that event. Mostly the next one is of the same run.
    private var run: UInt128 = 0
    private var newest = Last()
    /// The last event of each other run; of those that were not heard of for long in `older`, and then no more.
    private var last: [UInt128: Last] = [:]
    private var older: [UInt128: Last] = [:]
    private static let most = 8192

    /// Looks at the next event's place in its run.
    ///
    /// - Parameter unknownParts: how many parts of the stream lie before it of which nothing is known: there may be
    ///   what seems to be missing.
    /// - Returns: what is missing before it. A run that was not heard of before may have begun before the reading did.
    mutating func look(at position: RunPosition?, behind unknownParts: Int) -> ClosedRange<UInt64>? {
        guard let position else { return nil }
        if position.run != run { turn(to: position.run) }
        let known = newest
        if position.number <= known.number { return nil }
        newest.number = position.number
        if unknownParts > known.unknownParts {
            newest.unknownParts = unknownParts
            return nil
        }
        return known.number > 0 && position.number > known.number + 1
            ? known.number + 1...position.number - 1 : nil
    }

    private mutating func turn(to other: UInt128) {
        if newest.number > 0 { remember(newest, of: run) }
        run = other
        newest = last[other] ?? older[other] ?? Last()
    }

    private mutating func remember(_ event: Last, of run: UInt128) {
        if last.count >= Self.most {
            older = last
            last = [:]
        }
        last[run] = event
    }

    /// Takes over what another one knows of the same place in the stream.
    ///
    /// - Parameters:
    ///   - theirs: how many unknown parts lie before that place for it.
    ///   - ours: and how many here.
    mutating func learn(from other: GapFinder, theirs: Int, ours: Int) {
        turn(to: 0)
        let events = other.older.merging(other.last) { $1 }.merging([other.run: other.newest]) { $1 }
        for (run, event) in events where event.number > 0 && event.unknownParts == theirs {
            guard let known = last[run] ?? older[run] else {
                remember(Last(number: event.number, unknownParts: ours), of: run)
                continue
            }
            // What only one of them has read the other's hooks were not given: that is missing for them.
            if event.number < known.number {
                remember(Last(number: event.number, unknownParts: ours), of: run)
            }
        }
    }
}
