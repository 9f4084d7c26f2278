// The loop guard: a hook that writes events of its own (`cvmfs_ducc notify` notes what caused them) must not be told of
// them, nor of what other hooks make of them.

import Notifications

/// The events that a hook was told of, as far back as it matters.
struct OwnEvents {
    /// A hook writes what it has to say while it is told, or soon after: more than a hook can be behind.
    private static let most = 32_768

    private var known: Set<Int> = []
    private var order = Queue<Int>()

    /// Whether an event was caused by something the hook was told of; what that event causes is then its own too.
    mutating func contains(_ event: Event) -> Bool {
        guard let cause = event[.causedBy], known.contains(cause.hashValue) else { return false }
        note(event.identifier)
        return true
    }

    /// The hook is told of an event.
    mutating func note(_ identifier: String) {
        let hash = identifier.hashValue
        guard known.insert(hash).inserted else { return }
        order.append(hash)
        guard order.count > Self.most, let oldest = order.first else { return }
        known.remove(oldest)
        order.removeFirst()
    }
}
