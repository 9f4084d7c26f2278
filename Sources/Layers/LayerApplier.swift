// One archive entry after the other is applied to a layer's root: what an entry replaces, what a whiteout hides and what
// a hard link means. The rules are the OCI image specification's (layer.md); where it is silent, those of umoci.

import Archive
import Glibc
import Images
import Platform

/// Applies entries to a target. After an error neither is of further use.
final class LayerApplier<Target: LayerTarget> {
    private let target: Target
    private let budget: LayerBudget

    init(_ target: Target, _ budget: LayerBudget) {
        self.target = target
        self.budget = budget
    }

    /// Applies one entry.
    ///
    /// - Throws: `LayerError` for what no layer may hold, `SystemError`, `Interrupted`, the reader's errors.
    func add(_ entry: TarEntry, from reader: TarReader) throws {
        guard let nameBytes = entry.name else { throw LayerError("the layer has an entry without a name") }
        let name = try EntryName(Self.bytes(nameBytes))
        try budget.spend(on: entry, name)
        do {
            if let whiteout = name.whiteout {
                guard entry.kind != .directory else {
                    throw LayerError.refused("the layer uses a whiteout as a directory", entry: name.bytes)
                }
                try add(whiteout, name)
            } else if name.components.isEmpty {
                guard entry.kind == .directory else {
                    throw LayerError.refused("the layer replaces its own root", entry: [UInt8(ascii: "/")])
                }
                try target.setRoot(entry)
            } else {
                try make(entry, name, from: reader)
            }
        } catch let error as SystemError where error.path == nil {
            // The calls that work on a descriptor don't know the name.
            throw SystemError(error.operation + " of", name.quoted, code: error.code)
        }
    }

    private func make(_ entry: TarEntry, _ name: EntryName, from reader: TarReader) throws {
        switch entry.kind {
        case .file:
            let content = FileContent(entry: entry, name: name, reader: reader)
            try target.makeFile(entry, name, in: try target.parent(of: name), content)
        case .directory:
            let parent = try target.parent(of: name)
            if try target.makeDirectory(entry, name, in: parent) == .whiteout {
                try target.replaceLower(name.last, in: parent)
            }
        case .symbolicLink:
            guard let text = entry.symbolicLinkTarget, text.pointee != 0 else {
                throw LayerError.refused("the layer has a symbolic link to nothing", entry: name.bytes)
            }
            try target.makeSymbolicLink(entry, name, to: text, in: try target.parent(of: name))
        case .hardLink: try makeHardLink(entry, name)
        case .characterDevice: try target.makeSpecial(entry, S_IFCHR, name, in: try target.parent(of: name))
        case .blockDevice: try target.makeSpecial(entry, S_IFBLK, name, in: try target.parent(of: name))
        case .fifo: try target.makeSpecial(entry, S_IFIFO, name, in: try target.parent(of: name))
        case .socket, .unknown:
            throw LayerError.refused("the layer has an entry of a kind no layer may have", entry: name.bytes)
        }
    }

    private func makeHardLink(_ entry: TarEntry, _ name: EntryName) throws {
        guard let bytes = entry.hardLinkTarget else { return }
        let linked = try EntryName(Self.bytes(bytes))
        guard !linked.components.isEmpty else {
            throw LayerError.refused("the layer has a hard link to its root", entry: name.bytes)
        }
        let parent = try target.parent(of: name)
        guard let linkedParent = try target.existingParent(of: linked) else {
            return try target.noteLowerLink(name, in: parent, to: linked)
        }
        switch try target.existing(linked.last, in: linkedParent) {
        case .nothing:
            // A link to such a link is a link to the same file, also when the first is replaced afterwards.
            let end = try target.lowerLink(linked.last, in: linkedParent) ?? linked
            try target.noteLowerLink(name, in: parent, to: end)
        case .directory, .whiteout:
            throw LayerError.refused("the layer has a hard link to no file", entry: name.bytes)
        case .other: try target.makeHardLink(name, in: parent, to: linked, in: linkedParent)
        }
    }

    private func add(_ whiteout: Whiteout, _ name: EntryName) throws {
        switch whiteout {
        case .auxiliary: return
        case .opaque: try target.markOpaque(try target.parent(of: name))
        case .of(let hidden):
            guard !hidden.isEmpty, hidden != [UInt8(ascii: ".")], hidden != Array("..".utf8) else {
                throw LayerError.refused("the layer has a whiteout of nothing", entry: name.bytes)
            }
            let parent = try target.parent(of: name)
            // A whiteout hides lower layers, never what its own layer has, whichever of the two came first.
            switch try target.existing(hidden, in: parent) {
            case .directory: try target.replaceLower(hidden, in: parent)
            case .whiteout, .other: break
            case .nothing: try target.makeWhiteout(hidden, in: parent)
            }
        }
    }

    private static func bytes(_ name: UnsafePointer<CChar>) -> UnsafeBufferPointer<UInt8> {
        let length = strlen(name)
        return name.withMemoryRebound(to: UInt8.self, capacity: length) {
            UnsafeBufferPointer(start: $0, count: length)
        }
    }
}

/// What is left of a layer's limits.
final class LayerBudget {
    private let limits: LayerLimits
    private(set) var entries = 0
    private var pathBytes = 0
    private var bytes: Int64 = 0

    init(_ limits: LayerLimits) { self.limits = limits }

    /// Counts one entry, before anything is made of it.
    ///
    /// - Throws: `LayerError`.
    func spend(on entry: TarEntry, _ name: EntryName) throws(LayerError) {
        try spend(onPath: name.bytes)
        guard entry.size >= 0, entry.size <= limits.bytes - bytes else {
            throw .refused("the layer unpacks to more than \(limits.bytes) bytes", entry: name.bytes)
        }
        guard AttributeWriter.canOwn(entry) else {
            throw .refused("the layer has an owner that no system can have", entry: name.bytes)
        }
        if entry.kind == .file { bytes += entry.size }
    }

    /// Counts one name, of an entry or of a directory that is implied.
    ///
    /// - Throws: `LayerError`.
    func spend(onPath path: [UInt8]) throws(LayerError) {
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
