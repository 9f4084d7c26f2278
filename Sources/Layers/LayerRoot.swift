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
//     mean another directory.
// The staging directory above is readable by its owner alone, so nobody else changes the tree meanwhile.

import CLinux
import Glibc
import Platform

/// A layer's root while it is being filled. After an error the tree is in no defined state and is thrown away.
final class LayerRoot {
    /// The root directory's descriptor.
    let root: CInt
    /// Directories that no entry has named so far, only names beneath them: at first the root.
    private(set) var impliedDirectories: Set<[CChar]> = [EntryName.path([])]
    /// How this process marks what overlayfs is to hide.
    let marks: OverlayMarks

    private var parentPath: [CChar]?
    private var parentDescriptor: SharedDescriptor?
    /// Like Linux itself: more links on the way to one file are a loop (`ELOOP`).
    private static let mostLinks = 40

    init(_ root: CInt, marks: OverlayMarks) {
        self.root = root
        self.marks = marks
    }

    /// The directory that holds an entry, made with its parents where it isn't there.
    ///
    /// - Returns: a descriptor that is valid until the next call.
    /// - Throws: `LayerError` where a part of the path is no directory, `SystemError`.
    func parent(of name: EntryName) throws -> CInt {
        if name.components.count <= 1 { return root }
        let path = name.parentPath
        if path == parentPath, let parentDescriptor { return parentDescriptor.raw }
        if let found = try open(path, CInt(ducc_O_PATH) | O_DIRECTORY) { return remember(found, path) }
        let real = try makeDirectories(Array(name.components.dropLast()), of: name)
        guard let made = try open(real, CInt(ducc_O_PATH) | O_DIRECTORY) else {
            throw SystemError("open", String(decodingCString: path), code: ENOENT)
        }
        return remember(made, path)
    }

    /// Opens a path as inside a chroot of the root; a link as its last component isn't followed.
    ///
    /// - Returns: nil where there is nothing of the kind.
    /// - Throws: `SystemError`.
    func open(_ path: [CChar], _ flags: CInt) throws(SystemError) -> OwnedDescriptor? {
        let result = retrying {
            ducc_openat2(
                root, path, UInt64(flags | O_CLOEXEC), 0,
                UInt64(ducc_RESOLVE_IN_ROOT) | UInt64(ducc_RESOLVE_NO_MAGICLINKS))
        }
        if result >= 0 { return OwnedDescriptor(raw: result) }
        guard errno == ENOENT || errno == ENOTDIR || errno == ELOOP else {
            throw SystemError("open", String(decodingCString: path))
        }
        return nil
    }

    /// The directory that holds a name, if there is one: nothing is made.
    ///
    /// - Throws: `SystemError`.
    func existingParent(of name: EntryName) throws(SystemError) -> OwnedDescriptor? {
        try open(name.parentPath, CInt(ducc_O_PATH) | O_DIRECTORY)
    }

    /// Notes that an entry named the directory after all.
    func named(_ path: [CChar]) { impliedDirectories.remove(path) }

    /// Removes what an entry replaces, a whole directory included.
    ///
    /// - Returns: what was there.
    /// - Throws: `SystemError`.
    @discardableResult
    func removeExisting(_ base: [CChar], at parent: CInt) throws(SystemError) -> Existing {
        let existing = try Existing(base, at: parent)
        // The remembered descriptor stays open, as `parent` may be it; only its name is forgotten.
        parentPath = nil
        switch existing {
        case .nothing: break
        case .directory:
            try Files.removeTree(base, at: parent)
        case .whiteout, .other:
            guard unlinkat(parent, base, 0) == 0 else {
                throw SystemError("replace", String(decodingCString: base))
            }
        }
        return existing
    }

    private func remember(_ descriptor: consuming OwnedDescriptor, _ path: [CChar]) -> CInt {
        let shared = SharedDescriptor(descriptor)
        parentDescriptor = shared
        parentPath = path
        return shared.raw
    }

    /// Makes each missing directory of a path, following links as inside a chroot of the root.
    ///
    /// - Returns: the real path, without links.
    private func makeDirectories(_ components: [[UInt8]], of name: EntryName) throws -> [CChar] {
        var waiting = Array(components.reversed())
        var real: [[UInt8]] = []
        var links = 0
        while let component = waiting.popLast() {
            if component == [UInt8(ascii: ".")] { continue }
            if component == [UInt8(ascii: "."), UInt8(ascii: ".")] {
                _ = real.popLast()  // `..` of the root is the root, as in a chroot
                continue
            }
            let path = EntryName.path(real + [component])
            guard path.count < EntryName.longestPath else {
                throw LayerError.refused("the layer has a path that links make too long", entry: name.bytes)
            }
            switch try Existing(path, at: root) {
            case .directory: real.append(component)
            case .nothing:
                try makeImplied(path)
                real.append(component)
            case .whiteout:
                // This layer hid the lower layers' directory of that name and now has one of its own.
                guard unlinkat(root, path, 0) == 0 else {
                    throw SystemError("replace", String(decodingCString: path))
                }
                try makeImplied(path)
                try marks.markOpaque(path, at: root)
                real.append(component)
            case .other(let mode):
                guard mode & S_IFMT == S_IFLNK, let target = linkTarget(path) else {
                    throw LayerError.refused("the layer uses a file as a directory", entry: name.bytes)
                }
                links += 1
                guard links <= Self.mostLinks else {
                    throw LayerError.refused("the layer has a loop of links", entry: name.bytes)
                }
                if target.first == UInt8(ascii: "/") { real = [] }
                waiting.append(
                    contentsOf: target.split(separator: UInt8(ascii: "/")).map { Array($0) }.reversed())
            }
        }
        return EntryName.path(real)
    }

    private func makeImplied(_ path: [CChar]) throws(SystemError) {
        guard mkdirat(root, path, 0o755) == 0 else {
            throw SystemError("create directory", String(decodingCString: path))
        }
        impliedDirectories.insert(path)
    }

    private func linkTarget(_ path: [CChar]) -> [UInt8]? {
        var buffer = [CChar](repeating: 0, count: EntryName.longestPath)
        let count = readlinkat(root, path, &buffer, buffer.count)
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
