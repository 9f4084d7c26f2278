// A thread that waits for a POSIX record lock. Only a signal ends such a wait (`F_SETLKW`), and the lock belongs to the
// whole process. A thread whose caller has timed out may therefore still get the lock. If it then unlocked the file, it
// would release a lock that another caller has taken meanwhile. So each descriptor has at most one such thread: later
// callers wait for the same thread, and a lock that arrives while no caller waits is released at once.

import CLinux
import Glibc
import Synchronization

/// One wait for a lock.
final class RecordLockWaiter: Sendable {
    private enum State {
        case waiting(isWanted: Bool)
        /// 0: locked; else an `errno`.
        case ended(CInt)
        /// The lock came when no caller was waiting, and was released.
        case givenBack
    }

    /// What a wait came to.
    enum Outcome {
        case locked
        /// The lock had come, and was given back.
        case givenBack
        /// The wait goes on, for another call.
        case limit
    }

    private let state = Mutex(State.waiting(isWanted: true))
    private let done: SharedDescriptor
    private let descriptor: CInt

    /// Begins to wait.
    ///
    /// - Throws: `SystemError`.
    init(_ descriptor: CInt, path: String) throws {
        let counter = ducc_eventfd()
        guard counter >= 0 else { throw SystemError("wait for", path) }
        done = SharedDescriptor(OwnedDescriptor(raw: counter))
        self.descriptor = descriptor
        try Threads.start { [self] in run() }.detach()
    }

    private func run() {
        var lock = flock()
        lock.l_type = Int16(F_WRLCK)
        let code = retrying { fcntl(descriptor, F_SETLKW, &lock) } == 0 ? 0 : errno
        state.withLock { state in
            if case .waiting(isWanted: false) = state {
                if code == 0 { FileLock.unlockRecord(descriptor) }
                state = .givenBack
            } else {
                state = .ended(code)
            }
        }
        var one: UInt64 = 1
        _ = write(done.raw, &one, 8)
    }

    /// Waits for the lock.
    ///
    /// - Throws: `SystemError`, `Interrupted`.
    func wait(limit: UInt64?, path: String) throws -> Outcome {
        state.withLock { if case .waiting = $0 { $0 = .waiting(isWanted: true) } }
        let end = limit.map { MonotonicClock.nanoseconds() + $0 * 1_000_000 }
        while true {
            var descriptors = [
                pollfd(fd: done.raw, events: Int16(POLLIN), revents: 0),
                pollfd(fd: Interruption.descriptor, events: Int16(POLLIN), revents: 0),
            ]
            let now = MonotonicClock.nanoseconds()
            let left = end.map { $0 <= now ? 0 : CInt(clamping: ($0 - now) / 1_000_000 + 1) } ?? -1
            if poll(&descriptors, 2, left) == 0 {
                let isOver = state.withLock { state in
                    guard case .waiting = state else { return false }
                    state = .waiting(isWanted: false)
                    return true
                }
                if isOver { return .limit }
            }
            if descriptors[0].revents != 0 { break }
            try Interruption.check()
        }
        switch state.withLock({ $0 }) {
        case .ended(0): return .locked
        case .ended(let code): throw SystemError("lock", path, code: code)
        case .waiting, .givenBack: return .givenBack
        }
    }
}
