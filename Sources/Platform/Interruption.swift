// Ctrl-C and SIGTERM as a request that the work looks at, instead of an end at any instruction: what is open is
// closed, staging is removed and the ends of open events are written before the process leaves.

import CLinux
import Glibc
import Synchronization

/// The work was asked to stop by a signal.
public struct Interrupted: Error, CustomStringConvertible, Sendable {
    /// SIGINT or SIGTERM.
    public let signal: CInt
    /// "interrupted", the word that events carry too.
    public var description: String { "interrupted" }
    /// What a shell expects of a process that a signal ended: 128 + the signal's number.
    public var exitCode: CInt { 128 + signal }
}

/// The process-wide request to stop.
public enum Interruption {
    private static let received = Atomic<CInt>(0)
    private static let wakeUp: CInt = ducc_eventfd()

    /// Turns SIGINT and SIGTERM into a request to stop; a second one ends the process at once.
    /// SIGPIPE and SIGXFSZ are ignored from here on: they become errors of the write that caused them.
    public static func install() {
        _ = wakeUp  // made before a handler may need it
        for number in [SIGINT, SIGTERM] {
            var action = sigaction()
            action.__sigaction_handler.sa_handler = { number in
                if Interruption.received.exchange(number, ordering: .relaxed) != 0 { _exit(128 + number) }
                var one: UInt64 = 1
                _ = write(Interruption.wakeUp, &one, 8)
            }
            // A signal ignored by whoever started us (nohup, a shell's background job) stays ignored.
            var old = sigaction()
            sigaction(number, nil, &old)
            if unsafeBitCast(old.__sigaction_handler.sa_handler, to: Int.self) == 1 { continue }
            sigaction(number, &action, nil)
        }
        // Inherited as ignored, children would vanish before anybody could ask how they ended.
        Glibc.signal(SIGCHLD, SIG_DFL)
        Glibc.signal(SIGPIPE, SIG_IGN)
        Glibc.signal(SIGXFSZ, SIG_IGN)
    }

    /// The signal that asked the process to stop, or nil.
    public static var signal: CInt? {
        let number = received.load(ordering: .relaxed)
        return number == 0 ? nil : number
    }

    /// Throws `Interrupted` once a signal asked the process to stop. Cheap: one load.
    @inline(__always) public static func check() throws(Interrupted) {
        if let signal { throw Interrupted(signal: signal) }
    }

    /// A descriptor that becomes, and stays, readable when a signal asks the process to stop: for `poll`.
    public static var descriptor: CInt { wakeUp }

    /// Waits, but no longer than until a signal asks the process to stop.
    ///
    /// - Throws: `Interrupted`.
    public static func sleep(milliseconds: Int) throws(Interrupted) {
        let end = MonotonicClock.nanoseconds() + UInt64(milliseconds) * 1_000_000
        while true {
            try check()
            let now = MonotonicClock.nanoseconds()
            guard now < end else { return }
            var descriptor = pollfd(fd: wakeUp, events: Int16(POLLIN), revents: 0)
            poll(&descriptor, 1, CInt(min((end - now) / 1_000_000 + 1, 1 << 30)))
        }
    }
}

/// The clock that only runs forward.
public enum MonotonicClock {
    /// Nanoseconds since some fixed instant.
    public static func nanoseconds() -> UInt64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
    }
}
