// Where a hook is, told from what lies on the disk: whether a daemon runs or not, and without asking it.

import FoundationEssentials
import Following
import Notifications
import Platform

/// The event that a hook failed at last, as long as it is not done.
package struct HookTrouble: Codable, Equatable, Sendable {
    /// The event's identifier.
    package let event: String
    /// How often it was tried in vain.
    package let attempts: Int
    /// How the last attempt ended.
    package let outcome: String
    /// When that was: RFC 3339, UTC.
    package let time: String

    init(_ event: Event, attempts: Int, _ failure: FailedAttempt) {
        self.event = event.identifier
        self.attempts = attempts
        outcome = failure.outcome
        time = failure.time
    }
}

/// How far one hook is behind its stream.
package struct HookStatus: Codable, Equatable, Sendable {
    package let hook: String
    package let isPaused: Bool
    /// Events that are not done, and match the hook's filter.
    package let events: Int
    /// Bytes behind its position, whatever is in them.
    package let bytes: Int64
    /// How old the oldest event is that is not done, in seconds; 0 where none is.
    package let seconds: Double
    /// Events that were given up.
    package let dead: Int
    /// The last event that was done; nil before the first.
    package let lastEventIdentifier: String?
    /// What is being tried again.
    package let trouble: HookTrouble?

    enum CodingKeys: String, CodingKey {
        case hook, events, bytes, seconds, dead
        case trouble = "trying_again"
        case isPaused = "paused"
        case lastEventIdentifier = "last_event_id"
    }

    /// Looks at a hook.
    ///
    /// - Parameter now: seconds since 1970.
    /// - Throws: `StateError` where its cursor can't be read, `SystemError` where the stream or its dead letters can't,
    ///   `Interrupted`.
    package static func look(
        at hook: HookConfiguration, of configuration: Configuration, now: Double
    ) throws -> HookStatus {
        let found: Cursor?
        do throws(CursorError) {
            found = try CursorFile.look(name: hook.name, state: configuration.state)
        } catch { throw StateError(description: error.description, isInUse: false) }
        guard let cursor = found else {
            throw StateError(
                description:
                    "the hook \(hook.name) has no cursor in \(configuration.state): it has not been run yet, or the state is elsewhere",
                isInUse: false)
        }
        let done = Dictionary(grouping: cursor.files, by: \.fingerprint).mapValues { files in
            Set(files.flatMap { $0.done ?? [] })
        }
        let follower = try StreamFollower(
            path: configuration.stream, rotated: configuration.rotated, start: .cursor(cursor), watcher: nil)
        var events = 0
        var behind: Int64 = 0
        var oldest: Double?
        while let followed = try follower.next() {
            try Interruption.check()
            if let place = follower.place { behind += place.end - place.begin }
            guard case .event(let event) = followed, hook.filter.matches(event),
                let place = follower.place,
                done[follower.positions.first { $0.file == place.file }?.position.fingerprint ?? ""]?
                    .contains(place.end) != true
            else { continue }
            events += 1
            if oldest == nil, let time = event.timestamp.flatMap({ Timestamp(rfc3339: $0) }) {
                oldest = Double(time.seconds)
            }
        }
        return HookStatus(
            hook: hook.name, isPaused: StateDirectory(configuration.state).isPaused(hook.name),
            events: events,
            bytes: behind, seconds: oldest.map { max(0, now - $0) } ?? 0,
            dead: try DeadLetterFile(hook: hook.name, state: configuration.state).count(),
            lastEventIdentifier: cursor.lastEventIdentifier,
            trouble: StateDirectory(configuration.state).trouble(of: hook.name))
    }
}
