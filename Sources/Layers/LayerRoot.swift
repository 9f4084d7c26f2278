// Making things beneath one directory, whatever the names say.
//
// The threat: an archive from a stranger, unpacked by root. It may hold `..`, absolute names, links that lead out, and
// it may replace a directory by a link between two entries. The order of defence:
//  1. names are taken apart first (`EntryName`): nothing above the root gets further;
//  2. the *parent* is opened by the kernel as inside a chroot of the root (`openat2`, `RESOLVE_IN_ROOT`): links in it
//     are followed, but `/` and `..` end at the root;
//  3. the last component is never followed: every call takes the parent's descriptor and refuses a link
//     (`O_NOFOLLOW`, `AT_SYMLINK_NOFOLLOW`, or a call that doesn't follow by itself);
//  4. the parent last opened is remembered only until something is removed: only a removal can make the same name
//     mean another directory;
//  5. what is noted of a directory is noted under its real path, and looked up again without following any link.
// The staging directory above is readable by its owner alone, so nobody else changes the tree meanwhile.

import CLinux
import Glibc
import Platform

/// A directory on disk as the root of a layer. After an error the tree is in no defined state and is thrown away.
final class LayerRoot {
    /// A directory of the layer, open.
    final class Directory {
        fileprivate let shared: SharedDescriptor
        private let rootPath: [UInt8]

        fileprivate init(_ shared: SharedDescriptor, rootPath: [UInt8]) {
            self.shared = shared
            self.rootPath = rootPath
        }

        var descriptor: CInt { shared.raw }

        /// Its real path, without links, relative to the root; empty for the root.
        ///
        /// - Throws: `SystemError`.
        func path() throws(SystemError) -> [UInt8] {
            if let known { return known }
            let path = Array(
                try LayerRoot.realPath(of: descriptor).dropFirst(rootPath.count).drop {
                    $0 == UInt8(ascii: "/")
                })
            known = path
            return path
        }

        private var known: [UInt8]?

        /// The real path of a name in it.
        ///
        /// - Throws: `SystemError`.
        func path(of base: [UInt8]) throws(SystemError) -> [UInt8] {
            let path = try path()
            return path.isEmpty ? base : path + [UInt8(ascii: "/")] + base
        }
    }

    /// The root directory's descriptor.
    let root: SharedDescriptor
    private let rootPath: [UInt8]

    private var parentName: [CChar]?
    private var parent: Directory?

    /// - Throws: `SystemError`.
    init(_ root: SharedDescriptor) throws(SystemError) {
        self.root = root
        rootPath = try Self.realPath(of: root.raw)
    }

    /// The root directory.
    var directory: Directory { Directory(root, rootPath: rootPath) }

    /// The directory that holds an entry, where it exists.
    ///
    /// - Parameter make: makes the directory where it does not exist, and returns its real path.
    /// - Throws: `SystemError`, `Interrupted`, what `make` throws.
    func parent(of name: EntryName, make: () throws -> [CChar]) throws -> Directory {
        if name.components.count <= 1 { return directory }
        let spelled = name.parentPath
        if spelled == parentName, let parent { return parent }
        if let found = try existingParent(of: name) { return remember(found, spelled) }
        let real = try make()
        guard let made = try open(real, CInt(ducc_O_PATH) | O_DIRECTORY) else {
            throw SystemError("open", String(decodingCString: spelled), code: ENOENT)
        }
        return remember(Directory(SharedDescriptor(made), rootPath: rootPath), spelled)
    }

    /// Opens a path as inside a chroot of the root; a link as its last component isn't followed.
    ///
    /// - Parameter followsLinks: whether links before the last component are followed.
    /// - Returns: nil where there is nothing of the kind.
    /// - Throws: `SystemError`, `Interrupted`.
    func open(_ path: [CChar], _ flags: CInt, followsLinks: Bool = true) throws -> OwnedDescriptor? {
        var resolve = UInt64(ducc_RESOLVE_IN_ROOT) | UInt64(ducc_RESOLVE_NO_MAGICLINKS)
        if !followsLinks { resolve |= UInt64(ducc_RESOLVE_NO_SYMLINKS) }
        while true {
            let result = retrying { ducc_openat2(root.raw, path, UInt64(flags | O_CLOEXEC), 0, resolve) }
            if result >= 0 { return OwnedDescriptor(raw: result) }
            switch errno {
            case EAGAIN:
                // Where the way has a `..`, any rename on the machine makes the kernel unsure that it stayed inside.
                try Interruption.check()
            case ENOENT, ENOTDIR, ELOOP: return nil
            default: throw SystemError("open", String(decodingCString: path))
            }
        }
    }

    /// The directory that holds a name, if there is one: nothing is made.
    ///
    /// - Throws: `SystemError`, `Interrupted`.
    func existingParent(of name: EntryName) throws -> Directory? {
        if name.components.count <= 1 { return directory }
        guard let found = try open(name.parentPath, CInt(ducc_O_PATH) | O_DIRECTORY) else { return nil }
        return Directory(SharedDescriptor(found), rootPath: rootPath)
    }

    /// Removes what an entry replaces, a whole directory included.
    ///
    /// - Throws: `SystemError`.
    func removeExisting(_ base: [CChar], at parent: CInt) throws(SystemError) {
        parentName = nil
        switch try Existing(base, at: parent) {
        case .nothing: break
        case .directory: try Files.removeTree(base, at: parent)
        case .whiteout, .other:
            guard unlinkat(parent, base, 0) == 0 else {
                throw SystemError("replace", String(decodingCString: base))
            }
        }
    }

    private func remember(_ directory: Directory, _ spelled: [CChar]) -> Directory {
        parent = directory
        parentName = spelled
        return directory
    }

    /// Where an open directory is, as the kernel knows it.
    fileprivate static func realPath(of descriptor: CInt) throws(SystemError) -> [UInt8] {
        guard let path = readLink("/proc/self/fd/\(descriptor)".utf8CString.map { $0 }, at: AT_FDCWD) else {
            throw SystemError("read", "/proc/self/fd")
        }
        return path
    }

    static func readLink(_ path: [CChar], at directory: CInt) -> [UInt8]? {
        var buffer = [CChar](repeating: 0, count: 2 * EntryName.longestPath)
        let count = readlinkat(directory, path, &buffer, buffer.count)
        return count < 0 ? nil : buffer[..<count].map { UInt8(bitPattern: $0) }
    }
}

extension Existing {
    /// - Throws: `SystemError` where it can't be told.
    init(_ path: [CChar], at directory: CInt) throws(SystemError) {
        var information = stat()
        guard fstatat(directory, path, &information, AT_SYMLINK_NOFOLLOW) == 0 else {
            guard errno == ENOENT || errno == ENOTDIR else {
                throw SystemError("look at", String(decodingCString: path))
            }
            self = .nothing
            return
        }
        self =
            switch information.st_mode & S_IFMT {
            case S_IFDIR: .directory
            case S_IFCHR where information.st_rdev == 0: .whiteout
            default: .other(information.st_mode)
            }
    }
}

extension String {
    /// A C string for people to read: bytes that are not UTF-8 are replaced.
    init(decodingCString bytes: [CChar]) {
        self.init(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
