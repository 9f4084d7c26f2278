// What a layer has, read from its directory: the names, which of them are directories, and what it hides. Compact (a
// layer of 300,000 entries takes some 15 MB), because flat images are merged from the trees of all their layers.

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

    /// The root directory; valid as long as the tree.
    package let root: SharedDescriptor
    /// A node's index in the arrays; 0 is the root.
    typealias Node = Int32

    let nodes: LayerTreeNodes

    init(root: SharedDescriptor, nodes: LayerTreeNodes) {
        self.root = root
        self.nodes = nodes
    }

    /// Reads the tree beneath a directory.
    ///
    /// - Parameter context: what the layer leaves open.
    /// - Throws: `SystemError`, `LayerError` for a layer of too many names, `Interrupted`.
    package init(reading root: SharedDescriptor, context: LayerContext) throws {
        self.root = root
        var reader = LayerTreeReader(context)
        try reader.read(root.raw)
        nodes = reader.nodes.finished()
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

    /// Adds a node.
    ///
    /// - Throws: `LayerError` where the names get longer than the arrays can tell.
    mutating func append(_ name: [UInt8], _ kind: LayerTree.Kind, parent: Int32) throws(LayerError) {
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
