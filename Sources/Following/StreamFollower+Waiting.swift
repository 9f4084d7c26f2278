// When a stream is looked at again: when the kernel says that something happened, when a renamed file may be finished,
// and from time to time where nobody would say so.

import Glibc
import Platform

extension StreamFollower {
    /// How often a stream is looked at of which no event is certain to come.
    private static let pollInterval: UInt64 = 250_000_000
    /// When there is something to look at although nothing happened, of `MonotonicClock`; nil: only then.
    public var deadline: UInt64? {
        let polled = isWatched ? nil : MonotonicClock.nanoseconds() + Self.pollInterval
        return [machine.deadline, polled].compactMap { $0 }.min()
    }

    /// Waits until something may have happened.
    ///
    /// - Parameter deadline: of `MonotonicClock`; not longer than until then.
    /// - Throws: `Interrupted`.
    public func wait(until deadline: UInt64? = nil) throws(Interrupted) {
        try Interruption.check()
        let now = MonotonicClock.nanoseconds()
        let ends = [deadline, self.deadline].compactMap { $0 }
        // A millisecond more than the rest, so that the time has really come.
        let timeout = ends.min().map { CInt(min(($0 > now ? $0 - now : 0) / 1_000_000 + 1, 1 << 30)) } ?? -1
        var descriptors = [
            pollfd(fd: Interruption.descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: watcher?.descriptor ?? -1, events: Int16(POLLIN), revents: 0),
        ]
        poll(&descriptors, 2, timeout)
        if descriptors[1].revents != 0 { _ = watcher?.drain() }
        try Interruption.check()
    }
}
