// Real threads for blocking work: libcurl, libarchive, read and wait never run on Swift's cooperative pool.

import Glibc
import Synchronization

/// Blocking work on threads of its own.
public enum Threads {
    /// Runs `body` for each index, `width` of them at a time, and returns when all have ended.
    ///
    /// After the first failure no further index is begun; those under way are waited for.
    /// - Throws: the first error that `body` threw.
    public static func forEach(
        _ count: Int, width: Int, _ body: @escaping @Sendable (Int) throws -> Void
    ) throws {
        if count == 0 { return }
        let state = Mutex((next: 0, failure: Error?.none))
        let work: @Sendable () -> Void = {
            while true {
                let index = state.withLock { state -> Int? in
                    guard state.failure == nil, state.next < count else { return nil }
                    state.next += 1
                    return state.next - 1
                }
                guard let index else { return }
                do { try body(index) } catch {
                    state.withLock { if $0.failure == nil { $0.failure = error } }
                }
            }
        }
        // The calling thread is one of them, so that one thread's worth of work needs no thread.
        let helpers = (1..<max(1, min(width, count))).compactMap { _ in try? start(work) }
        work()
        for helper in helpers { helper.join() }
        if let failure = state.withLock({ $0.failure }) { throw failure }
    }

    /// Starts a thread.
    ///
    /// - Throws: `SystemError` where the system has no more.
    public static func start(_ body: @escaping @Sendable () -> Void) throws(SystemError) -> RunningThread {
        let box = Unmanaged.passRetained(Work(body))
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                if let argument { Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body() }
                return nil
            }, box.toOpaque())
        guard code == 0 else {
            box.release()
            throw SystemError("start a thread", code: code)
        }
        return RunningThread(thread: thread)
    }

    private final class Work: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
}

/// A thread that was started: wait for it or let it go, one of the two.
public struct RunningThread: Sendable {
    let thread: pthread_t

    /// Waits until the thread has ended.
    public func join() { pthread_join(thread, nil) }

    /// Lets the thread end on its own.
    public func detach() { pthread_detach(thread) }
}
