// One layer as an engine needs it that stacks layers with overlayfs: whole by itself. What the layer leaves open is
// answered by the layers beneath it: overlayfs shows a directory as the highest layer has it, and knows nothing of a hard
// link into another layer. The result is of this layer over those, and of no other image.

import Glibc
import Platform

extension FlatTree {
    /// One step of a walk over a layer.
    package enum LayerStep: Sendable {
        /// A directory, with what is in it up to the matching `leave`.
        case enter
        /// The end of the directory last entered.
        case leave
        /// A file, link, device or FIFO.
        case entry
        /// A name of lower layers' that is gone.
        case whiteout
    }

    /// Whether overlayfs would show a layer other than it is in an image: it has hard links into the layers beneath it,
    /// names that lead through their links, or directories without an entry to which they give another owner or mode.
    ///
    /// - Throws: `LayerError`, `SystemError`, `Interrupted`.
    package func needsLowerLayers(_ index: Int) throws -> Bool {
        let tree = layers[index]
        if !tree.lowerLinks.isEmpty || !tree.nodes.sources.isEmpty { return true }
        var found = false
        try walkDirectories(of: index) { own, shown in
            if !found, own.layer != shown.layer { found = try attributes(at: own) != attributes(at: shown) }
        }
        return found
    }

    /// Walks a layer with what the layers beneath it answer: parents before children, the root (path ".") first.
    ///
    /// - Parameter body: called with the step, the path (a C string, valid during the call), and what the entry is like;
    ///   nil for a whiteout.
    /// - Throws: what `body` throws; `LayerError` for a hard link to nothing.
    package func walkLayer(
        _ index: Int, _ body: (LayerStep, _ path: UnsafePointer<CChar>, Origin?) throws -> Void
    ) throws {
        var path = PathBuffer()
        try walkLayer(index, lower(than: index), &path, body)
    }

    /// The root's places from a layer down.
    private func lower(than index: Int) -> [Place] {
        (0...index).reversed().map { Place(layer: $0, node: 0) }
    }

    private func walkLayer(
        _ index: Int, _ all: [Place], _ path: inout PathBuffer,
        _ body: (LayerStep, UnsafePointer<CChar>, Origin?) throws -> Void
    ) throws {
        let shown = attributePlace(all)
        try path.use { path in try withOrigin(shown, path) { try body(.enter, path, $0) } }
        let tree = layers[index]
        for child in tree.children(all[0].node) {
            let mark = path.count
            tree.withName(child) { path.append($0) }
            switch tree.kind(child) {
            case .directory: try walkLayer(index, places(of: child, in: all), &path, body)
            case .whiteout: try path.use { try body(.whiteout, $0, nil) }
            case .other, .lowerLink:
                let file =
                    tree.kind(child) == .other
                    ? Place(layer: index, node: child) : try source(of: child, in: index)
                let target = OverlayMarks.cString(layers[file.layer].pathInLayer(of: file.node))
                try target.withUnsafeBufferPointer { target in
                    guard let start = target.baseAddress else { return }
                    try path.use {
                        try body(.entry, $0, Origin(layer: file.layer, node: file.node, path: start))
                    }
                }
            }
            path.truncate(mark)
        }
        try path.use { path in try withOrigin(shown, path) { try body(.leave, path, $0) } }
    }

    /// A layer's directory with its lower namesakes.
    private func places(of child: LayerTree.Node, in all: [Place]) -> [Place] {
        let tree = layers[all[0].layer]
        let lower = tree.withName(child) { places(named: $0, in: visible(all).dropFirst()) }
        return [Place(layer: all[0].layer, node: child)] + lower
    }

    private func walkDirectories(
        of index: Int, _ body: (_ own: Place, _ shown: Place) throws -> Void
    ) throws {
        var waiting = [lower(than: index)]
        while let all = waiting.popLast() {
            try Interruption.check()
            try body(all[0], attributePlace(all))
            let tree = layers[index]
            for child in tree.children(all[0].node) where tree.kind(child) == .directory {
                waiting.append(places(of: child, in: all))
            }
        }
    }

    private struct DirectoryLook: Equatable {
        let mode: mode_t
        let user: uid_t
        let group: gid_t
    }

    private func attributes(at place: Place) throws(SystemError) -> DirectoryLook {
        let tree = layers[place.layer]
        if let table = tree.table, let number = tree.inode(place.node) {
            let inode = table[number]
            return DirectoryLook(mode: inode.permissions, user: inode.user, group: inode.group)
        }
        let path = tree.pathInLayer(of: place.node)
        let name = path.isEmpty ? EntryName.path([]) : OverlayMarks.cString(path)
        var information = stat()
        guard let directory = tree.directory, fstatat(directory, name, &information, AT_SYMLINK_NOFOLLOW) == 0
        else {
            throw SystemError("read the attributes of", String(decodingCString: name))
        }
        return DirectoryLook(
            mode: information.st_mode & 0o7777, user: information.st_uid, group: information.st_gid)
    }

    /// Whether a directory of a layer hides everything that lower layers have in it.
    package func isOpaque(_ path: UnsafePointer<CChar>, in index: Int) -> Bool {
        let bytes = UnsafeBufferPointer(start: path, count: strlen(path)).map { UInt8(bitPattern: $0) }
        guard let name = try? EntryName(bytes), let node = layers[index].node(at: name) else { return false }
        return layers[index].isOpaque(node)
    }

    /// Marks a directory as hiding everything that lower layers have in it.
    ///
    /// - Throws: `SystemError`.
    package func markOpaque(_ path: UnsafePointer<CChar>, at root: CInt) throws(SystemError) {
        try OverlayMarks().markOpaque(
            Array(UnsafeBufferPointer(start: path, count: strlen(path) + 1)), at: root)
    }

    /// Hides a lower layer's name.
    ///
    /// - Throws: `SystemError`.
    package func makeWhiteout(_ path: UnsafePointer<CChar>, at root: CInt) throws(SystemError) {
        let bytes = UnsafeBufferPointer(start: path, count: strlen(path)).map { UInt8(bitPattern: $0) }
        let split = bytes.lastIndex(of: UInt8(ascii: "/"))
        let parent = split.map { OverlayMarks.cString(Array(bytes[..<$0])) } ?? EntryName.path([])
        let directory = try OwnedDescriptor(opening: parent, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: root)
        try OverlayMarks().makeWhiteout(Array(bytes[(split.map { $0 + 1 } ?? 0)...]), at: directory.raw)
    }
}
