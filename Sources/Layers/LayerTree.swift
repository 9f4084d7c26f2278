// What a layer has: the names, which of them are directories, and what it hides; read from its directory, or made from
// its archive, then with what each name leads to. Compact (a layer of 300,000 entries takes some 25 MB), because flat
// images are merged from the trees of all their layers.

import Glibc
import Platform

/// The names in one unpacked layer.
package final class LayerTree: Sendable {
    /// What is at a name.
    package enum Kind: UInt8, Sendable {
        case directory
        /// Anything that is not a directory.
        case other
        /// A hard link that lower layers complete: not in the layer's own directory.
        case lowerLink
        /// Nothing: the name hides the lower layers'.
        case whiteout
    }

    /// Where what the names lead to is known from.
    enum Files: Sendable {
        /// The layer's own directory, which is asked; open as long as the tree.
        case directory(SharedDescriptor)
        /// What each name leads to, known by itself.
        case table(LayerInodes)
    }

    let files: Files
    /// A node's index in the arrays; 0 is the root.
    typealias Node = Int32

    let nodes: LayerTreeNodes

    init(_ files: Files, _ nodes: LayerTreeNodes) {
        self.files = files
        self.nodes = nodes
    }

    /// Reads the tree beneath a directory, which stays open.
    ///
    /// - Parameter context: what the layer leaves open.
    /// - Throws: `SystemError`, `LayerError` for a layer of too many names, `Interrupted`.
    package convenience init(reading root: SharedDescriptor, context: LayerContext) throws {
        var reader = LayerTreeReader(context, readsInodes: false)
        try reader.read(root.raw)
        self.init(.directory(root), reader.nodes.finished())
    }

    /// Reads the tree of a layer that a CernVM-FS repository shows, with what its names lead to: nothing of it stays open.
    ///
    /// - Throws: `SystemError`, `LayerError` for a layer of too many names, `Interrupted`.
    package convenience init(readingAll root: CInt, context: LayerContext) throws {
        var reader = LayerTreeReader(context, readsInodes: true)
        try reader.read(root)
        self.init(.table(reader.inodes), reader.nodes.finished())
    }

    /// The layer's directory; nil where the tree was made without one.
    package var directory: CInt? {
        if case .directory(let root) = files { return root.raw }
        return nil
    }

    /// The inodes; nil where the layer's directory has them.
    var table: LayerInodes? {
        if case .table(let inodes) = files { return inodes }
        return nil
    }

    /// A node's inode; nil where it has none, or the layer's directory has it.
    func inode(_ node: Node) -> Int32? {
        guard !nodes.inodes.isEmpty, nodes.inodes[Int(node)] >= 0 else { return nil }
        return nodes.inodes[Int(node)]
    }

    /// A symbolic link's text; nil where there is something else.
    func linkText(_ node: Node) -> [UInt8]? {
        switch files {
        case .directory(let root):
            return LayerRoot.readLink(OverlayMarks.cString(pathInLayer(of: node)), at: root.raw)
        case .table(let inodes): return inode(node).flatMap { inodes.linkText($0) }
        }
    }

    /// What the layer leaves open.
    ///
    /// - Parameter withOpaque: whether opaque directories are among that.
    package func context(withOpaque: Bool) throws(LayerError) -> LayerContext {
        var context = LayerContext()
        for index in nodes.kinds.indices where nodes.kinds[index] == .directory {
            let node = Node(index)
            if isImplied(node) {
                context.impliedDirectories.insert(path(of: node))
                if isReplacing(node) { context.replacingDirectories.insert(path(of: node)) }
            }
            if withOpaque, isOpaque(node) { context.opaqueDirectories.insert(path(of: node)) }
        }
        for node in lowerLinks {
            guard let target = linkTarget(node) else { continue }
            context.links.append(LayerContext.LowerLink(name: try EntryName(path(of: node)), target: target))
        }
        return context
    }

    func kind(_ node: Node) -> Kind { nodes.kinds[Int(node)] }

    /// Whether a directory hides everything that lower layers have in it.
    func isOpaque(_ node: Node) -> Bool { nodes.opaque[Int(node)] }

    /// Whether no entry of the layer named the directory.
    func isImplied(_ node: Node) -> Bool { nodes.implied[Int(node)] }

    /// Whether a directory owes nothing to what lower layers have at its name: the layer removed that.
    func isReplacing(_ node: Node) -> Bool { nodes.replacing[Int(node)] }

    /// Whether a directory is there only because names of marks need it: applied, it leaves nothing.
    func isBare(_ node: Node) -> Bool { nodes.bare[Int(node)] }

    /// Where a node is in the layer's directory, where that is not its path.
    func movedFrom(_ node: Node) -> [UInt8]? { nodes.sources.isEmpty ? nil : nodes.sources[node] }

    /// Where a node is in the layer as it was made.
    func pathInLayer(of node: Node) -> [UInt8] { movedFrom(node) ?? path(of: node) }

    /// What a `lowerLink` links to.
    func linkTarget(_ node: Node) -> EntryName? { nodes.linkTargets[node] }

    /// All nodes that are `lowerLink`s.
    var lowerLinks: [Node] { nodes.linkTargets.keys.sorted() }

    /// All directories that are opaque.
    var opaqueNodes: [Node] {
        nodes.opaque.indices.filter { nodes.opaque[$0] && nodes.kinds[$0] == .directory }.map { Node($0) }
    }

    /// The children of a directory, sorted by name.
    func children(_ node: Node) -> Range<Node> {
        let start = nodes.childStarts[Int(node)]
        return start..<start + nodes.childCounts[Int(node)]
    }

    /// Calls `body` with a node's name.
    @inline(__always)
    func withName<Result>(_ node: Node, _ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
        let range = Int(nodes.nameStarts[Int(node)])..<Int(nodes.nameStarts[Int(node) + 1])
        return nodes.names.withUnsafeBufferPointer { body(UnsafeBufferPointer(rebasing: $0[range])) }
    }

    /// The child of that name, or nil.
    func child(_ node: Node, named name: UnsafeBufferPointer<UInt8>) -> Node? {
        var low = children(node).lowerBound
        var high = children(node).upperBound
        while low < high {
            let middle = low + (high - low) / 2
            let order = withName(middle) { LayerTreeNodes.compare($0, name) }
            if order == 0 { return middle }
            if order < 0 { low = middle + 1 } else { high = middle }
        }
        return nil
    }

    /// The node at a path, or nil.
    func node(at name: EntryName) -> Node? {
        var node: Node = 0
        for component in name.components {
            guard kind(node) == .directory,
                let next = component.withUnsafeBufferPointer({ child(node, named: $0) })
            else { return nil }
            node = next
        }
        return node
    }

    /// The path of a node.
    func path(of node: Node) -> [UInt8] { nodes.path(of: node) }
}

