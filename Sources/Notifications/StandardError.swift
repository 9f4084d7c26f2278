// What must be said whatever becomes of the notification file, and without waiting for whoever reads it.

import Glibc
import Platform
import Synchronization

/// Standard error, as a writer uses it.
enum StandardError {
    /// How long a report may wait for room; once one has waited in vain, none does until there is some.
    private static let patience: UInt64 = 1_000_000_000
    private static let isStuck = Atomic(false)

    /// A pipe and a terminal are opened anew, so that they can be written without waiting while descriptor 2 stays a
    /// blocking one for the others. Where that is not allowed (another user made the pipe), they are written in pieces:
    /// a longer one may wait although there is room.
    private static let (descriptor, longestPiece): (CInt, Int) = {
        var information = stat()
        guard fstat(2, &information) == 0,
            [S_IFIFO, S_IFCHR].contains(information.st_mode & S_IFMT)
        else { return (2, .max) }
        let opened = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
        return opened >= 0 ? (opened, .max) : (2, Int(PIPE_BUF))
    }()

    /// Writes text to standard error; where that fails there is nobody left to tell.
    static func write(_ text: String) {
        var text = text
        text.withUTF8 { bytes in
            let deadline = MonotonicClock.nanoseconds() + (isStuck.load(ordering: .relaxed) ? 0 : patience)
            var written = 0
            while written < bytes.count {
                guard hasRoom(until: deadline) else {
                    isStuck.store(true, ordering: .relaxed)
                    return
                }
                let rest = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[written...])
                let count = retrying {
                    Glibc.write(descriptor, rest.baseAddress, min(rest.count, longestPiece))
                }
                if count < 0 && errno == EAGAIN {
                    poll(nil, 0, 1)
                    if MonotonicClock.nanoseconds() < deadline { continue }
                }
                guard count > 0 else { return }
                written += count
            }
            isStuck.store(false, ordering: .relaxed)
        }
    }

    private static func hasRoom(until deadline: UInt64) -> Bool {
        let now = MonotonicClock.nanoseconds()
        var state = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return retrying { poll(&state, 1, deadline > now ? CInt((deadline - now) / 1_000_000) + 1 : 0) } != 0
    }
}
