// The tree of a layer that was applied in memory: what of its names is still reached from the root, each directory's sorted.

import Glibc
import Platform

extension TreeTarget {
    /// The tree, and what it leaves open. The target is of no further use.
    ///
    /// - Throws: `LayerError` for longer names than a tree can have, `Interrupted`.
    func finish() throws -> LayerTree {
        // The names of each directory's inode are neighbours in `sorted`, from `starts[inode]`.
        var starts = [Int32](repeating: 0, count: inodes.inodes.count + 1)
        for slot in slots.dropFirst() where slot.inode != Link.nothing {
            starts[Int(slot.parent.inode) + 1] += 1
        }
        for index in starts.indices.dropFirst() { starts[index] += starts[index - 1] }
        var sorted = [Int32](repeating: 0, count: Int(starts[starts.count - 1]))
        var next = starts
        for (index, slot) in slots.enumerated().dropFirst() where slot.inode != Link.nothing {
            sorted[Int(next[Int(slot.parent.inode)])] = Int32(index)
            next[Int(slot.parent.inode)] += 1
        }
        next = []
        var nodes = LayerTreeNodes()
        nodes.inodes = [0]
        var node = 0
        while node < nodes.kinds.count {
            if nodes.kinds[node] == .directory {
                try Interruption.check()
                let inode = Int(nodes.inodes[node])
                let flags = inodes.inodes[inode].flags
                nodes.opaque[node] = flags.contains(.opaque)
                nodes.replacing[node] = flags.contains(.replacing)
                nodes.implied[node] = flags.contains(.implied)
                let range = Int(starts[inode])..<Int(starts[inode + 1])
                sorted[range].sort { isBefore($0, $1) }
                try append(sorted[range], to: node, &nodes)
            }
            node += 1
        }
        return LayerTree(.table(inodes), nodes.finished())
    }

    private func append(_ children: ArraySlice<Int32>, to node: Int, _ nodes: inout LayerTreeNodes)
        throws(LayerError)
    {
        nodes.childStarts[node] = Int32(nodes.kinds.count)
        nodes.childCounts[node] = Int32(children.count)
        for child in children {
            let slot = slots[Int(child)]
            let kind: LayerTree.Kind =
                switch slot.inode {
                case Link.whiteout: .whiteout
                case Link.lower, Link.hiddenLower: .lowerLink
                case let inode: isDirectory(inode) ? .directory : .other
                }
            if kind == .lowerLink { nodes.linkTargets[Int32(nodes.kinds.count)] = lowerLinks[child] }
            try nodes.append(
                names[slot.nameStart..<slot.nameStart + Int(slot.nameCount)], kind, parent: Int32(node))
            nodes.inodes.append(max(slot.inode, -1))
        }
    }

    private func isBefore(_ one: Int32, _ two: Int32) -> Bool {
        let one = slots[Int(one)]
        let two = slots[Int(two)]
        return names.withUnsafeBufferPointer { names in
            LayerTreeNodes.compare(
                UnsafeBufferPointer(rebasing: names[one.nameStart..<one.nameStart + Int(one.nameCount)]),
                UnsafeBufferPointer(rebasing: names[two.nameStart..<two.nameStart + Int(two.nameCount)])) < 0
        }
    }
}
