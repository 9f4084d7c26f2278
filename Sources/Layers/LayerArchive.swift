// Layers and flat images as entries of an archive for a CernVM-FS server (`cvmfs_server ingest`), written from the
// layers' trees; only files' data is read again from the layers' blobs.
//
// What that server makes of an archive decides the form:
//  - every directory comes before what is in it, and once: one that isn't named gets nobody as its owner, and one that is
//    named later keeps a mode of 0755;
//  - names are clean, and none comes twice: the server resolves neither `..` nor links on the way;
//  - a whiteout is a character device 0:0: an archive's `.wh.NAME` would be stored as a file of that name;
//  - the mark of an opaque directory can't be kept: whiteouts of all that the image's lower layers have in it stand for
//    it, and `LayerContext` has the mark for other images;
//  - a hard link is resolved in the server's catalog, without data, once everything else is there, and in the order of
//    what the links name: so each names its group's one real entry, or a file that is published already, never another
//    link (`swissknife_ingest` clones them in byte order of their targets);
//  - symbolic links, devices and FIFOs are entries of their own under each of their names.

import Archive
import CLinux
import Glibc
import Platform

/// A new layer in an archive: which path of the archive has which of its files' data.
package final class ArchivedLayer {
    package let tree: LayerTree
    fileprivate let inodes: LayerInodes
    /// Where the layer is in the archive; nil where only the flat image is published.
    fileprivate let prefix: String?
    /// The first name of each inode, where the layer itself is in the archive; -1: none.
    fileprivate var nodes: [LayerTree.Node]
    /// The paths of those that have none there, but one in the flat image.
    fileprivate var flatPaths: [Int32: [CChar]] = [:]

    /// - Parameters:
    ///   - tree: the layer's tree, made from its archive.
    ///   - prefix: where the layer is in the archive; nil: only the flat image that has its files is.
    package init(_ tree: LayerTree, at prefix: String?) {
        self.tree = tree
        self.prefix = prefix
        inodes = tree.table ?? LayerInodes()
        nodes = [LayerTree.Node](repeating: -1, count: inodes.inodes.count)
    }

    /// The path of the entry that has an inode's data; nil where there is none yet.
    fileprivate func path(of inode: Int32) -> [CChar]? {
        if let prefix, nodes[Int(inode)] >= 0 {
            return LayerArchive.path(prefix, tree.path(of: nodes[Int(inode)]))
        }
        return flatPaths[inode]
    }

    /// The inodes whose data is to be written, in the order of the layer's archive.
    fileprivate func filesInOrder() -> [Int32] {
        inodes.inodes.indices.map(Int32.init)
            .filter { inodes[$0].type == S_IFREG && (nodes[Int($0)] >= 0 || flatPaths[$0] != nil) }
            .sorted { inodes[$0].extent < inodes[$1].extent }
    }
}

