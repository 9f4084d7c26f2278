// State that threads share and wait for each other about: a mutex with the condition variable that belongs to it.

import Glibc

/// Some state, one thread at a time, and waiting until it has become what one waits for.
public final class Monitor<State>: @unchecked Sendable {
    // Guarded by the mutex; both objects need a fixed address.
    private var state: State
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    /// A monitor with its first state.
    public init(_ state: State) {
        self.state = state
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(changed, nil)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    /// Changes the state; whoever waits looks at it again.
    public func change(_ body: (inout State) -> Void) {
        pthread_mutex_lock(mutex)
        body(&state)
        pthread_cond_broadcast(changed)
        pthread_mutex_unlock(mutex)
    }

    /// Looks at the state until `body` has found what it waits for; it may then change it, unseen by others who wait.
    ///
    /// - Parameter body: gives nil as long as it has to wait.
    public func wait<Result>(_ body: (inout State) -> Result?) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let result = body(&state) { return result }
            pthread_cond_wait(changed, mutex)
        }
    }
}
