// Names that lead through a link which only a lower layer has.
//
// A layer may hold `lib/x` and no entry for `lib`, and a lower layer `lib -> usr/lib`. An archive that is extracted over
// the lower layers, as the OCI image specification has it, writes `usr/lib/x` then. The layer alone can't know: it has a
// directory `lib`. So what is in such a directory moves to where the link leads, for each image anew, in the tree that
// is merged; the layer's own directory stays as it is.

import CLinux
import Glibc
import Platform

extension LayerTree {
    /// The tree with what lies in a lower layers' link moved to where that leads.
    ///
    /// - Throws: `LayerError` where it leads to no directory, `Interrupted`.
    func followingLinks(of lower: FlatTree) throws -> LayerTree {
        var tree = self
        for _ in 0..<EntryName.deepest {
            let moves = try tree.moves(over: lower)
            if moves.isEmpty { return tree }
            // What moved may itself lie in a link; each turn settles one component more.
            let builder = LayerTreeBuilder(tree)
            for (node, target) in moves { try builder.move(node, to: target) }
            tree = try builder.tree()
        }
        throw LayerError("the layer has a loop of links")
    }

    /// The topmost directories that only names imply where the lower layers have a link, and where that leads.
    private func moves(over lower: FlatTree) throws -> [(Node, [[UInt8]])] {
        var found: [(Node, [[UInt8]])] = []
        if lower.layers.isEmpty { return [] }
        var settled: Set<Node> = []
        // Parents come before their children.
        for node in nodes.kinds.indices.dropFirst()
        where nodes.kinds[node] == .directory && nodes.implied[node] {
            try Interruption.check()
            let node = Node(node)
            if isReplacing(node) || hasAncestor(node, where: { isOpaque($0) || settled.contains($0) }) {
                continue
            }
            let name = EntryName(real: components(of: node))
            guard let place = lower.find(name), lower.linkText(at: place) != nil else { continue }
            found.append((node, try lower.realPath(of: name.components[...], for: name)))
            settled.insert(node)
        }
        return found
    }

    private func hasAncestor(_ node: Node, where condition: (Node) -> Bool) -> Bool {
        var ancestor = node
        while ancestor != 0 {
            ancestor = nodes.parents[Int(ancestor)]
            if condition(ancestor) { return true }
        }
        return false
    }

    private func components(of node: Node) -> [[UInt8]] {
        path(of: node).split(separator: UInt8(ascii: "/")).map { Array($0) }
    }
}

extension FlatTree {
    /// A symbolic link's text; nil where there is something else.
    func linkText(at place: Place, _ effort: LinkEffort = LinkEffort()) -> [UInt8]? {
        switch layers[place.layer].kind(place.node) {
        case .directory, .whiteout: return nil
        case .lowerLink:
            guard let file = try? source(of: place.node, in: place.layer, effort) else { return nil }
            return layers[file.layer].linkText(file.node)
        case .other: return layers[place.layer].linkText(place.node)
        }
    }

    /// Where a directory's path leads in the merged tree, links followed as inside a chroot of the root. What isn't there
    /// counts as a directory.
    ///
    /// - Throws: `LayerError` where something on the way is neither a directory nor a link, or the links never end.
    func realPath(
        of components: ArraySlice<[UInt8]>, for name: EntryName, _ effort: LinkEffort = LinkEffort()
    ) throws(LayerError) -> [[UInt8]] {
        var walk = RootedWalk(components, of: name)
        while let component = try walk.next() {
            guard let place = find(EntryName(real: walk.real + [component])),
                layers[place.layer].kind(place.node) != .directory
            else {
                walk.enter(component)
                continue
            }
            guard let text = linkText(at: place, effort) else {
                throw .refused("the layer uses a file as a directory", entry: name.bytes)
            }
            try walk.follow(text)
        }
        return walk.real
    }
}