/// Writes trees into an archive.
package struct LayerArchive: ~Copyable {
    /// The name of the server's own marks: it makes a catalog of whatever directory has one.
    package static let catalogMark = ".cvmfscatalog"
    private static let catalogLoss = "files named .cvmfscatalog, which CernVM-FS has for itself"

    private let writer: TarWriter
    /// What the server doesn't keep.
    package private(set) var lost = LostAttributes()

    package init(_ writer: TarWriter) { self.writer = writer }

    /// Writes a new layer, but for its files' data: links to files that `addFiles` is to bring may come before them.
    ///
    /// - Parameter hidden: names that are whiteouts in place of the mark of an opaque directory, by directory.
    /// - Throws: `Interrupted`, the writer's errors.
    package mutating func addLayer(_ layer: ArchivedLayer, hidden: [[UInt8]: [[UInt8]]]) throws {
        guard let prefix = layer.prefix else { return }
        let tree = layer.tree
        var waiting: [LayerTree.Node] = [0]
        while let node = waiting.popLast() {
            try Interruption.check()
            let path = tree.path(of: node)
            if let inode = tree.inode(node) {
                lost.note(unsupportedBits: layer.inodes[inode].unsupported)
                try writer.add(Self.path(prefix, path), .directory, Self.attributes(layer.inodes[inode]))
            }
            var names: Set<[UInt8]> = []
            for child in tree.children(node) {
                let name = tree.withName(child) { Array($0) }
                if name.elementsEqual(Self.catalogMark.utf8) {
                    lost.note(Self.catalogLoss)
                    continue
                }
                names.insert(name)
                switch tree.kind(child) {
                case .directory: waiting.append(child)
                case .whiteout: try addWhiteout(of: name, in: path, prefix)
                // Only the flat image can have it.
                case .lowerLink: names.remove(name)
                case .other: try add(child, of: layer, at: Self.path(prefix, tree.path(of: child)))
                }
            }
            if hidden.isEmpty { continue }
            for name in hidden[path] ?? [] where !names.contains(name) {
                try addWhiteout(of: name, in: path, prefix)
            }
        }
    }

    /// A name of the layer's own that is not a directory.
    private mutating func add(_ node: LayerTree.Node, of layer: ArchivedLayer, at path: [CChar]) throws {
        guard let number = layer.tree.inode(node) else { return }
        let inode = layer.inodes[number]
        let attributes = Self.attributes(inode)
        guard inode.type == S_IFREG else {
            lost.note(unsupportedBits: inode.unsupported)
            return try writer.add(path, Self.content(layer.inodes, number), attributes)
        }
        if let first = layer.path(of: number) { return try writer.add(path, .hardLink(first), attributes) }
        lost.note(unsupportedBits: inode.unsupported)
        layer.nodes[Int(number)] = node
    }

    private func addWhiteout(of name: [UInt8], in path: [UInt8], _ prefix: String) throws {
        try addWhiteout(at: Self.path(prefix, path.isEmpty ? name : path + [UInt8(ascii: "/")] + name))
    }

    private func addWhiteout(at path: [CChar]) throws {
        try writer.add(
            path, .special(S_IFCHR, major: 0, minor: 0), TarAttributes(permissions: 0, modified: 0))
    }

    /// What a layer of a flat image is in the archive.
    package enum FlatSource {
        /// A new layer, written before.
        case new(ArchivedLayer)
        /// A layer that the repository has, at a path of the archive.
        case published(String)
        /// Names made for the flat image, with their content.
        case added
    }

    /// Writes a flat image: regular files as hard links to the layers' files, all else as entries of their own.
    ///
    /// - Parameters:
    ///   - prefix: the image's path in the archive.
    ///   - source: what a layer is, by its index.
    /// - Throws: `LayerError`, `Interrupted`, the writer's errors.
    package mutating func addFlat(
        _ tree: FlatTree, at prefix: String, source: (Int) throws -> FlatSource
    ) throws {
        var lost = lost
        var isRoot = true
        try tree.walkForCatalogs(onMark: { lost.note(Self.catalogLoss) }) { step, path, origin in
            try Interruption.check()
            let full = isRoot ? Array(prefix.utf8CString) : Self.path(prefix, path)
            isRoot = false
            try add(origin, of: tree, at: full, source(origin.layer), &lost)
        }
        self.lost = lost
    }

    /// Writes a layer as it is over those beneath it, for engines that stack layers: regular files as hard links to the
    /// layers' files, all else as entries of their own.
    ///
    /// - Parameters:
    ///   - prefix: its path in the archive.
    ///   - source: what a layer is, by its index.
    /// - Throws: `LayerError`, `Interrupted`, the writer's errors.
    package mutating func addLayer(
        _ index: Int, of tree: FlatTree, at prefix: String, source: (Int) throws -> FlatSource
    ) throws {
        var lost = lost
        let hidden = try FlatTree.hidden(by: tree.layers[index], over: Array(tree.layers[..<index]))
        var skipped = 0
        try tree.walkLayer(index) { step, path, origin in
            try Interruption.check()
            let isRoot = strcmp(path, ".") == 0
            let full = isRoot ? Array(prefix.utf8CString) : Self.path(prefix, path)
            if skipped > 0 || FlatTree.isCatalogMark(path) {
                skipped += step == .enter ? 1 : step == .leave ? -1 : 0
                return
            }
            switch step {
            case .leave: return
            case .whiteout: try addWhiteout(at: full)
            case .enter, .entry:
                guard let origin else { return }
                try add(origin, of: tree, at: full, source(origin.layer), &lost)
                if step == .entry || hidden.isEmpty { return }
                let directory =
                    isRoot
                    ? [] : UnsafeBufferPointer(start: path, count: strlen(path)).map { UInt8(bitPattern: $0) }
                for name in hidden[directory] ?? [] {
                    let child = try EntryName(
                        (directory.isEmpty ? [] : directory + [UInt8(ascii: "/")]) + name)
                    if tree.layers[index].node(at: child) == nil {
                        try addWhiteout(at: Self.path(prefix, child.bytes))
                    }
                }
            }
        }
    }

    /// One entry of a merged tree.
    private func add(
        _ origin: FlatTree.Origin, of tree: FlatTree, at full: [CChar], _ source: FlatSource,
        _ lost: inout LostAttributes
    ) throws {
        let layer = tree.layers[origin.layer]
        guard let table = layer.table, let number = layer.inode(origin.node) else {
            throw LayerError("the layer's tree was not read whole")
        }
        let inode = table[number]
        let attributes = Self.attributes(inode)
        guard inode.type == S_IFREG else {
            return try writer.add(full, Self.content(table, number), attributes)
        }
        switch source {
        case .published(let root):
            try writer.add(full, .hardLink(Self.path(root, origin.path)), attributes)
        case .new(let archived):
            if let first = archived.path(of: number) {
                return try writer.add(full, .hardLink(first), attributes)
            }
            lost.note(unsupportedBits: inode.unsupported)
            archived.flatPaths[number] = full
        case .added:
            let bytes = table.contents[Int(inode.extent)]
            try writer.add(full, .file(Int64(bytes.count)), attributes)
            try bytes.withUnsafeBytes { if !$0.isEmpty { try writer.write($0) } }
        }
    }

    /// Writes the data of a new layer's files, in one pass over its blob, which is verified once more.
    ///
    /// - Parameter blob: the layer's bytes.
    /// - Throws: `LayerError` where the blob is not the one that the tree was made from, `ArchiveError`, `SystemError`,
    ///   `Interrupted`, the writer's errors.
    package func addFiles(of layer: ArchivedLayer, from blob: VerifiedStream) throws {
        let fetched = ReadAheadStream(blob)
        let inflated = ReadAheadStream(try Decompression.stream(fetched))
        defer { for stream in [fetched, inflated] { stream.cancel() } }
        let reader = try TarReader(inflated)
        var position: Int32 = -1
        for number in layer.filesInOrder() {
            let inode = layer.inodes[number]
            guard let path = layer.path(of: number) else { continue }
            var entry: TarEntry?
            while position < inode.extent {
                try Interruption.check()
                entry = try reader.next()
                position += 1
            }
            guard let entry, entry.kind == .file, entry.size == inode.value else {
                throw LayerError("the layer's blob has changed since it was verified")
            }
            try writer.add(path, .file(inode.value), Self.attributes(inode))
            let content = FileContent(entry: entry, name: EntryName(real: []), reader: reader)
            var end: Int64 = 0
            try content.read { offset, bytes in
                try addZeros(offset - end)
                try writer.write(bytes)
                end = offset + Int64(bytes.count)
            }
            try addZeros(inode.value - end)
        }
        inflated.stop()
        if let failure = fetched.stop() { throw failure }
        try blob.drain()
    }

    private static let zeros = [UInt8](repeating: 0, count: 64 << 10)

    /// A hole of a sparse file.
    private func addZeros(_ count: Int64) throws {
        var left = count
        while left > 0 {
            try Interruption.check()
            let part = min(left, Int64(Self.zeros.count))
            try Self.zeros.withUnsafeBytes {
                try writer.write(UnsafeRawBufferPointer(rebasing: $0[..<Int(part)]))
            }
            left -= part
        }
    }

    private static func attributes(_ inode: LayerInodes.Inode) -> TarAttributes {
        TarAttributes(
            permissions: inode.permissions, user: Int64(inode.user), group: Int64(inode.group),
            modified: Int(inode.modified))
    }

    /// What an inode is in an archive that is not a regular file.
    private static func content(_ inodes: LayerInodes, _ number: Int32) -> TarWriter.Content {
        let inode = inodes[number]
        if inode.type == S_IFDIR { return .directory }
        if let text = inodes.linkText(number) { return .symbolicLink(OverlayMarks.cString(text)) }
        let device = dev_t(UInt64(bitPattern: inode.value))
        return .special(inode.type, major: ducc_major(device), minor: ducc_minor(device))
    }

    fileprivate static func path(_ prefix: String, _ path: [UInt8]) -> [CChar] {
        path.isEmpty
            ? Array(prefix.utf8CString)
            : "\(prefix)/".utf8CString.dropLast() + path.map { CChar(bitPattern: $0) } + [0]
    }

    private static func path(_ prefix: String, _ path: UnsafePointer<CChar>) -> [CChar] {
        "\(prefix)/".utf8CString.dropLast() + UnsafeBufferPointer(start: path, count: strlen(path) + 1)
    }
}

