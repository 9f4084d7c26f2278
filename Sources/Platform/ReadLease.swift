// Whether anybody has a file open for writing: a read lease (fcntl(2), F_SETLEASE) is granted only where nobody has.

import Glibc

/// A read lease that is given back at once: only whether it was granted is of interest.
public enum ReadLease: Sendable {
    /// Nobody has the file open for writing.
    case granted
    /// Somebody has.
    case refused
    /// This process can't be told: it is neither the file's owner nor has CAP_LEASE, or the file system knows no leases.
    case unavailable

    /// Not shown by the C library's headers without `_GNU_SOURCE`.
    private static let setLease: CInt = 1024
    private static let unlock: CInt = 2

    /// Somebody who opens the file for writing while the lease lasts makes the kernel send SIGIO, which ends a process
    /// that doesn't say otherwise. It is ignored unless the program has a handler of its own.
    private static let isSignalIgnored: Bool = {
        var action = sigaction()
        guard sigaction(SIGIO, nil, &action) == 0 else { return false }
        // SIG_DFL is 0.
        if unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 0 { signal(SIGIO, SIG_IGN) }
        return true
    }()

    /// Asks for the lease and gives it back. A writer that opens the file meanwhile waits for a few microseconds.
    ///
    /// - Parameter descriptor: open for reading only; a descriptor of this process's own that is open for writing counts
    ///   as a writer.
    public static func probe(_ descriptor: CInt) -> ReadLease {
        guard isSignalIgnored else { return .unavailable }
        guard retrying({ fcntl(descriptor, setLease, CInt(F_RDLCK)) }) == 0 else {
            return errno == EAGAIN ? .refused : .unavailable
        }
        _ = fcntl(descriptor, setLease, unlock)
        return .granted
    }
}
