// One archive entry after the other becomes a file, directory, link, device or mark beneath the layer's root.

import Archive
import CLinux
import Glibc
import Images
import Platform

/// Fills a layer's root. After an error it is of no further use.
final class LayerWriter {
    private let root: LayerRoot
    private let marks = OverlayMarks()
    private let limits: LayerLimits
    private let notes: Notes
    private var attributes = AttributeWriter()
    private var bytes: Int64 = 0

    /// What is noted of the layer's directories, by their real paths, and how much it is.
    private final class Notes {
        /// Owner and extended attributes are set at once, the rest last: every entry made in a directory changes its
        /// time, and a set-gid bit or a default ACL would change what is made in it. nil: no entry named it.
        var directories: [[UInt8]: DirectoryAttributes?] = [[]: nil]
        /// Directories whose lower namesakes this layer removes.
        var replacing: Set<[UInt8]> = []
        var links: [LayerContext.LowerLink] = []
        /// What those lead to, by the links' real paths.
        var linkTargets: [[UInt8]: EntryName] = [:]
        var entries = 0
        private var pathBytes = 0
        private let limits: LayerLimits

        init(_ limits: LayerLimits) { self.limits = limits }

        func count(_ path: [UInt8]) throws(LayerError) {
            entries += 1
            pathBytes += path.count
            guard entries <= limits.entries else {
                throw LayerError("the layer has more than \(limits.entries) entries")
            }
            guard pathBytes <= limits.pathBytes else {
                throw LayerError("the layer's paths have more than \(limits.pathBytes) bytes")
            }
        }
    }

    init(root: CInt, limits: LayerLimits) throws(SystemError) {
        self.limits = limits
        let notes = Notes(limits)
        self.notes = notes
        self.root = try LayerRoot(root, marks: marks) { (path, replacesLower) throws(LayerError) in
            try notes.count(path)
            if replacesLower { notes.replacing.insert(path) }
            notes.directories[path] = .some(nil)
        }
    }

    /// Makes one entry.
    ///
    /// - Throws: `LayerError` for what no layer may hold, `SystemError`, the reader's errors.
    func add(_ entry: TarEntry, from reader: TarReader) throws {
        guard let nameBytes = entry.name else { throw LayerError("the layer has an entry without a name") }
        let name = try EntryName(Self.bytes(nameBytes))
        try check(entry, name)
        do {
            if let whiteout = name.whiteout {
                guard entry.kind != .directory else {
                    throw LayerError.refused("the layer uses a whiteout as a directory", entry: name.bytes)
                }
                try add(whiteout, name)
            } else if name.components.isEmpty {
                try setRoot(entry)
            } else {
                try make(entry, name, from: reader)
            }
        } catch let error as SystemError where error.path == nil {
            // The calls that work on a descriptor don't know the name.
            throw SystemError(error.operation + " of", Self.quoted(name), code: error.code)
        }
    }

    /// Sets what had to wait for the last entry.
    ///
    /// - Throws: `SystemError`, `Interrupted`.
    func finish(diffIdentifier: Digest, size: Int64, created: timespec) throws -> UnpackedLayer {
        var context = LayerContext()
        context.links = notes.links
        for (path, noted) in notes.directories {
            let name = path.isEmpty ? EntryName.path([]) : OverlayMarks.cString(path)
            // A directory that a later entry replaced isn't there any more; a link there isn't followed.
            guard
                let directory = try root.open(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, followsLinks: false)
            else {
                continue
            }
            if let noted {
                try attributes.finish(noted, of: directory.raw)
            } else {
                context.impliedDirectories.insert(path)
                if notes.replacing.contains(path) { context.replacingDirectories.insert(path) }
                try attributes.setTime(created, of: directory.raw)
            }
        }
        return UnpackedLayer(
            diffIdentifier: diffIdentifier, size: size, entries: notes.entries, lost: attributes.lost,
            context: context)
    }

    private func check(_ entry: TarEntry, _ name: EntryName) throws(LayerError) {
        try notes.count(name.bytes)
        guard entry.size >= 0, entry.size <= limits.bytes - bytes else {
            throw .refused("the layer unpacks to more than \(limits.bytes) bytes", entry: name.bytes)
        }
        guard AttributeWriter.canOwn(entry) else {
            throw .refused("the layer has an owner that no system can have", entry: name.bytes)
        }
        if entry.kind == .file { bytes += entry.size }
    }

