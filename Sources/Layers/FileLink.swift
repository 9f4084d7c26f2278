// One file under a second name: a hard link where the file system allows one more, otherwise a copy that differs in
// nothing but its inode.

import CLinux
import Glibc
import Platform

/// Gives files further names.
package enum FileLink {
    /// Links a file, or copies it where it can have no further link (`EMLINK`), or where the two names lie on
    /// different file systems (`EXDEV`) or the file is not ours to link (`EPERM`, `protected_hardlinks`).
    ///
    /// - Returns: whether it is a link.
    /// - Throws: `SystemError`.
    @discardableResult
    package static func link(
        _ source: UnsafePointer<CChar>, at sourceDirectory: CInt, to target: UnsafePointer<CChar>,
        at targetDirectory: CInt
    ) throws(SystemError) -> Bool {
        if linkat(sourceDirectory, source, targetDirectory, target, 0) == 0 { return true }
        guard errno == EMLINK || errno == EXDEV || errno == EPERM else {
            throw SystemError("link", String(cString: target))
        }
        try copy(source, at: sourceDirectory, to: target, at: targetDirectory)
        return false
    }

    private static func copy(
        _ source: UnsafePointer<CChar>, at sourceDirectory: CInt, to target: UnsafePointer<CChar>,
        at targetDirectory: CInt
    ) throws(SystemError) {
        var information = stat()
        guard fstatat(sourceDirectory, source, &information, AT_SYMLINK_NOFOLLOW) == 0 else {
            throw SystemError("copy", String(cString: source))
        }
        switch information.st_mode & S_IFMT {
        case S_IFREG: try copyFile(source, at: sourceDirectory, to: target, at: targetDirectory)
        case S_IFLNK:
            var text = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
            guard readlinkat(sourceDirectory, source, &text, Int(PATH_MAX)) >= 0,
                symlinkat(text, targetDirectory, target) == 0
            else { throw SystemError("copy", String(cString: target)) }
            try copySpecial(information, to: target, at: targetDirectory)
        default:
            guard mknodat(targetDirectory, target, information.st_mode, information.st_rdev) == 0 else {
                throw SystemError("copy", String(cString: target))
            }
            guard fchmodat(targetDirectory, target, information.st_mode & 0o7777, 0) == 0 else {
                throw SystemError("set the mode of", String(cString: target))
            }
            try copySpecial(information, to: target, at: targetDirectory)
        }
    }

    private static func copyFile(
        _ source: UnsafePointer<CChar>, at sourceDirectory: CInt, to target: UnsafePointer<CChar>,
        at targetDirectory: CInt
    ) throws(SystemError) {
        let input = try OwnedDescriptor(opening: source, O_RDONLY | O_NOFOLLOW, at: sourceDirectory)
        let output = try OwnedDescriptor(
            opening: target, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600, at: targetDirectory)
        while true {
            // The kernel copies, and shares blocks where the file system can.
            let count = retrying { copy_file_range(input.raw, nil, output.raw, nil, 1 << 30, 0) }
            guard count >= 0 else { throw SystemError("copy", String(cString: target)) }
            if count == 0 { break }
        }
        try AttributeCopy.copy(from: input.raw, to: output.raw)
    }

    private static func copySpecial(
        _ information: stat, to target: UnsafePointer<CChar>, at directory: CInt
    ) throws(SystemError) {
        if geteuid() == 0 {
            guard
                fchownat(directory, target, information.st_uid, information.st_gid, AT_SYMLINK_NOFOLLOW) == 0
            else { throw SystemError("set the owner of", String(cString: target)) }
        }
        var times = [information.st_mtim, information.st_mtim]
        guard utimensat(directory, target, &times, AT_SYMLINK_NOFOLLOW) == 0 else {
            throw SystemError("set the time of", String(cString: target))
        }
    }
}

/// Makes one file or directory look like another.
package enum AttributeCopy {
    /// Copies owner (as root), extended attributes but overlayfs' marks, mode and time between open files.
    ///
    /// - Throws: `SystemError`.
    package static func copy(from source: CInt, to target: CInt) throws(SystemError) {
        var information = stat()
        guard fstat(source, &information) == 0 else { throw SystemError("read the attributes") }
        try copy(information, from: source, to: target)
        var times = [information.st_mtim, information.st_mtim]
        guard futimens(target, &times) == 0 else { throw SystemError("set the time") }
    }

    /// Copies owner (as root), extended attributes but overlayfs' marks, and mode; the time is left.
    ///
    /// - Throws: `SystemError`.
    package static func copy(_ information: stat, from source: CInt, to target: CInt) throws(SystemError) {
        if geteuid() == 0, information.st_uid != 0 || information.st_gid != 0 {
            guard fchown(target, information.st_uid, information.st_gid) == 0 else {
                throw SystemError("set the owner")
            }
        }
        try copyExtendedAttributes(from: source, to: target)
        guard fchmod(target, information.st_mode & 0o7777) == 0 else { throw SystemError("set the mode") }
    }

    private static func copyExtendedAttributes(from source: CInt, to target: CInt) throws(SystemError) {
        for attribute in try OverlayMarks.otherAttributes(of: source) {
            let text = String(decodingCString: attribute)
            var value = [UInt8](repeating: 0, count: 64 << 10)
            let count = fgetxattr(source, attribute, &value, value.count)
            guard count >= 0 else { throw SystemError("read extended attribute \(text)") }
            // What the file system itself adds (security.selinux …) may not be ours to set.
            guard fsetxattr(target, attribute, value, count, 0) == 0 || errno == EPERM || errno == ENOTSUP
            else {
                throw SystemError("set extended attribute \(text)")
            }
        }
    }
}
