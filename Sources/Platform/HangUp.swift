// SIGHUP as a request to read the configuration again, as daemons have it.

import CLinux
import Glibc
import Synchronization

/// The process-wide request to read the configuration again.
public enum HangUp {
    private static let received = Atomic<Bool>(false)
    private static let wakeUp: CInt = ducc_eventfd()

    /// Turns SIGHUP into a request; without this it ends the process.
    public static func install() {
        _ = wakeUp  // made before a handler may need it
        var action = sigaction()
        action.__sigaction_handler.sa_handler = { _ in
            HangUp.received.store(true, ordering: .relaxed)
            var one: UInt64 = 1
            _ = write(HangUp.wakeUp, &one, 8)
        }
        sigaction(SIGHUP, &action, nil)
    }

    /// Whether it was asked for since the last call.
    public static func take() -> Bool {
        // Emptied first: what comes in between is a request of its own.
        var count: UInt64 = 0
        _ = read(wakeUp, &count, 8)
        return received.exchange(false, ordering: .relaxed)
    }

    /// A descriptor that is readable as long as a request waits: for `poll`.
    public static var descriptor: CInt { wakeUp }
}