    private func make(_ entry: TarEntry, _ name: EntryName, from reader: TarReader) throws {
        let base = name.base
        switch entry.kind {
        case .file: try makeFile(entry, name, base, from: reader)
        case .directory: try makeDirectory(entry, name, base)
        case .symbolicLink:
            guard let target = entry.symbolicLinkTarget, target.pointee != 0 else {
                throw LayerError.refused("the layer has a symbolic link to nothing", entry: name.bytes)
            }
            let parent = try root.parent(of: name).descriptor
            try replacing(base, at: parent, name) { symlinkat(target, parent, base) }
            try attributes.apply(entry, toSpecial: base, at: parent, isLink: true)
        case .hardLink: try makeHardLink(entry, name, base)
        case .characterDevice: try makeDevice(entry, S_IFCHR, name, base)
        case .blockDevice: try makeDevice(entry, S_IFBLK, name, base)
        case .fifo:
            let parent = try root.parent(of: name).descriptor
            try replacing(base, at: parent, name) { mkfifoat(parent, base, entry.permissions) }
            try attributes.apply(entry, toSpecial: base, at: parent, isLink: false)
        case .socket, .unknown:
            throw LayerError.refused("the layer has an entry of a kind no layer may have", entry: name.bytes)
        }
    }

    private func makeFile(
        _ entry: TarEntry, _ name: EntryName, _ base: [CChar], from reader: TarReader
    ) throws {
        let parent = try root.parent(of: name).descriptor
        // Without root, extended attributes can be set only while the owner may write.
        let createdMode = attributes.privileged ? entry.permissions & 0o777 : 0o600
        let file = OwnedDescriptor(
            raw: try replacing(base, at: parent, name) {
                openat(parent, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, createdMode)
            })
        var end: Int64 = 0
        while let (offset, bytes) = try reader.nextBlock() {
            try Interruption.check()
            guard offset >= end, offset <= entry.size, Int64(bytes.count) <= entry.size - offset else {
                throw LayerError.refused("the layer has data outside of its file", entry: name.bytes)
            }
            if offset != end, lseek(file.raw, off_t(offset), SEEK_SET) < 0 {
                throw SystemError("move in the content")
            }
            try Files.writeAll(bytes, to: file.raw, path: Self.quoted(name))
            end = offset + Int64(bytes.count)
        }
        if end < entry.size {
            // The file ends in a hole.
            guard ftruncate(file.raw, off_t(entry.size)) == 0 else { throw SystemError("set the length") }
        }
        try attributes.apply(entry, toFile: file.raw, createdMode: createdMode)
    }

    private func makeDirectory(_ entry: TarEntry, _ name: EntryName, _ base: [CChar]) throws {
        let parent = try root.parent(of: name)
        var replaced = Existing.nothing
        if mkdirat(parent.descriptor, base, 0o700) != 0 {
            guard errno == EEXIST else { throw SystemError("create directory", Self.quoted(name)) }
            replaced = try Existing(base, at: parent.descriptor)
            if replaced != .directory {
                try root.removeExisting(base, at: parent.descriptor)
                guard mkdirat(parent.descriptor, base, 0o700) == 0 else {
                    throw SystemError("create directory", Self.quoted(name))
                }
            }
        }
        if replaced == .whiteout { try markOpaque(base, at: parent.descriptor) }
        let directory = try OwnedDescriptor(
            opening: base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: parent.descriptor)
        let path = parent.path(of: name.components.last ?? [])
        notes.directories[path] = try attributes.apply(entry, toDirectory: directory.raw)
    }

    private func setRoot(_ entry: TarEntry) throws {
        guard entry.kind == .directory else {
            throw LayerError.refused("the layer replaces its own root", entry: [UInt8(ascii: "/")])
        }
        notes.directories[[]] = try attributes.apply(entry, toDirectory: root.root)
    }

    private func makeHardLink(_ entry: TarEntry, _ name: EntryName, _ base: [CChar]) throws {
        guard let targetBytes = entry.hardLinkTarget else { return }
        let target = try EntryName(Self.bytes(targetBytes))
        guard !target.components.isEmpty else {
            throw LayerError.refused("the layer has a hard link to its root", entry: name.bytes)
        }
        let parent = try root.parent(of: name)
        guard let targetParent = try root.existingParent(of: target) else {
            return try noteLowerLink(name, parent, target)
        }
        switch try Existing(target.base, at: targetParent.raw) {
        case .nothing:
            // A link to such a link is a link to the same file, also when the first is replaced afterwards.
            let path = try root.path(of: target.components.last ?? [], at: targetParent.raw)
            try noteLowerLink(name, parent, notes.linkTargets[path] ?? target)
        case .directory, .whiteout:
            throw LayerError.refused("the layer has a hard link to no file", entry: name.bytes)
        case .other:
            // A link to itself is there already, and replacing it would remove it.
            if Self.isSame(target.base, targetParent.raw, base, parent.descriptor) { return }
            if linkat(targetParent.raw, target.base, parent.descriptor, base, 0) == 0 { return }
            if errno == EEXIST { try root.removeExisting(base, at: parent.descriptor) }
            try FileLink.link(target.base, at: targetParent.raw, to: base, at: parent.descriptor)
        }
    }

