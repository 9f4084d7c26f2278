// A layer unpacked into a directory on disk: each entry becomes a file, directory, link, device or mark beneath it.

import Archive
import CLinux
import Glibc
import Images
import Platform

/// A directory that a layer is unpacked into.
final class DirectoryTarget: LayerTarget, WalkableTree {
    private let root: LayerRoot
    private let marks = OverlayMarks()
    private let budget: LayerBudget
    private var attributes = AttributeWriter()

    /// The directories by their real paths. Owner and extended attributes are set at once, the rest last: every entry
    /// made in a directory changes its time, and a set-gid bit or a default ACL would change what is made in it. nil: no
    /// entry named it.
    private var directories: [[UInt8]: DirectoryAttributes?] = [[]: nil]
    /// Directories whose lower namesakes this layer removes.
    private var replacing: Set<[UInt8]> = []
    /// Links that lower layers complete, by their real paths.
    private var links: [[UInt8]: EntryName] = [:]

    /// - Parameter root: an empty directory.
    /// - Throws: `SystemError`.
    init(_ root: SharedDescriptor, _ budget: LayerBudget) throws(SystemError) {
        self.root = try LayerRoot(root)
        self.budget = budget
    }

    /// Sets what had to wait for the last entry.
    ///
    /// - Parameter created: the time of directories that no entry named.
    /// - Throws: `SystemError`, `LayerError`, `Interrupted`.
    func finish(created: timespec) throws -> (context: LayerContext, lost: LostAttributes) {
        var context = LayerContext()
        for (path, target) in links.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            context.links.append(LayerContext.LowerLink(name: try EntryName(path), target: target))
        }
        for (path, noted) in directories {
            let name = path.isEmpty ? EntryName.path([]) : OverlayMarks.cString(path)
            // A directory that a later entry replaced does not exist any more; a link there isn't followed.
            guard
                let directory = try root.open(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, followsLinks: false)
            else {
                continue
            }
            if let noted {
                try attributes.finish(noted, of: directory.raw)
            } else {
                context.impliedDirectories.insert(path)
                if replacing.contains(path) { context.replacingDirectories.insert(path) }
                try attributes.setTime(created, of: directory.raw)
            }
        }
        return (context, attributes.lost)
    }

    // MARK: - Finding

    func parent(of name: EntryName) throws -> LayerRoot.Directory {
        try root.parent(of: name) {
            try walk(name.components.dropLast(), of: name, making: true).map(EntryName.path)
                ?? EntryName.path([])
        }
    }

    func existingParent(of name: EntryName) throws -> LayerRoot.Directory? {
        try root.existingParent(of: name)
    }

    func existing(_ base: [UInt8], in directory: LayerRoot.Directory) throws -> Existing {
        try Existing(OverlayMarks.cString(base), at: directory.descriptor)
    }

    var rootPlace: [[UInt8]] { [] }

    func place(_ component: [UInt8], at place: [[UInt8]]) -> [[UInt8]] { place + [component] }

    func existing(_ component: [UInt8], at place: [[UInt8]]) throws -> Existing {
        let path = EntryName.path(self.place(component, at: place))
        guard path.count < EntryName.longestPath else {
            throw LayerError.refused("the layer has a path that links make impossible", entry: component)
        }
        return try Existing(path, at: root.root.raw)
    }

    func linkText(_ component: [UInt8], at place: [[UInt8]]) -> [UInt8]? {
        LayerRoot.readLink(EntryName.path(self.place(component, at: place)), at: root.root.raw)
    }

    func makeImplied(_ component: [UInt8], at place: [[UInt8]], replacesWhiteout: Bool) throws {
        let real = EntryName(real: self.place(component, at: place))
        let path = real.path
        try budget.spend(onPath: real.bytes)
        if replacesWhiteout, unlinkat(root.root.raw, path, 0) != 0 {
            throw SystemError("replace", String(decodingCString: path))
        }
        guard mkdirat(root.root.raw, path, 0o755) == 0 else {
            throw SystemError("create directory", String(decodingCString: path))
        }
        directories[real.bytes] = .some(nil)
        links[real.bytes] = nil
        replacing.remove(real.bytes)
        if replacesWhiteout {
            replacing.insert(real.bytes)
            try markOpaque(path, at: root.root.raw)
        }
    }

    // MARK: - Making

    func makeFile(
        _ entry: TarEntry, _ name: EntryName, in parent: LayerRoot.Directory, _ content: FileContent
    ) throws {
        // Without root, extended attributes can be set only while the owner may write.
        let createdMode = attributes.privileged ? entry.permissions & 0o777 : 0o600
        let file = OwnedDescriptor(
            raw: try replacing(name, in: parent) { base in
                openat(
                    parent.descriptor, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, createdMode
                )
            })
        let raw = file.raw
        var position: Int64 = 0
        let end = try content.read { offset, bytes in
            if offset != position, lseek(raw, off_t(offset), SEEK_SET) < 0 {
                throw SystemError("move in the content")
            }
            try Files.writeAll(bytes, to: raw, path: name.quoted)
            position = offset + Int64(bytes.count)
        }
        if end < entry.size {
            // The file ends in a hole.
            guard ftruncate(raw, off_t(entry.size)) == 0 else { throw SystemError("set the length") }
        }
        try attributes.apply(entry, toFile: raw, createdMode: createdMode)
    }

    func makeDirectory(
        _ entry: TarEntry, _ name: EntryName, in parent: LayerRoot.Directory
    ) throws -> Existing {
        let base = name.base
        var replaced = Existing.nothing
        if mkdirat(parent.descriptor, base, 0o700) != 0 {
            guard errno == EEXIST else { throw SystemError("create directory", name.quoted) }
            replaced = try Existing(base, at: parent.descriptor)
            if replaced != .directory {
                try root.removeExisting(base, at: parent.descriptor)
                guard mkdirat(parent.descriptor, base, 0o700) == 0 else {
                    throw SystemError("create directory", name.quoted)
                }
            }
        }
        let path = try parent.path(of: name.last)
        links[path] = nil
        let directory = try OwnedDescriptor(
            opening: base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: parent.descriptor)
        directories[path] = try attributes.apply(
            entry, toDirectory: directory.raw, isNew: replaced != .directory)
        return replaced
    }

    func setRoot(_ entry: TarEntry) throws {
        let isNamed = directories[[]].flatMap { $0 } != nil
        directories[[]] = try attributes.apply(entry, toDirectory: root.root.raw, isNew: !isNamed)
    }

    func makeSymbolicLink(
        _ entry: TarEntry, _ name: EntryName, to text: UnsafePointer<CChar>, in parent: LayerRoot.Directory
    ) throws {
        try replacing(name, in: parent) { symlinkat(text, parent.descriptor, $0) }
        try attributes.apply(entry, toSpecial: name.base, at: parent.descriptor, isLink: true)
    }

    func makeSpecial(
        _ entry: TarEntry, _ type: mode_t, _ name: EntryName, in parent: LayerRoot.Directory
    ) throws {
        let number = ducc_makedev(entry.device.major, entry.device.minor)
        let mode = type | entry.permissions
        do {
            try replacing(name, in: parent) {
                type == S_IFIFO
                    ? mkfifoat(parent.descriptor, $0, entry.permissions)
                    : mknodat(parent.descriptor, $0, mode, number)
            }
        } catch let error as SystemError where error.code == EPERM && type != S_IFIFO {
            // No device without root: an empty file keeps its place, and has the device's owner, as with umoci.
            attributes.noteLost("device nodes")
            let file = OwnedDescriptor(
                raw: try replacing(name, in: parent) { base in
                    openat(
                        parent.descriptor, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
                })
            return try attributes.apply(entry, toFile: file.raw, createdMode: 0o600)
        }
        try attributes.apply(entry, toSpecial: name.base, at: parent.descriptor, isLink: false)
    }

    func makeHardLink(
        _ name: EntryName, in parent: LayerRoot.Directory, to target: EntryName,
        in targetParent: LayerRoot.Directory
    ) throws {
        let base = name.base
        // A link to itself is there already, and replacing it would remove it.
        if Self.isSame(target.base, targetParent.descriptor, base, parent.descriptor) { return }
        if linkat(targetParent.descriptor, target.base, parent.descriptor, base, 0) != 0 {
            if errno == EEXIST {
                try remove(name, in: parent)
                guard try Existing(target.base, at: targetParent.descriptor) != .nothing else {
                    throw LayerError.refused(
                        "the layer has a hard link in the place of its target", entry: name.bytes)
                }
            }
            try FileLink.link(target.base, at: targetParent.descriptor, to: base, at: parent.descriptor)
        }
        links[try parent.path(of: name.last)] = nil
    }

    func noteLowerLink(_ name: EntryName, in parent: LayerRoot.Directory, to target: EntryName) throws {
        try remove(name, in: parent)
        let path = try parent.path(of: name.last)
        _ = try EntryName(path)
        links[path] = target
    }

    func lowerLink(_ base: [UInt8], in directory: LayerRoot.Directory) throws -> EntryName? {
        links.isEmpty ? nil : links[try directory.path(of: base)]
    }

    func makeWhiteout(_ base: [UInt8], in directory: LayerRoot.Directory) throws {
        try marks.makeWhiteout(base, at: directory.descriptor)
    }

    func markOpaque(_ directory: LayerRoot.Directory) throws {
        try markOpaque(EntryName.path([]), at: directory.descriptor)
    }

    func replaceLower(_ base: [UInt8], in directory: LayerRoot.Directory) throws {
        try markOpaque(OverlayMarks.cString(base), at: directory.descriptor)
        replacing.insert(try directory.path(of: base))
    }

    private func markOpaque(_ path: [CChar], at directory: CInt) throws(SystemError) {
        if try marks.markOpaque(path, at: directory) { return }
        attributes.noteLost("opaque directories for root's overlay mounts")
    }

    /// Makes something new at a name; whatever an earlier entry put there goes.
    @discardableResult
    private func replacing(
        _ name: EntryName, in parent: LayerRoot.Directory, _ make: ([CChar]) -> CInt
    ) throws -> CInt {
        let base = name.base
        let first = retrying { make(base) }
        if first >= 0 {
            if !links.isEmpty { links[try parent.path(of: name.last)] = nil }
            return first
        }
        guard errno == EEXIST else { throw SystemError("create", name.quoted) }
        try remove(name, in: parent)
        let second = retrying { make(base) }
        guard second >= 0 else { throw SystemError("create", name.quoted) }
        return second
    }

    /// Removes what is at a name, with everything in it.
    private func remove(_ name: EntryName, in parent: LayerRoot.Directory) throws(SystemError) {
        try root.removeExisting(name.base, at: parent.descriptor)
        guard !links.isEmpty else { return }
        let path = try parent.path(of: name.last)
        links[path] = nil
        let beneath = path + [UInt8(ascii: "/")]
        links = links.filter { !$0.key.starts(with: beneath) }
    }

    private static func isSame(_ one: [CChar], _ oneParent: CInt, _ two: [CChar], _ twoParent: CInt) -> Bool {
        var first = stat()
        var second = stat()
        return fstatat(oneParent, one, &first, AT_SYMLINK_NOFOLLOW) == 0
            && fstatat(twoParent, two, &second, AT_SYMLINK_NOFOLLOW) == 0
            && first.st_ino == second.st_ino && first.st_dev == second.st_dev
    }
}
