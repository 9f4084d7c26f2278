// A file of an unpacked layer as an entry of an archive for a CernVM-FS server, which keeps less of it than a file
// system does: what is lost is noted, so that it can be said.

import Archive
import CLinux
import Glibc
import Platform

/// A file as it lies in a directory.
struct ArchivedEntry {
    /// What is said of files of that name.
    static let catalogueLoss = "files named .cvmfscatalog, which CernVM-FS has for itself"

    let information: stat
    private let path: [CChar]
    private let directory: CInt

    /// Looks at a file; links are not followed.
    ///
    /// - Parameter path: a C string.
    /// - Throws: `SystemError`.
    init(_ path: [CChar], at directory: CInt) throws(SystemError) {
        var information = stat()
        guard fstatat(directory, path, &information, AT_SYMLINK_NOFOLLOW) == 0 else {
            throw SystemError("look at", String(decodingCString: path))
        }
        self.information = information
        self.path = path
        self.directory = directory
    }

    var type: mode_t { information.st_mode & S_IFMT }

    /// The first name of a regular file that has several; nil for one that hasn't, and where this is the first: then it is
    /// noted.
    func firstName(_ path: [CChar], _ names: inout [FileNumber: [CChar]]) -> [CChar]? {
        guard information.st_nlink > 1, type == S_IFREG else { return nil }
        let number = FileNumber(device: information.st_dev, inode: information.st_ino)
        if let first = names[number] { return first }
        names[number] = path
        return nil
    }

    /// What it is in an archive, but for a regular file's bytes; nil for a socket, which no archive has.
    ///
    /// - Throws: `SystemError`.
    func content() throws(SystemError) -> TarWriter.Content? {
        switch type {
        case S_IFDIR: return .directory
        case S_IFREG: return .file(Int64(information.st_size))
        case S_IFLNK:
            var text = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
            guard readlinkat(directory, path, &text, Int(PATH_MAX)) >= 0 else {
                throw SystemError("read link", String(decodingCString: path))
            }
            return .symbolicLink(text)
        case S_IFSOCK: return nil
        default:
            return .special(
                type, major: ducc_major(information.st_rdev), minor: ducc_minor(information.st_rdev))
        }
    }

    /// Its owner, mode and time.
    ///
    /// - Parameters:
    ///   - isStaged: whether this process unpacked it: without root the owner is then what was noted.
    ///   - lost: told of what the server doesn't keep.
    func attributes(isStaged: Bool, _ lost: inout LostAttributes) -> TarAttributes {
        var attributes = TarAttributes(
            permissions: information.st_mode & 0o7777, user: Int64(information.st_uid),
            group: Int64(information.st_gid), modified: information.st_mtim.tv_sec)
        var noted: (user: uid_t, group: uid_t)?
        if type == S_IFREG || type == S_IFDIR {
            let names = extendedAttributes()
            for name in names { lost.note(AttributeWriter.phrase(name)) }
            noted = AttributeWriter.notedOwner(of: fullPath)
        }
        if isStaged, geteuid() != 0 {
            attributes.user = Int64(noted?.user ?? 0)
            attributes.group = Int64(noted?.group ?? 0)
        }
        return attributes
    }

    /// By a path from the root: there is no `listxattrat` yet.
    private var fullPath: [CChar] {
        "/proc/self/fd/\(directory)/".utf8CString.dropLast() + path
    }

    /// The image's own attributes: not overlayfs' marks, nor an unpacker's note.
    private func extendedAttributes() -> [String] {
        var list = [CChar](repeating: 0, count: 64 << 10)
        let length = llistxattr(fullPath, &list, list.count)
        guard length > 0 else { return [] }
        return list[..<length].split(separator: 0).map { String(decodingCString: Array($0) + [0]) }
            .filter { !AttributeWriter.isOurs($0) && $0 != "security.selinux" }
    }

    /// Gives an archive a regular file's bytes.
    ///
    /// - Throws: `SystemError`, `Interrupted`, the writer's errors.
    func copyBytes(to writer: TarWriter, _ buffer: UnsafeMutableRawBufferPointer) throws {
        let file = try OwnedDescriptor(opening: path, O_RDONLY | O_NOFOLLOW, at: directory)
        var left = Int(information.st_size)
        while left > 0 {
            try Interruption.check()
            let count = retrying { read(file.raw, buffer.baseAddress, min(left, buffer.count)) }
            guard count > 0 else { throw SystemError("read", String(decodingCString: path)) }
            try writer.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            left -= count
        }
    }
}

/// What the kernel knows a file by.
struct FileNumber: Hashable {
    let device: dev_t
    let inode: ino_t
}
