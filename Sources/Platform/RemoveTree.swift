// Removing a tree that somebody else laid out: links are never followed, modes do not stop the owner, and neither
// depth nor odd names matter.

import CLinux
import Glibc

extension Files {
    /// Removes whatever is at a path, without ever following a link or leaving the tree; nothing there is fine.
    ///
    /// Directories that deny their owner access are opened up first. A directory deeper than 64 levels is moved to
    /// the top of the tree before it is emptied, so that open files stay few however deep it is.
    /// - Throws: `SystemError`.
    public static func removeTree(_ name: UnsafePointer<CChar>, at directory: CInt = currentDirectory)
        throws(SystemError)
    {
        if unlinkat(directory, name, 0) == 0 || errno == ENOENT { return }
        let code = errno
        let path = String(cString: name)
        guard code == EISDIR || code == EPERM else { throw SystemError("remove", path, code: code) }
        do throws(SystemError) {
            let root = try openForRemoval(name, at: directory)
            while try removeContents(of: root.raw, depth: 0, root: root.raw, path: path) {}
        } catch {
            if error.code == ENOENT { return }
            throw SystemError("remove", path, code: error.code)
        }
        guard unlinkat(directory, name, AT_REMOVEDIR) == 0 || errno == ENOENT else {
            throw SystemError("remove directory", path)
        }
    }

    private static func openForRemoval(
        _ name: UnsafePointer<CChar>, at directory: CInt
    ) throws(SystemError) -> OwnedDescriptor {
        let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW
        if geteuid() != 0 {
            // Through O_PATH, so that a link put in the directory's place is never what gets the mode.
            let handle = try OwnedDescriptor(
                opening: name, CInt(ducc_O_PATH) | O_DIRECTORY | O_NOFOLLOW, at: directory)
            chmod("/proc/self/fd/\(handle.raw)", 0o700)
        }
        return try OwnedDescriptor(opening: name, flags, at: directory)
    }

    /// - Returns: whether something was moved up to the root, which is then to be emptied once more.
    private static func removeContents(
        of descriptor: CInt, depth: Int, root: CInt, path: String
    ) throws(SystemError) -> Bool {
        var moved = false
        for entry in try DirectoryEntry.list(descriptor, path: path) {
            if !entry.isDirectory {
                if unlinkat(descriptor, entry.name, 0) == 0 || errno == ENOENT { continue }
                guard errno == EISDIR else { throw SystemError("remove from", path) }
            }
            let child = try openForRemoval(entry.name, at: descriptor)
            if depth >= 64 {
                guard renameat(descriptor, entry.name, root, ".removed-\(RandomIdentifier.hex(16))") == 0
                else {
                    throw SystemError("move up from", path)
                }
                moved = true
                continue
            }
            if try removeContents(of: child.raw, depth: depth + 1, root: root, path: path) { moved = true }
            guard unlinkat(descriptor, entry.name, AT_REMOVEDIR) == 0 || errno == ENOENT else {
                throw SystemError("remove from", path)
            }
        }
        return moved
    }
}
