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

/// A layer's root while it is being filled. After an error the tree is in no defined state and is thrown away.
final class LayerRoot {
    /// The directory that holds an entry.
    struct Parent {
        /// Its descriptor; valid until the next parent is asked for.
        let descriptor: CInt
        /// Its real path, without links, relative to the root; empty for the root.
        let path: [UInt8]

        /// The real path of a name in it.
        func path(of base: [UInt8]) -> [UInt8] { path.isEmpty ? base : path + [UInt8(ascii: "/")] + base }
    }

    /// The root directory's descriptor.
    let root: CInt
    /// Called with the real path of each directory that is made because a name needs it, and whether this layer removed
    /// what lower layers have there.
    private let onImplied: (_ path: [UInt8], _ replacesLower: Bool) throws(LayerError) -> Void
    private let marks: OverlayMarks
    private let rootPath: [UInt8]

    private var parentName: [CChar]?
    private var parent: (descriptor: SharedDescriptor, path: [UInt8])?

    init(
        _ root: CInt, marks: OverlayMarks,
        onImplied: @escaping (_ path: [UInt8], _ replacesLower: Bool) throws(LayerError) -> Void
    ) throws(SystemError) {
        self.root = root
        self.marks = marks
        self.onImplied = onImplied
        rootPath = try Self.realPath(of: root)
    }

    /// The directory that holds an entry, made with its parents where it isn't there.
    ///
    /// - Throws: `LayerError` where a part of the path is no directory, `SystemError`, `Interrupted`.
    func parent(of name: EntryName) throws -> Parent {
        if name.components.count <= 1 { return Parent(descriptor: root, path: []) }
        let spelled = name.parentPath
        if spelled == parentName, let parent {
            return Parent(descriptor: parent.descriptor.raw, path: parent.path)
        }
        let flags = CInt(ducc_O_PATH) | O_DIRECTORY
        if let found = try open(spelled, flags) { return try remember(found, spelled) }
        let real = try makeDirectories(Array(name.components.dropLast()), of: name)
        guard let made = try open(real, flags) else {
            throw SystemError("open", String(decodingCString: spelled), code: ENOENT)
        }
        return try remember(made, spelled)
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
            let result = retrying { ducc_openat2(root, path, UInt64(flags | O_CLOEXEC), 0, resolve) }
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
    func existingParent(of name: EntryName) throws -> OwnedDescriptor? {
        try open(name.parentPath, CInt(ducc_O_PATH) | O_DIRECTORY)
    }

    /// Removes what an entry replaces, a whole directory included.
    ///
    /// - Throws: `SystemError`.
    func removeExisting(_ base: [CChar], at parent: CInt) throws(SystemError) {
        // The remembered descriptor stays open, as `parent` may be it; only its name is forgotten.
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

    /// The real path of a name in an open directory beneath the root.
    ///
    /// - Throws: `SystemError`.
    func path(of base: [UInt8], at directory: CInt) throws(SystemError) -> [UInt8] {
        Parent(descriptor: directory, path: try pathBeneath(directory)).path(of: base)
    }

    private func remember(_ descriptor: consuming OwnedDescriptor, _ spelled: [CChar]) throws(SystemError)
        -> Parent
    {
        let shared = SharedDescriptor(descriptor)
        let path = try pathBeneath(shared.raw)
        parent = (shared, path)
        parentName = spelled
        return Parent(descriptor: shared.raw, path: path)
    }

    private func pathBeneath(_ descriptor: CInt) throws(SystemError) -> [UInt8] {
        let path = try Self.realPath(of: descriptor).dropFirst(rootPath.count)
        return Array(path.drop { $0 == UInt8(ascii: "/") })
    }

    /// Makes each missing directory of a path, following links as inside a chroot of the root.
    ///
    /// - Returns: the real path, without links.
    private func makeDirectories(_ components: [[UInt8]], of name: EntryName) throws -> [CChar] {
        var walk = RootedWalk(components, of: name)
        while let component = try walk.next() {
            let path = EntryName.path(walk.real + [component])
            guard path.count < EntryName.longestPath else { throw walk.impossible }
            switch try Existing(path, at: root) {
            case .directory: walk.enter(component)
            case .nothing:
                try makeImplied(path, replacesLower: false)
                walk.enter(component)
            case .whiteout:
                // This layer hid the lower layers' directory of that name and now has one of its own.
                guard unlinkat(root, path, 0) == 0 else {
                    throw SystemError("replace", String(decodingCString: path))
                }
                try makeImplied(path, replacesLower: true)
                try marks.markOpaque(path, at: root)
                walk.enter(component)
            case .other(let mode):
                guard mode & S_IFMT == S_IFLNK, let target = Self.readLink(path, at: root) else {
                    throw LayerError.refused("the layer uses a file as a directory", entry: name.bytes)
                }
                try walk.follow(target)
            }
        }
        return EntryName.path(walk.real)
    }

    private func makeImplied(_ path: [CChar], replacesLower: Bool) throws {
        guard mkdirat(root, path, 0o755) == 0 else {
            throw SystemError("create directory", String(decodingCString: path))
        }
        try onImplied(path.dropLast().map { UInt8(bitPattern: $0) }, replacesLower)
    }

    /// Where an open directory is, as the kernel knows it.
    private static func realPath(of descriptor: CInt) throws(SystemError) -> [UInt8] {
        guard let path = readLink("/proc/self/fd/\(descriptor)".utf8CString.map { $0 }, at: AT_FDCWD) else {
            throw SystemError("read", "/proc/self/fd")
        }
        return path
    }

    private static func readLink(_ path: [CChar], at directory: CInt) -> [UInt8]? {
        var buffer = [CChar](repeating: 0, count: 2 * EntryName.longestPath)
        let count = readlinkat(directory, path, &buffer, buffer.count)
        return count < 0 ? nil : buffer[..<count].map { UInt8(bitPattern: $0) }
    }
}

/// What is at a name, links not followed.
enum Existing: Equatable {
    case nothing
    case directory
    /// A character device 0:0: overlayfs' mark for "the lower layers' is gone".
    case whiteout
    /// Anything else, with its mode.
    case other(mode_t)

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
