// A layer's tree that can be changed: needed for the few layers whose names lead through a lower layer's link.

/// Moves directories of a tree.
final class LayerTreeBuilder {
    /// One node, with what is beneath it.
    private final class Branch {
        let name: [UInt8]
        var kind: LayerTree.Kind
        var isOpaque = false
        var isImplied = false
        var isReplacing = false
        var linkTarget: EntryName?
        /// Where it is in the layer's directory.
        let source: [UInt8]
        var inode: Int32?
        var children: [[UInt8]: Branch] = [:]

        init(_ name: [UInt8], _ kind: LayerTree.Kind, source: [UInt8]) {
            self.name = name
            self.kind = kind
            self.source = source
        }

        /// It stands where this layer removed something.
        func replaceLower() {
            isOpaque = true
            isReplacing = true
        }
    }

    private let original: LayerTree
    /// By the nodes of the original tree.
    private var branches: [Branch] = []

    init(_ tree: LayerTree) {
        original = tree
        let nodes = tree.nodes
        branches.reserveCapacity(nodes.kinds.count)
        for index in nodes.kinds.indices {
            let node = LayerTree.Node(index)
            let name = tree.withName(node) { Array($0) }
            let branch = Branch(name, nodes.kinds[index], source: tree.movedFrom(node) ?? tree.path(of: node))
            branch.isOpaque = nodes.opaque[index]
            branch.isImplied = nodes.implied[index]
            branch.isReplacing = nodes.replacing[index]
            branch.linkTarget = tree.linkTarget(node)
            branch.inode = tree.inode(node)
            branches.append(branch)
            if index > 0 { branches[Int(nodes.parents[index])].children[name] = branch }
        }
    }

    /// Moves a directory, into what the layer has there itself where it has something.
    ///
    /// - Throws: `LayerError` where that is no directory.
    func move(_ node: LayerTree.Node, to path: [[UInt8]]) throws(LayerError) {
        let moved = branches[Int(node)]
        branches[Int(original.nodes.parents[Int(node)])].children[moved.name] = nil
        var directory = branches[0]
        for component in path {
            if let known = directory.children[component], known.kind != .whiteout {
                guard known.kind == .directory else {
                    throw .refused("the layer has a path that links make impossible", entry: moved.source)
                }
                directory = known
                continue
            }
            // Where nobody has a directory, one is implied, and looks like the one that is moved.
            let made = Branch(component, .directory, source: moved.source)
            made.isImplied = true
            made.inode = moved.inode
            if directory.children[component] != nil { made.replaceLower() }
            directory.children[component] = made
            directory = made
        }
        merge(moved, into: directory)
    }

    /// The layer alone doesn't tell which of two entries came last that are one only through a lower layer's link: the
    /// one that is spelled without the link stays.
    private func merge(_ moved: Branch, into directory: Branch) {
        directory.isOpaque = directory.isOpaque || moved.isOpaque
        for (name, child) in moved.children {
            guard let known = directory.children[name] else {
                directory.children[name] = child
                continue
            }
            switch (known.kind, child.kind) {
            case (.whiteout, .whiteout): break
            case (.whiteout, _):
                directory.children[name] = child
                if child.kind == .directory { child.replaceLower() }
            case (.directory, .whiteout): known.replaceLower()
            case (.directory, .directory): merge(child, into: known)
            default: break
            }
        }
    }

    /// The tree as it is now.
    ///
    /// - Throws: `LayerError` where the names get longer than a tree can tell.
    func tree() throws(LayerError) -> LayerTree {
        var nodes = LayerTreeNodes()
        var ordered = [branches[0]]
        if original.table != nil { nodes.inodes = [branches[0].inode ?? -1] }
        nodes.implied[0] = branches[0].isImplied
        nodes.opaque[0] = branches[0].isOpaque
        var index = 0
        while index < ordered.count {
            let children = ordered[index].children.values.sorted { one, two in
                one.name.lexicographicallyPrecedes(two.name)
            }
            nodes.childStarts[index] = Int32(ordered.count)
            nodes.childCounts[index] = Int32(children.count)
            for child in children {
                let node = LayerTree.Node(ordered.count)
                ordered.append(child)
                try nodes.append(child.name, child.kind, parent: Int32(index))
                if original.table != nil { nodes.inodes.append(child.inode ?? -1) }
                nodes.opaque[Int(node)] = child.isOpaque
                nodes.implied[Int(node)] = child.isImplied
                nodes.replacing[Int(node)] = child.isReplacing
                if let target = child.linkTarget { nodes.linkTargets[node] = target }
                if nodes.path(of: node) != child.source { nodes.sources[node] = child.source }
            }
            index += 1
        }
        return LayerTree(original.files, nodes.finished())
    }
}