    /// What the layer has at the name so far is gone: the link replaces it.
    private func noteLowerLink(_ name: EntryName, _ parent: LayerRoot.Parent, _ target: EntryName) throws {
        try root.removeExisting(name.base, at: parent.descriptor)
        let real = try EntryName(parent.path(of: name.components.last ?? []))
        notes.links.append(LayerContext.LowerLink(name: real, target: target))
        notes.linkTargets[real.bytes] = target
    }

    private func makeDevice(_ entry: TarEntry, _ type: mode_t, _ name: EntryName, _ base: [CChar]) throws {
        let parent = try root.parent(of: name).descriptor
        let number = ducc_makedev(entry.device.major, entry.device.minor)
        do {
            try replacing(base, at: parent, name) { mknodat(parent, base, type | entry.permissions, number) }
        } catch let error as SystemError where error.code == EPERM {
            // No device without root: an empty file keeps its place, and has the device's owner, as with umoci.
            attributes.noteLost("device nodes")
            let file = OwnedDescriptor(
                raw: try replacing(base, at: parent, name) {
                    openat(parent, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
                })
            return try attributes.apply(entry, toFile: file.raw, createdMode: 0o600)
        }
        try attributes.apply(entry, toSpecial: base, at: parent, isLink: false)
    }

    private func markOpaque(_ path: [CChar], at directory: CInt) throws(SystemError) {
        if try marks.markOpaque(path, at: directory) { return }
        attributes.noteLost("opaque directories for root's overlay mounts")
    }

    private func add(_ whiteout: Whiteout, _ name: EntryName) throws {
        switch whiteout {
        case .auxiliary: return
        case .opaque: try markOpaque(EntryName.path([]), at: try root.parent(of: name).descriptor)
        case .of(let hidden):
            guard !hidden.isEmpty, hidden != [UInt8(ascii: ".")], hidden != Array("..".utf8) else {
                throw LayerError.refused("the layer has a whiteout of nothing", entry: name.bytes)
            }
            let parent = try root.parent(of: name)
            let directory = parent.descriptor
            // A whiteout hides lower layers, never what its own layer has, whichever of the two came first.
            switch try Existing(OverlayMarks.cString(hidden), at: directory) {
            case .directory:
                try markOpaque(OverlayMarks.cString(hidden), at: directory)
                notes.replacing.insert(parent.path(of: hidden))
            case .whiteout, .other: break
            case .nothing: try marks.makeWhiteout(hidden, at: directory)
            }
        }
    }

    /// Makes something new at a name; whatever an earlier entry put there goes.
    @discardableResult
    private func replacing(
        _ base: [CChar], at parent: CInt, _ name: EntryName, _ make: () -> CInt
    ) throws -> CInt {
        let first = retrying(make)
        if first >= 0 { return first }
        guard errno == EEXIST else { throw SystemError("create", Self.quoted(name)) }
        try root.removeExisting(base, at: parent)
        let second = retrying(make)
        guard second >= 0 else { throw SystemError("create", Self.quoted(name)) }
        return second
    }

    private static func quoted(_ name: EntryName) -> String {
        Images.quoted(String(decoding: name.bytes, as: UTF8.self))
    }

    private static func isSame(_ one: [CChar], _ oneParent: CInt, _ two: [CChar], _ twoParent: CInt) -> Bool {
        var first = stat()
        var second = stat()
        return fstatat(oneParent, one, &first, AT_SYMLINK_NOFOLLOW) == 0
            && fstatat(twoParent, two, &second, AT_SYMLINK_NOFOLLOW) == 0
            && first.st_ino == second.st_ino && first.st_dev == second.st_dev
    }

    private static func bytes(_ name: UnsafePointer<CChar>) -> UnsafeBufferPointer<UInt8> {
        let length = strlen(name)
        return name.withMemoryRebound(to: UInt8.self, capacity: length) {
            UnsafeBufferPointer(start: $0, count: length)
        }
    }
}
