// Layers and flat images as entries of an archive for a CernVM-FS server (`cvmfs_server ingest`).
//
// What that server makes of an archive decides the form:
//  - every directory comes before what is in it, and once: one that isn't named gets nobody as its owner, and one that is
//    named later keeps a mode of 0755;
//  - names are clean, and none comes twice: the server resolves neither `..` nor links on the way;
//  - a whiteout is a character device 0:0: an archive's `.wh.NAME` would be stored as a file of that name;
//  - the mark of an opaque directory can't be kept: whiteouts of all that the image's lower layers have in it stand for
//    it, and `LayerContext` has the mark for other images;
//  - a hard link is resolved in the server's catalogue, without data: a file of a flat image is one to the layer's.

import Archive
import Glibc
import Platform

/// Writes trees into an archive.
package struct LayerArchive: ~Copyable {
    /// The name of the server's own marks: it makes a catalogue of whatever directory has one.
    package static let catalogueMark = ".cvmfscatalog"

    private let writer: TarWriter
    /// What the server doesn't keep.
    package private(set) var lost = LostAttributes()
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 64)

    package init(_ writer: TarWriter) { self.writer = writer }

    deinit { buffer.deallocate() }

    /// Writes a layer as it was unpacked by this process.
    ///
    /// - Parameters:
    ///   - root: the layer's directory.
    ///   - prefix: the layer's path in the archive.
    ///   - hidden: names that are whiteouts in place of the mark of an opaque directory, by directory.
    /// - Throws: `SystemError`, `Interrupted`, the writer's errors.
    package mutating func addLayer(
        _ root: CInt, at prefix: String, hidden: [[UInt8]: [[UInt8]]]
    ) throws {
        /// The first name of each file that has several.
        var links: [FileNumber: [CChar]] = [:]
        var waiting: [[UInt8]] = [[]]
        while let path = waiting.popLast() {
            try Interruption.check()
            let name = path.isEmpty ? EntryName.path([]) : OverlayMarks.cString(path)
            let entry = try ArchivedEntry(name, at: root)
            try writer.add(
                Self.path(prefix, path), .directory, entry.attributes(isStaged: true, &lost))
            let directory = try OwnedDescriptor(opening: name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: root)
            var names: Set<[UInt8]> = []
            for child in try DirectoryEntry.list(directory.raw, path: String(decodingCString: name)) {
                let base = child.name.dropLast().map { UInt8(bitPattern: $0) }
                let full = path.isEmpty ? base : path + [UInt8(ascii: "/")] + base
                if let entry = try addable(child, base, at: directory.raw, in: path, prefix) {
                    names.insert(base)
                    if entry.type == S_IFDIR {
                        waiting.append(full)
                    } else {
                        try add(entry, at: Self.path(prefix, full), &links)
                    }
                }
            }
            for name in hidden[path] ?? [] where !names.contains(name) {
                try addWhiteout(of: name, in: path, prefix)
            }
        }
    }

    /// A file that becomes an entry of its own; the file system's stand-in for a whiteout becomes one.
    private mutating func addable(
        _ child: DirectoryEntry, _ base: [UInt8], at directory: CInt, in path: [UInt8], _ prefix: String
    ) throws -> ArchivedEntry? {
        if base.elementsEqual(Self.catalogueMark.utf8) {
            lost.note(ArchivedEntry.catalogueLoss)
            return nil
        }
        if base.starts(with: Whiteout.prefix) {
            if base != Whiteout.opaqueName, !base.starts(with: Whiteout.auxiliaryPrefix) {
                try addWhiteout(of: Array(base.dropFirst(Whiteout.prefix.count)), in: path, prefix)
            }
            return nil
        }
        return try ArchivedEntry(child.name, at: directory)
    }

    private mutating func add(
        _ entry: borrowing ArchivedEntry, at path: [CChar], _ links: inout [FileNumber: [CChar]]
    ) throws {
        if let first = entry.firstName(path, &links) {
            return try addLink(entry, path, to: first, isStaged: true)
        }
        let attributes = entry.attributes(isStaged: true, &lost)
        guard let content = try entry.content() else { return lost.note("sockets") }
        try writer.add(path, content, attributes)
        if entry.type == S_IFREG { try entry.copyBytes(to: writer, buffer) }
    }

    /// One more name of a file. What the server doesn't keep of it was noted with the first.
    private func addLink(
        _ entry: borrowing ArchivedEntry, _ path: [CChar], to first: [CChar], isStaged: Bool
    ) throws {
        var noted = LostAttributes()
        try writer.add(path, .hardLink(first), entry.attributes(isStaged: isStaged, &noted))
    }

    private func addWhiteout(of name: [UInt8], in path: [UInt8], _ prefix: String) throws {
        let full = path.isEmpty ? name : path + [UInt8(ascii: "/")] + name
        try writer.add(
            Self.path(prefix, full), .special(S_IFCHR, major: 0, minor: 0),
            TarAttributes(permissions: 0, modified: 0))
    }

    /// Writes a flat image: what is no directory as hard links to the layers' files.
    ///
    /// - Parameters:
    ///   - prefix: the image's path in the archive.
    ///   - layerPath: a layer's path in the repository, by its index; nil where its files are not there: then they are
    ///     written with their bytes.
    ///   - isStaged: whether this process has unpacked a layer.
    /// - Returns: how many entries it has, the root not counted.
    /// - Throws: `LayerError`, `SystemError`, `Interrupted`, the writer's errors.
    package mutating func addFlat(
        _ tree: FlatTree, at prefix: String, layerPath: (Int) -> String?, isStaged: (Int) -> Bool
    ) throws -> Int {
        var entries = -1
        /// How deep the walk is in a directory that is left out.
        var depth = 0
        var links: [FileNumber: [CChar]] = [:]
        var lost = lost
        try tree.walk { step, path, origin in
            if depth > 0 || Self.isCatalogueMark(path) {
                depth += step == .enter ? 1 : step == .leave ? -1 : 0
                return lost.note(ArchivedEntry.catalogueLoss)
            }
            if step == .leave { return }
            try Interruption.check()
            entries += 1
            let full = entries == 0 ? Array(prefix.utf8CString) : Self.path(prefix, path)
            let source = Array(UnsafeBufferPointer(start: origin.path, count: strlen(origin.path) + 1))
            let entry = try ArchivedEntry(source, at: tree.layers[origin.layer].root.raw)
            let isStaged = isStaged(origin.layer)
            if entry.type == S_IFREG {
                let first =
                    layerPath(origin.layer).map { Self.path($0, origin.path) }
                    ?? entry.firstName(full, &links)
                if let first { return try addLink(entry, full, to: first, isStaged: isStaged) }
            }
            let attributes = entry.attributes(isStaged: isStaged, &lost)
            guard let content = try entry.content() else { return lost.note("sockets") }
            try writer.add(full, content, attributes)
            if entry.type == S_IFREG { try entry.copyBytes(to: writer, buffer) }
        }
        self.lost = lost
        return entries
    }

    private static func isCatalogueMark(_ path: UnsafePointer<CChar>) -> Bool {
        let name = strrchr(path, CInt(UInt8(ascii: "/"))).map { UnsafePointer($0) + 1 } ?? path
        return strcmp(name, catalogueMark) == 0
    }

    private static func path(_ prefix: String, _ path: [UInt8]) -> [CChar] {
        path.isEmpty
            ? Array(prefix.utf8CString)
            : "\(prefix)/".utf8CString.dropLast() + path.map { CChar(bitPattern: $0) } + [0]
    }

    private static func path(_ prefix: String, _ path: UnsafePointer<CChar>) -> [CChar] {
        "\(prefix)/".utf8CString.dropLast() + UnsafeBufferPointer(start: path, count: strlen(path) + 1)
    }
}

