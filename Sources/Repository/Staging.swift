// Where an image is put together before it becomes visible: a directory of its own. For a directory repository it is in
// the repository, on the same file system, so that everything in it can be renamed into place and hard links reach it; for
// CernVM-FS it is in the temporary directory, below one that belongs to this user alone: others have their own.
//
// Each staging directory has a lock file (`UUID.lock`) that its process holds, as a lock of that one descriptor: it goes
// with the process. Whoever opens the repository to write removes those whose lock is free: their process is gone. So a
// killed conversion leaves nothing for longer than until the next one.

import CLinux
import Glibc
import Platform

/// A private directory.
final class Staging: Sendable {
    /// The staging directories' parent, relative to a directory repository.
    static let directory = ".ducc-staging"

    /// The staging directories' parent in a temporary directory that other users have too.
    static func spool(in temporaryDirectory: String) -> String {
        "\(temporaryDirectory)/.ducc-spool-\(geteuid())"
    }
    /// The repository's own lock, for writers on other hosts. Its name is none of a staging directory's lock.
    static let repositoryLock = "\(directory)/repository-lock"

    /// The directory's name: of this publication and of no other.
    let name: String
    /// The directory's path.
    let path: String
    /// The directory.
    let descriptor: SharedDescriptor
    private let lockPath: String
    private let lock: SharedDescriptor

    /// Makes a staging directory.
    ///
    /// - Parameter parent: where it is made; made itself where it does not exist.
    /// - Throws: `SystemError`.
    init(in parent: String) throws(SystemError) {
        try Files.makeDirectories(parent, mode: 0o700)
        let (name, lock) = try Self.makeLock(in: parent)
        self.name = name
        self.lock = lock
        lockPath = "\(parent)/\(name).lock"
        path = "\(parent)/\(name)"
        do throws(SystemError) {
            guard mkdir(path, 0o700) == 0 else { throw SystemError("create directory", path) }
            // A default ACL of the repository's would decide the modes of everything unpacked here.
            removexattr(path, "system.posix_acl_default")
            descriptor = SharedDescriptor(try OwnedDescriptor(opening: path, O_RDONLY | O_DIRECTORY))
        } catch {
            rmdir(path)
            unlink(lockPath)
            throw error
        }
    }

    /// Whether a name is that of another publication that is under way. (Those of processes that are gone were cleaned
    /// when the repository was opened.)
    func isAnothers(_ other: String) -> Bool {
        other != name && Files.exists("\(Files.parentPath(of: path))/\(other).lock")
    }

    /// Removes the directory with what is left in it.
    ///
    /// - Throws: `SystemError`; the next one to stage tries again.
    func remove() throws(SystemError) {
        try Files.removeTree(path)
        unlink(lockPath)
    }

    /// Removes the staging directories of processes that are gone. A failure is none of the caller's: the next one
    /// tries again.
    static func clean(in parent: String) {
        for name in (try? DirectoryEntry.names(in: parent)) ?? [] where name.hasSuffix(".lock") {
            let lockPath = "\(parent)/\(name)"
            guard let file = try? OwnedDescriptor(opening: lockPath, O_RDWR | O_NOFOLLOW),
                (try? FileLock.tryDescriptorLock(file.raw, path: lockPath)) == true
            else { continue }
            guard (try? Files.removeTree("\(parent)/\(name.dropLast(".lock".count))")) != nil else {
                continue
            }
            unlink(lockPath)
        }
    }

    /// Makes the parent in a temporary directory, and makes sure that it is this user's: in one that all may write to,
    /// another user can have made it first, or a link of its name.
    ///
    /// - Throws: `RepositoryError`, `SystemError`.
    static func makeSpool(in temporaryDirectory: String) throws -> String {
        let path = spool(in: temporaryDirectory)
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw SystemError("create directory", path) }
        var information = stat()
        guard lstat(path, &information) == 0 else { throw SystemError("look at", path) }
        guard information.st_mode & S_IFMT == S_IFDIR, information.st_uid == geteuid(),
            information.st_mode & 0o022 == 0
        else {
            throw RepositoryError(
                .refused,
                "\(path) is not a directory that only this user can write to: remove it, or name another directory with "
                    + "--temporary-dir")
        }
        return path
    }

    private static func makeLock(in parent: String) throws(SystemError) -> (String, SharedDescriptor) {
        while true {
            let name = RandomIdentifier.uuid()
            let path = "\(parent)/\(name).lock"
            let file = try OwnedDescriptor(opening: path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
            // Between its creation and its lock somebody who cleans may have taken the file for a dead process's.
            guard try FileLock.tryDescriptorLock(file.raw, path: path), Files.exists(path) else { continue }
            return (name, SharedDescriptor(file))
        }
    }
}
