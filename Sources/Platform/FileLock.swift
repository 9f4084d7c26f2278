// Two kinds of lock on a whole file. A POSIX record lock belongs to the process and drops when *any* descriptor of
// the file is closed: the kind that the original DUCC takes, and that NFS carries to other hosts. An open file
// description lock belongs to one descriptor.

import CLinux
import Glibc

/// Locks on whole files.
public enum FileLock {
    /// Takes an exclusive POSIX record lock, waiting for whoever has it.
    ///
    /// The wait itself (`F_SETLKW`: first come, first served, as the original DUCC waits) runs on a thread of its own,
    /// so that a signal can end the wait.
    /// - Parameters:
    ///   - descriptor: a descriptor open for writing, the only one of its file in this process.
    ///   - onWait: called once where another process has the lock, with that process's number (0: on another host).
    /// - Throws: `SystemError`, `Interrupted`.
    public static func waitForRecordLock(
        _ descriptor: CInt, path: String, onWait: (pid_t) -> Void
    ) throws {
        var lock = flock()
        lock.l_type = Int16(F_WRLCK)
        if fcntl(descriptor, F_SETLK, &lock) == 0 { return }
        guard errno == EAGAIN || errno == EACCES else { throw SystemError("lock", path) }
        var holder = flock()
        holder.l_type = Int16(F_WRLCK)
        _ = fcntl(descriptor, F_GETLK, &holder)
        onWait(holder.l_type == Int16(F_UNLCK) ? 0 : max(0, holder.l_pid))

        let counter = ducc_eventfd()
        guard counter >= 0 else { throw SystemError("wait for", path) }
        let done = SharedDescriptor(OwnedDescriptor(raw: counter))
        let result = LockResult()
        try Threads.start {
            var lock = flock()
            lock.l_type = Int16(F_WRLCK)
            let code = retrying { fcntl(descriptor, F_SETLKW, &lock) } == 0 ? 0 : errno
            result.code.store(code, ordering: .releasing)
            var one: UInt64 = 1
            _ = write(done.raw, &one, 8)
        }.detach()
        while true {
            var descriptors = [
                pollfd(fd: done.raw, events: Int16(POLLIN), revents: 0),
                pollfd(fd: Interruption.descriptor, events: Int16(POLLIN), revents: 0),
            ]
            poll(&descriptors, 2, -1)
            if descriptors[0].revents != 0 { break }
            try Interruption.check()
        }
        let code = result.code.load(ordering: .acquiring)
        guard code == 0 else { throw SystemError("lock", path, code: code) }
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
