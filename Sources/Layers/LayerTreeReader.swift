// Reading a layer's directory into a `LayerTree`, with its marks in whatever form they are.

import CLinux
import Glibc
import Platform

/// Reads directories, breadth first, so that one directory's children are neighbours.
struct LayerTreeReader {
    private(set) var nodes = LayerTreeNodes()
    /// What the names lead to, where that is read too.
    private(set) var inodes = LayerInodes()
    private let readsInodes: Bool
    private let implied: Set<[UInt8]>
    private let replacing: Set<[UInt8]>
    private let opaque: Set<[UInt8]>
    /// Links that lower layers complete, by their directory's path.
    private let links: [[UInt8]: [(base: [UInt8], target: EntryName)]]

    /// One name in a directory, before it is a node.
    private struct Child {
        let name: [UInt8]
        var kind: LayerTree.Kind
        var target: EntryName?
        /// Whether a mark of the same name was found too: a directory then hides the lower layers' content.
        var isOpaque = false
        /// What it leads to, where that is read too.
        var inode: Int32 = -1
    }

    /// - Parameter readsInodes: whether it is read what the names lead to, as a CernVM-FS repository shows them: each name
    ///   of a regular file has a file of its own, and the server's own marks are none of the layer's.
    init(_ context: LayerContext, readsInodes: Bool) {
        self.readsInodes = readsInodes
        implied = context.impliedDirectories
        replacing = context.replacingDirectories
        opaque = context.opaqueDirectories
        links = Dictionary(grouping: context.links) { link in
            Array(link.name.components.dropLast().joined(separator: [UInt8(ascii: "/")]))
        }.mapValues { $0.compactMap { link in link.name.components.last.map { ($0, link.target) } } }
    }

    mutating func read(_ root: CInt) throws {
        var node: Int32 = 0
        while node < nodes.kinds.count {
            if nodes.kinds[Int(node)] == .directory {
                try Interruption.check()
                try readDirectory(node, root)
            }
            node += 1
        }
    }

    private mutating func readDirectory(_ node: Int32, _ root: CInt) throws {
        let path = nodes.path(of: node)
        let name = path.isEmpty ? EntryName.path([]) : OverlayMarks.cString(path)
        let directory = try OwnedDescriptor(opening: name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: root)
        if readsInodes, node == 0 { nodes.inodes = [try readInode(EntryName.path([]), at: directory.raw)] }
        nodes.implied[Int(node)] = implied.contains(path)
        if replacing.contains(path) { nodes.replacing[Int(node)] = true }
        if opaque.contains(path) { nodes.opaque[Int(node)] = true }
        for attribute in OverlayMarks.opaqueAttributes {
            var value: UInt8 = 0
            if fgetxattr(directory.raw, attribute, &value, 1) == 1, value == UInt8(ascii: "y") {
                nodes.opaque[Int(node)] = true
            }
        }
        var children: [[UInt8]: Child] = [:]
        for entry in try DirectoryEntry.list(directory.raw, path: String(decodingCString: name)) {
            let bytes = entry.name.dropLast().map { UInt8(bitPattern: $0) }
            if readsInodes, bytes.elementsEqual(LayerArchive.catalogMark.utf8) { continue }
            if bytes == Whiteout.opaqueName {
                nodes.opaque[Int(node)] = true
            } else if bytes.starts(with: Whiteout.auxiliaryPrefix) {
                continue
            } else if bytes.starts(with: Whiteout.prefix) {
                Self.add(
                    Child(name: Array(bytes.dropFirst(Whiteout.prefix.count)), kind: .whiteout), to: &children
                )
            } else {
                var child = Child(name: bytes, kind: try Self.kind(of: entry, at: directory.raw))
                if readsInodes, child.kind != .whiteout {
                    child.inode =
                        entry.type == UInt8(DT_REG)
                        ? regularFile : try readInode(entry.name, at: directory.raw)
                }
                Self.add(child, to: &children)
            }
        }
        for link in links[path] ?? [] {
            Self.add(Child(name: link.base, kind: .lowerLink, target: link.target), to: &children)
        }
        try append(children, to: node)
    }

    /// A mark hides lower layers' only: whatever the layer itself has at the name stays, and a link that waits gives way
    /// to an entry.
    private static func add(_ child: Child, to children: inout [[UInt8]: Child]) {
        guard var known = children[child.name] else {
            children[child.name] = child
            return
        }
        switch (known.kind, child.kind) {
        case (.directory, .whiteout): known.isOpaque = true
        // Of two links that wait, the one that came later.
        case (.lowerLink, .lowerLink): known = child
        case (.whiteout, _):
            known = child
            known.isOpaque = child.kind == .directory
        default: break
        }
        children[child.name] = known
    }

    private mutating func append(_ children: [[UInt8]: Child], to node: Int32) throws(LayerError) {
        let sorted = children.values.sorted { one, two in
            one.name.withUnsafeBufferPointer { one in
                two.name.withUnsafeBufferPointer { LayerTreeNodes.compare(one, $0) < 0 }
            }
        }
        nodes.childStarts[Int(node)] = Int32(nodes.kinds.count)
        for child in sorted {
            let added = Int32(nodes.kinds.count)
            try nodes.append(child.name, child.kind, parent: node)
            if readsInodes { nodes.inodes.append(child.inode) }
            nodes.opaque[Int(added)] = child.isOpaque
            nodes.replacing[Int(added)] = child.isOpaque
            if let target = child.target, child.kind == .lowerLink { nodes.linkTargets[added] = target }
        }
        nodes.childCounts[Int(node)] = Int32(sorted.count)
    }

    /// The one inode of all regular files: links to them have their attributes, so that those need not be read.
    private lazy var regularFile = inodes.append(
        LayerInodes.Inode(mode: S_IFREG | 0o644, user: 0, group: 0, modified: 0))

    private mutating func readInode(_ name: [CChar], at directory: CInt) throws(SystemError) -> Int32 {
        var information = stat()
        guard fstatat(directory, name, &information, AT_SYMLINK_NOFOLLOW) == 0 else {
            throw SystemError("read the attributes of", String(decodingCString: name))
        }
        let type = information.st_mode & S_IFMT
        if type == S_IFREG { return regularFile }
        var inode = LayerInodes.Inode(
            mode: information.st_mode, user: information.st_uid, group: information.st_gid,
            modified: Int64(information.st_mtim.tv_sec))
        if type == S_IFLNK {
            guard let text = LayerRoot.readLink(name, at: directory) else {
                throw SystemError("read the link", String(decodingCString: name))
            }
            return text.withUnsafeBufferPointer { inodes.append(inode, text: $0) }
        }
        inode.value = Int64(bitPattern: UInt64(information.st_rdev))
        return inodes.append(inode)
    }

    private static func kind(of entry: DirectoryEntry, at directory: CInt) throws(SystemError)
        -> LayerTree.Kind
    {
        switch Int(entry.type) {
        case Int(DT_DIR): return .directory
        case Int(DT_REG), Int(DT_LNK), Int(DT_FIFO), Int(DT_BLK), Int(DT_SOCK): return .other
        default:
            switch try Existing(entry.name, at: directory) {
            case .directory: return .directory
            case .whiteout: return .whiteout
            case .nothing, .other: return .other
            }
        }
    }
}
