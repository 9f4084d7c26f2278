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
    private var attributes = AttributeWriter()
    private var pendingLinks: [PendingLink] = []
    private var entries = 0
    private var bytes: Int64 = 0
    /// Times are set last: every entry made in a directory changes the directory's.
    private var directoryTimes: [[CChar]: timespec] = [:]

    init(root: CInt, limits: LayerLimits) {
        self.root = LayerRoot(root, marks: marks)
        self.limits = limits
    }

    /// Makes one entry.
    ///
    /// - Throws: `LayerError` for what no layer may hold, `SystemError`, the reader's errors.
    func add(_ entry: TarEntry, from reader: TarReader) throws {
        guard let nameBytes = entry.name else {
            throw LayerError(kind: .refused, description: "the layer has an entry without a name")
        }
        let name = try EntryName(Self.bytes(nameBytes))
        try count(entry, name)
        do {
            if let whiteout = name.whiteout {
                try add(whiteout, name)
            } else if name.components.isEmpty {
                try setRoot(entry)
            } else {
                try make(entry, name, from: reader)
            }
        } catch let error as SystemError where error.path == nil {
            // The calls that work on a descriptor don't know the name.
            throw SystemError(error.operation + " of", LayerError.quoted(name.bytes), code: error.code)
        }
    }

    /// Sets what had to wait for the last entry.
    ///
    /// - Throws: `SystemError`.
    func finish(diffIdentifier: Digest, size: Int64, created: timespec) throws -> UnpackedLayer {
        for path in root.impliedDirectories { directoryTimes[path] = created }
        for (path, time) in directoryTimes {
            // A directory that a later entry replaced isn't there any more.
            guard let directory = try root.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW) else { continue }
            try attributes.setTime(time, of: directory.raw)
        }
        return UnpackedLayer(
            diffIdentifier: diffIdentifier, size: size, entries: entries, lost: attributes.lost,
            impliedDirectories: root.impliedDirectories.sorted { $0.count < $1.count },
            pendingLinks: pendingLinks)
    }

    private func count(_ entry: TarEntry, _ name: EntryName) throws(LayerError) {
        entries += 1
        guard entries <= limits.entries else {
            throw LayerError(kind: .refused, description: "the layer has more than \(limits.entries) entries")
        }
        guard entry.size >= 0, entry.size <= limits.bytes - bytes else {
            throw .refused("the layer unpacks to more than \(limits.bytes) bytes", entry: name.bytes)
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
            let parent = try root.parent(of: name)
            try replacing(base, at: parent, name) { symlinkat(target, parent, base) }
            try attributes.apply(entry, toSpecial: base, at: parent, isLink: true)
        case .hardLink: try makeHardLink(entry, name, base)
        case .characterDevice: try makeDevice(entry, S_IFCHR, name, base)
        case .blockDevice: try makeDevice(entry, S_IFBLK, name, base)
        case .fifo:
            let parent = try root.parent(of: name)
            try replacing(base, at: parent, name) { mkfifoat(parent, base, entry.permissions) }
            try attributes.apply(entry, toSpecial: base, at: parent, isLink: false)
        case .socket, .unknown:
            throw LayerError.refused("the layer has an entry of a kind no layer may have", entry: name.bytes)
        }
    }

    private func makeFile(
        _ entry: TarEntry, _ name: EntryName, _ base: [CChar], from reader: TarReader
    ) throws {
        let parent = try root.parent(of: name)
        // Without root, extended attributes can be set only while the owner may write.
        let createdMode = attributes.privileged ? entry.permissions & 0o777 : 0o600
        let file = OwnedDescriptor(
            raw: try replacing(base, at: parent, name) {
                openat(parent, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, createdMode)
            })
        var end: Int64 = 0
        while let (offset, bytes) = try reader.nextBlock() {
            try Interruption.check()
            try Self.write(bytes, to: file.raw, at: offset, end: &end)
        }
        if end < entry.size {
            // The file ends in a hole.
            guard ftruncate(file.raw, off_t(entry.size)) == 0 else { throw SystemError("set the length") }
        }
        try attributes.apply(entry, to: file.raw, createdMode: createdMode, isDirectory: false)
    }

    /// Writes a piece of a file where it belongs: the next one in almost every file, behind a hole in a sparse one.
    private static func write(
        _ bytes: UnsafeRawBufferPointer, to file: CInt, at offset: Int64, end: inout Int64
    ) throws(SystemError) {
        if offset != end, lseek(file, off_t(offset), SEEK_SET) < 0 {
            throw SystemError("move in the content")
        }
        var done = 0
        while done < bytes.count {
            let count = retrying {
                Glibc.write(file, bytes.baseAddress.map { $0 + done }, bytes.count - done)
            }
            guard count >= 0 else { throw SystemError("write the content") }
            done += count
        }
        end = offset + Int64(bytes.count)
    }

    private func makeDirectory(_ entry: TarEntry, _ name: EntryName, _ base: [CChar]) throws {
        let parent = try root.parent(of: name)
        var replaced = Existing.nothing
        if mkdirat(parent, base, 0o700) != 0 {
            guard errno == EEXIST else {
                throw SystemError("create directory", LayerError.quoted(name.bytes))
            }
            replaced = try Existing(base, at: parent)
            if replaced != .directory {
                try root.removeExisting(base, at: parent)
                guard mkdirat(parent, base, 0o700) == 0 else {
                    throw SystemError("create directory", LayerError.quoted(name.bytes))
                }
            }
        }
        if replaced == .whiteout { try marks.markOpaque(base, at: parent) }
        let directory = try OwnedDescriptor(opening: base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: parent)
        try attributes.apply(entry, to: directory.raw, createdMode: .max, isDirectory: true)
        let path = name.path
        directoryTimes[path] = entry.modified
        root.named(path)
    }

    private func setRoot(_ entry: TarEntry) throws {
        guard entry.kind == .directory else {
            throw LayerError.refused("the layer replaces its own root", entry: [UInt8(ascii: "/")])
        }
        try attributes.apply(entry, to: root.root, createdMode: .max, isDirectory: true)
        directoryTimes[EntryName.path([])] = entry.modified
        root.named(EntryName.path([]))
    }

    private func makeHardLink(_ entry: TarEntry, _ name: EntryName, _ base: [CChar]) throws {
        guard let targetBytes = entry.hardLinkTarget else { return }
        let target = try EntryName(Self.bytes(targetBytes))
        guard !target.components.isEmpty else {
            throw LayerError.refused("the layer has a hard link to its root", entry: name.bytes)
        }
        let parent = try root.parent(of: name)
        guard let targetParent = try root.existingParent(of: target) else {
            pendingLinks.append(PendingLink(name: name, target: target))
            return
        }
        switch try Existing(target.base, at: targetParent.raw) {
        case .nothing: pendingLinks.append(PendingLink(name: name, target: target))
        case .directory, .whiteout:
            throw LayerError.refused("the layer has a hard link to no file", entry: name.bytes)
        case .other:
            // A link to itself is there already, and replacing it would remove it.
            if Self.isSame(target.base, targetParent.raw, base, parent) { return }
            try replacing(base, at: parent, name) { linkat(targetParent.raw, target.base, parent, base, 0) }
        }
    }

    private func makeDevice(_ entry: TarEntry, _ type: mode_t, _ name: EntryName, _ base: [CChar]) throws {
        let parent = try root.parent(of: name)
        let number = ducc_makedev(entry.device.major, entry.device.minor)
        do {
            try replacing(base, at: parent, name) { mknodat(parent, base, type | entry.permissions, number) }
        } catch let error as SystemError where error.code == EPERM {
            // No device without root: an empty file keeps its place, as umoci has it.
            attributes.noteLost("device \(entry.device.major):\(entry.device.minor)")
            try replacing(base, at: parent, name) { mknodat(parent, base, S_IFREG | 0o600, 0) }
        }
        try attributes.apply(entry, toSpecial: base, at: parent, isLink: false)
    }

    private func add(_ whiteout: Whiteout, _ name: EntryName) throws {
        switch whiteout {
        case .auxiliary: return
        case .opaque:
            let parent = try root.parent(of: name)
            try marks.markOpaque(EntryName.path([]), at: parent)
        case .of(let hidden):
            guard !hidden.isEmpty, hidden != [UInt8(ascii: ".")], hidden != Array("..".utf8) else {
                throw LayerError.refused("the layer has a whiteout of nothing", entry: name.bytes)
            }
            let parent = try root.parent(of: name)
            // A whiteout hides lower layers, never what its own layer has, whichever of the two came first.
            switch try Existing(OverlayMarks.cString(hidden), at: parent) {
            case .directory: try marks.markOpaque(OverlayMarks.cString(hidden), at: parent)
            case .whiteout, .other: break
            case .nothing: try marks.makeWhiteout(hidden, at: parent)
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
        guard errno == EEXIST else { throw SystemError("create", LayerError.quoted(name.bytes)) }
        try root.removeExisting(base, at: parent)
        let second = retrying(make)
        guard second >= 0 else { throw SystemError("create", LayerError.quoted(name.bytes)) }
        return second
    }

    private static func isSame(_ one: [CChar], _ oneParent: CInt, _ two: [CChar], _ twoParent: CInt) -> Bool {
        var first = stat()
        var second = stat()
        return fstatat(oneParent, one, &first, AT_SYMLINK_NOFOLLOW) == 0
            && fstatat(twoParent, two, &second, AT_SYMLINK_NOFOLLOW) == 0
            && first.st_ino == second.st_ino && first.st_dev == second.st_dev
    }

    static func bytes(_ name: UnsafePointer<CChar>) -> UnsafeBufferPointer<UInt8> {
        let length = strlen(name)
        return name.withMemoryRebound(to: UInt8.self, capacity: length) {
            UnsafeBufferPointer(start: $0, count: length)
        }
    }
}
