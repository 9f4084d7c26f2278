// One writer at a time, around the short part in which things become visible; never around downloads.
//
// `/tmp/DUCC.lock` is the lock that the original DUCC takes, so that both can work on one machine: a POSIX record lock
// on the whole file. Such a lock drops when the process closes *any* descriptor of the file, so there is one descriptor
// a process, and it stays open. A second lock lies inside a directory repository, for writers on other hosts.

import Glibc
import Platform
import Synchronization

/// The lock around a repository's transactions.
package enum RepositoryLock {
    /// Where the machine's lock is: `DUCC_LOCK_FILE`, else `/tmp/DUCC.lock`.
    package static var machinePath: String {
        guard let value = getenv("DUCC_LOCK_FILE"), value.pointee != 0 else { return "/tmp/DUCC.lock" }
        return String(cString: value)
    }

    /// How long another's publishing, its lock or its lease is waited for, in seconds: half an hour, or what
    /// `DUCC_SERVER_TIMEOUT` says (`DUCC_SERVER_PATIENCE`, as it was called, is read too).
    static let timeout: UInt64 = {
        for name in ["DUCC_SERVER_TIMEOUT", "DUCC_SERVER_PATIENCE"] {
            if let seconds = getenv(name).flatMap({ UInt32(String(cString: $0)) }) { return UInt64(seconds) }
        }
        return 30 * 60
    }()

    private static let descriptors = Mutex<[String: SharedDescriptor]>([:])
    /// A record lock belongs to the process: between its own threads this one decides.
    private static let inProcess = Mutex<Void>(())

    /// Runs `body` with the machine's lock and, where given, a repository's own.
    ///
    /// - Parameter waiting: called where another process has a lock, with what to tell the user.
    /// - Throws: `RepositoryError` where a lock can't be had, `Interrupted`, what `body` throws.
    static func hold<Result>(
        inside repositoryLock: String?, waiting: (String) -> Void, _ body: () throws -> Result
    ) throws -> Result {
        let paths = [machinePath] + (repositoryLock.map { [$0] } ?? [])
        return try inProcess.withLock { _ in
            var held: [CInt] = []
            defer { for descriptor in held.reversed() { FileLock.unlockRecord(descriptor) } }
            for path in paths {
                do {
                    held.append(try lock(path, waiting))
                } catch let error as SystemError where error.code == ETIMEDOUT {
                    throw RepositoryError(
                        .locked,
                        "\(path) was held by another process for \(timeout) s: see whether that still makes progress, or "
                            + "give it more time (DUCC_SERVER_TIMEOUT)")
                } catch let error as SystemError {
                    throw RepositoryError(
                        .locked,
                        "the lock can't be had: \(error)"
                            + (path == machinePath ? "; DUCC_LOCK_FILE names another file" : ""))
                }
            }
            return try body()
        }
    }

    /// Waits for the lock of a path. Whoever had it may have put another file there: then that one's lock counts.
    private static func lock(_ path: String, _ waiting: (String) -> Void) throws -> CInt {
        while true {
            let descriptor = try open(path)
            try FileLock.waitForRecordLock(descriptor, path: path, limit: timeout * 1000) { holder in
                waiting(
                    "waiting for \(path), which "
                        + (holder > 0 ? "process \(holder) holds" : "another host holds"))
            }
            var opened = stat()
            var present = stat()
            guard fstat(descriptor, &opened) == 0 else { throw SystemError("look at", path) }
            if stat(path, &present) == 0, present.st_ino == opened.st_ino, present.st_dev == opened.st_dev {
                return descriptor
            }
            descriptors.withLock { $0[path] = nil }
        }
    }

    private static func open(_ path: String) throws(SystemError) -> CInt {
        if let known = descriptors.withLock({ $0[path] }) { return known.raw }
        let file = SharedDescriptor(try openOrCreate(path))
        descriptors.withLock { $0[path] = file }
        return file.raw
    }

    /// First without `O_CREAT`: in a sticky directory Linux refuses it for a file of somebody else's
    /// (`fs.protected_regular`), though the file may be opened.
    private static func openOrCreate(_ path: String) throws(SystemError) -> OwnedDescriptor {
        do throws(SystemError) {
            return try OwnedDescriptor(opening: path, O_RDWR | O_NOFOLLOW)
        } catch {
            guard error.code == ENOENT else { throw error }
        }
        do throws(SystemError) {
            let created = try OwnedDescriptor(
                opening: path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o666)
            // Whatever the umask: the next one to need it may be another user.
            guard fchmod(created.raw, 0o666) == 0 else { throw SystemError("set the mode of", path) }
            return created
        } catch {
            guard error.code == EEXIST else { throw error }
            return try OwnedDescriptor(opening: path, O_RDWR | O_NOFOLLOW)
        }
    }
}
