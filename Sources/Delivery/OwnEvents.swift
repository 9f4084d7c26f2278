// The loop guard: a hook that writes events of its own (`cvmfs_ducc notify` notes what caused them) must not be told of
// them, nor of what other hooks make of them.

import Notifications

/// The events that a hook was told of, as far back as it matters.
struct OwnEvents {
    /// A hook writes what it has to say while it is told, or soon after: more than a hook can be behind.
    private static let most = 32_768

    private var known: Set<Int> = []
    private var order = Queue<Int>()

    /// Whether the hook was told of an event, or that comes from one it was told of.
    func contains(_ identifier: String) -> Bool { known.contains(identifier.hashValue) }

    /// Another event is there, caused by one: whatever that one is, this one is too.
    mutating func follow(_ identifier: String, from cause: String) {
        if contains(cause) { note(identifier) }
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
