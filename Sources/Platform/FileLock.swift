// Two kinds of lock on a whole file. A POSIX record lock belongs to the process and drops when *any* descriptor of
// the file is closed: the kind that the original DUCC takes, and that NFS carries to other hosts. An open file
// description lock belongs to one descriptor.

import CLinux
import Glibc
import Synchronization

/// Locks on whole files.
public enum FileLock {
    /// Takes an exclusive POSIX record lock, waiting for whoever has it.
    ///
    /// The wait itself (`F_SETLKW`: first come, first served, as the original DUCC waits) runs on a thread of its own,
    /// so that a signal, or a limit, can end the wait.
    /// - Parameters:
    ///   - descriptor: a descriptor open for writing, the only one of its file in this process. It stays open.
    ///   - limit: how long is waited, in milliseconds; nil: without end.
    ///   - onWait: called once where another process has the lock, with that process's number (0: on another host).
    /// - Throws: `SystemError`, with `ETIMEDOUT` at the limit; `Interrupted`.
    public static func waitForRecordLock(
        _ descriptor: CInt, path: String, limit: UInt64? = nil, onWait: (pid_t) -> Void
    ) throws {
        var isSaid = false
        while true {
            let known = waiters.withLock { $0.removeValue(forKey: descriptor) }
            if known == nil {
                var lock = flock()
                lock.l_type = Int16(F_WRLCK)
                if fcntl(descriptor, F_SETLK, &lock) == 0 { return }
                guard errno == EAGAIN || errno == EACCES else { throw SystemError("lock", path) }
            }
            if !isSaid { onWait(holder(of: descriptor)) }
            isSaid = true
            let waiter = try known ?? RecordLockWaiter(descriptor, path: path)
            switch try waiter.wait(limit: limit, path: path) {
            case .locked: return
            case .givenBack: continue
            case .limit:
                waiters.withLock { $0[descriptor] = waiter }
                throw SystemError("lock", path, code: ETIMEDOUT)
            }
        }
    }

    /// The waits that ended before the lock came, by their descriptors.
    private static let waiters = Mutex<[CInt: RecordLockWaiter]>([:])

    /// The process that has a record lock; 0 where it is on another host, or has given it back.
    public static func holder(of descriptor: CInt) -> pid_t {
        var holder = flock()
        holder.l_type = Int16(F_WRLCK)
        _ = fcntl(descriptor, F_GETLK, &holder)
        return holder.l_type == Int16(F_UNLCK) ? 0 : max(0, holder.l_pid)
    }

    /// Gives a POSIX record lock back.
    public static func unlockRecord(_ descriptor: CInt) {
        var lock = flock()
        lock.l_type = Int16(F_UNLCK)
        _ = fcntl(descriptor, F_SETLK, &lock)
    }

    /// Tries to take an exclusive lock that belongs to this descriptor alone and goes with it.
    ///
    /// - Returns: false where somebody else has it.
    /// - Throws: `SystemError` where the file system has no locks.
    public static func tryDescriptorLock(_ descriptor: CInt, path: String) throws(SystemError) -> Bool {
        var lock = flock()
        lock.l_type = Int16(F_WRLCK)
        if fcntl(descriptor, CInt(ducc_F_OFD_SETLK), &lock) == 0 { return true }
        guard errno == EAGAIN || errno == EACCES else { throw SystemError("lock", path) }
        return false
    }
}
