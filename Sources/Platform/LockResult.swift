import Synchronization

/// Where the waiting thread of `FileLock` leaves the outcome: 0 or an `errno`.
final class LockResult: Sendable {
    let code = Atomic<CInt>(0)
}