extension FlatTree {
    /// How many entries the flat image has in a CernVM-FS repository, the root not counted.
    ///
    /// - Throws: `LayerError`, `Interrupted`.
    package func countEntriesForCatalogs() throws -> Int {
        var entries = -1
        try walkForCatalogs(onMark: {}) { _, _, _ in
            try Interruption.check()
            entries += 1
        }
        return entries
    }

    /// Walks the merged tree without what has the name of the server's own marks.
    ///
    /// - Parameters:
    ///   - onMark: called for each name that is left out.
    ///   - body: called for each directory and each other entry once, parents before children.
    fileprivate func walkForCatalogs(
        onMark: () -> Void, _ body: (Step, UnsafePointer<CChar>, Origin) throws -> Void
    ) throws {
        /// How deep the walk is in a directory that is left out.
        var depth = 0
        try walk { step, path, origin in
            if depth > 0 || Self.isCatalogMark(path) {
                depth += step == .enter ? 1 : step == .leave ? -1 : 0
                if step != .leave { onMark() }
            } else if step != .leave {
                try body(step, path, origin)
            }
        }
    }

    fileprivate static func isCatalogMark(_ path: UnsafePointer<CChar>) -> Bool {
        let name = strrchr(path, CInt(UInt8(ascii: "/"))).map { UnsafePointer($0) + 1 } ?? path
        return strcmp(name, LayerArchive.catalogMark) == 0
    }

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