extension FlatTree {
    /// What the lower layers have in a layer's opaque directories, by directory: in a repository that can't keep the mark
    /// of those, whiteouts of these names stand for it.
    ///
    /// - Throws: `LayerError`, `Interrupted`.
    package static func hidden(by layer: LayerTree, over lower: [LayerTree]) throws -> [[UInt8]: [[UInt8]]] {
        let nodes = layer.opaqueNodes
        if nodes.isEmpty || lower.isEmpty { return [:] }
        let lower = try FlatTree(lower)
        var hidden: [[UInt8]: [[UInt8]]] = [:]
        for node in nodes {
            let path = layer.path(of: node)
            let names = lower.names(in: path.split(separator: UInt8(ascii: "/")).map { Array($0) })
            if !names.isEmpty { hidden[path] = names }
        }
        return hidden
    }

    /// How many names of the lower layers show through a published layer's opaque directories: it has no whiteouts of
    /// them, for it came with an image of other lower layers.
    ///
    /// - Throws: `LayerError`, `Interrupted`.
    package static func countShown(through layer: LayerTree, over lower: [LayerTree]) throws -> Int {
        try hidden(by: layer, over: lower).reduce(0) { count, directory in
            let parent = try EntryName(directory.key).components
            return count + directory.value.count { layer.node(at: EntryName(real: parent + [$0])) == nil }
        }
    }

    /// The names in a directory, sorted; none where there is no directory.
    func names(in components: [[UInt8]]) -> [[UInt8]] {
        var places = visible(layers.indices.reversed().map { Place(layer: $0, node: 0) })
        for component in components {
            places = component.withUnsafeBufferPointer { visible(self.places(named: $0, in: places[...])) }
        }
        var names: Set<[UInt8]> = []
        for (level, place) in places.enumerated() {
            let tree = layers[place.layer]
            for child in tree.children(place.node)
            where tree.kind(child) != .whiteout && !isHidden(child, tree, by: places[..<level]) {
                names.insert(tree.withName(child) { Array($0) })
            }
        }
        return names.sorted { $0.lexicographicallyPrecedes($1) }
    }
}