/// The arrays of a `LayerTree`: one element a node, the children of one directory neighbours.
struct LayerTreeNodes: Sendable {
    var names: [UInt8] = []
    /// Where a node's name begins; it ends where the next one's begins.
    var nameStarts: [Int32] = [0, 0]
    var kinds: [LayerTree.Kind] = [.directory]
    var opaque = [false]
    var implied = [false]
    var replacing = [false]
    var bare = [false]
    /// The paths in the layer's directory of the nodes that are elsewhere in the tree.
    var sources: [Int32: [UInt8]] = [:]
    var childStarts: [Int32] = [0]
    var childCounts: [Int32] = [0]
    var parents: [Int32] = [0]
    var linkTargets: [Int32: EntryName] = [:]
    /// Each node's inode, -1 for none; empty where the layer's directory has them.
    var inodes: [Int32] = []

    /// Adds a node.
    ///
    /// - Throws: `LayerError` where the names get longer than the arrays can tell.
    mutating func append(_ name: some Collection<UInt8>, _ kind: LayerTree.Kind, parent: Int32)
        throws(LayerError)
    {
        names.append(contentsOf: name)
        guard let end = Int32(exactly: names.count) else {
            throw LayerError("the layer's names are too many")
        }
        nameStarts.append(end)
        kinds.append(kind)
        opaque.append(false)
        implied.append(false)
        replacing.append(false)
        childStarts.append(0)
        childCounts.append(0)
        parents.append(parent)
    }

    /// The nodes with what only all of them together tell.
    func finished() -> LayerTreeNodes {
        var result = self
        result.bare = implied
        // Children come behind their parents.
        for node in kinds.indices.dropFirst().reversed()
        where kinds[node] != .whiteout && !(kinds[node] == .directory && result.bare[node]) {
            result.bare[Int(parents[node])] = false
        }
        return result
    }

    /// A node's path, without a leading slash; empty for the root.
    func path(of node: Int32) -> [UInt8] {
        var components: [ArraySlice<UInt8>] = []
        var node = Int(node)
        while node != 0 {
            components.append(names[Int(nameStarts[node])..<Int(nameStarts[node + 1])])
            node = Int(parents[node])
        }
        return Array(components.reversed().joined(separator: [UInt8(ascii: "/")]))
    }

    /// Like `memcmp`, the shorter of two first where one begins with the other.
    static func compare(_ one: UnsafeBufferPointer<UInt8>, _ two: UnsafeBufferPointer<UInt8>) -> Int {
        let length = min(one.count, two.count)
        if length > 0, let first = one.baseAddress, let second = two.baseAddress {
            let order = memcmp(first, second, length)
            if order != 0 { return Int(order) }
        }
        return one.count - two.count
    }
}
