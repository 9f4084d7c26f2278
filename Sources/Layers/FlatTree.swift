// The flat image as entries that refer to the layers' files: what overlayfs would show of the layers stacked one over
// the other, computed from their names alone, and what the layers leave open answered for this image. Whoever
// publishes it decides what an entry costs: a hard link in a directory, a hard-link entry in an archive.

import Glibc
import Images

/// Layers stacked one over the other.
package struct FlatTree: Sendable {
    /// The layers' trees, the lowest first.
    package let layers: [LayerTree]

    /// Stacks layers, the lowest first.
    ///
    /// - Throws: `LayerError` where links of lower layers lead a name nowhere, `Interrupted`.
    package init(_ layers: [LayerTree]) throws {
        var resolved: [LayerTree] = []
        for layer in layers {
            resolved.append(try layer.followingLinks(of: FlatTree(resolved: resolved)))
        }
        self.layers = resolved
    }

    /// Stacks layers whose names lead through no link of a lower one.
    init(resolved: [LayerTree]) { layers = resolved }

    /// One step of a walk.
    package enum Step: Sendable {
        /// A directory, with what is in it up to the matching `leave`.
        case enter
        /// The end of the directory last entered.
        case leave
        /// Anything else.
        case entry
    }

    /// A file or directory of a layer that stands for an entry of the merged tree.
    package struct Origin {
        /// The layer, by its index.
        package let layer: Int
        /// The node in that layer's tree.
        let node: LayerTree.Node
        /// The path in the layer's directory, relative to its root; valid during the call.
        package let path: UnsafePointer<CChar>
    }

    /// A node in one of the layers.
    struct Place {
        let layer: Int
        let node: LayerTree.Node
    }

    /// Walks the merged tree: parents before children, the root (path ".") first.
    ///
    /// - Parameter body: called with the step, the path in the tree (a C string relative to the root, valid during the
    ///   call), and what the entry is like: the highest layer's file, or the directory whose attributes count.
    /// - Throws: what `body` throws; `LayerError` for a hard link to nothing.
    package func walk(_ body: (Step, _ path: UnsafePointer<CChar>, _ origin: Origin) throws -> Void) throws {
        let roots = layers.indices.reversed().map { Place(layer: $0, node: 0) }
        guard !roots.isEmpty else { return }
        var path = PathBuffer()
        try walk(directory: roots, &path, body)
    }

    /// - Parameter all: the directories at the path, the highest first.
    private func walk(
        directory all: [Place], _ path: inout PathBuffer,
        _ body: (Step, UnsafePointer<CChar>, Origin) throws -> Void
    ) throws {
        let places = visible(all)
        let attributes = attributePlace(all)
        try path.use { path in try withOrigin(attributes, path) { try body(.enter, path, $0) } }
        for (level, place) in places.enumerated() {
            let tree = layers[place.layer]
            for child in tree.children(place.node) {
                let kind = tree.kind(child)
                if kind == .whiteout || isHidden(child, tree, by: places[..<level]) { continue }
                let own = Place(layer: place.layer, node: child)
                let mark = path.count
                tree.withName(child) { path.append($0) }
                switch kind {
                case .directory:
                    let lower = tree.withName(child) { self.places(named: $0, in: places[(level + 1)...]) }
                    let all = [own] + lower
                    // What only removes leaves nothing where there was nothing.
                    if !owed(all).allSatisfy({ layers[$0.layer].isBare($0.node) }) {
                        try walk(directory: all, &path, body)
                    }
                case .lowerLink:
                    let file = try source(of: child, in: place.layer)
                    let target = OverlayMarks.cString(layers[file.layer].pathInLayer(of: file.node))
                    try target.withUnsafeBufferPointer { target in
                        guard let start = target.baseAddress else { return }
                        try path.use {
                            try body(.entry, $0, Origin(layer: file.layer, node: file.node, path: start))
                        }
                    }
                case .other, .whiteout:
                    try path.use { path in try withOrigin(own, path) { try body(.entry, path, $0) } }
                }
                path.truncate(mark)
            }
        }
        try path.use { path in try withOrigin(attributes, path) { try body(.leave, path, $0) } }
    }

    /// Calls `body` with where a node is in its layer's directory: at the same path, mostly.
    func withOrigin(
        _ place: Place, _ path: UnsafePointer<CChar>, _ body: (Origin) throws -> Void
    ) rethrows {
        guard let moved = layers[place.layer].movedFrom(place.node) else {
            return try body(Origin(layer: place.layer, node: place.node, path: path))
        }
        try OverlayMarks.cString(moved).withUnsafeBufferPointer { buffer in
            if let start = buffer.baseAddress {
                try body(Origin(layer: place.layer, node: place.node, path: start))
            }
        }
    }

    /// Whose directory the merged one looks like: the highest layer's that names it; where none does, the lowest's,
    /// which made it first.
    func attributePlace(_ all: [Place]) -> Place {
        let places = owed(all)
        return places.first { !layers[$0.layer].isImplied($0.node) } ?? places[places.count - 1]
    }

    /// The directories down to the first that stands in place of what a layer removed. An opaque one removes what is in
    /// the lower layers' directory, but not that itself.
    private func owed(_ all: [Place]) -> ArraySlice<Place> {
        guard let last = all.firstIndex(where: { layers[$0.layer].isReplacing($0.node) }) else {
            return all[...]
        }
        return all[...last]
    }

    /// Whether a higher layer has the name, or hides it.
    func isHidden(_ child: LayerTree.Node, _ tree: LayerTree, by higher: ArraySlice<Place>) -> Bool {
        if higher.isEmpty { return false }
        return tree.withName(child) { name in
            higher.contains { layers[$0.layer].child($0.node, named: name) != nil }
        }
    }

    /// Where lower layers have a directory of that name, down to the first that has or hides something else there.
    func places(named name: UnsafeBufferPointer<UInt8>, in lower: ArraySlice<Place>) -> [Place] {
        var found: [Place] = []
        for place in lower {
            let tree = layers[place.layer]
            guard let node = tree.child(place.node, named: name) else { continue }
            guard tree.kind(node) == .directory else { break }
            found.append(Place(layer: place.layer, node: node))
        }
        return found
    }

    /// The places down to the first opaque directory, which hides those beneath it.
    func visible(_ places: [Place]) -> [Place] {
        guard let opaque = places.firstIndex(where: { layers[$0.layer].isOpaque($0.node) }) else {
            return places
        }
        return Array(places[...opaque])
    }

    // MARK: - Hard links to files of lower layers

    /// Looks whether every hard link leads to a file.
    ///
    /// - Throws: `LayerError` for one that leads to nothing.
    package func checkLinks() throws(LayerError) {
        for (index, tree) in layers.enumerated() {
            for node in tree.lowerLinks { _ = try source(of: node, in: index) }
        }
    }

    /// The file that a hard link means: what the layers beneath show at the target's path, links on the way to it
    /// followed. Its own layer had nothing there when the link came (what it has there now came later, and is another
    /// file), unless it wrote it through a lower layer's link.
    ///
    /// - Throws: `LayerError` for a link to nothing.
    func source(
        of link: LayerTree.Node, in layer: Int, _ effort: LinkEffort = LinkEffort()
    ) throws(LayerError) -> Place {
        effort.depth += 1
        defer { effort.depth -= 1 }
        var place = Place(layer: layer, node: link)
        // Links may lead to links; more in a row than this are a loop.
        for _ in 0..<1000 {
            let tree = layers[place.layer]
            guard effort.spend(), let spelled = tree.linkTarget(place.node),
                let last = spelled.components.last
            else { break }
            let seen = FlatTree(resolved: Array(layers[...place.layer]))
            guard let parent = try? seen.realPath(of: spelled.components.dropLast(), for: spelled, effort)
            else {
                break
            }
            let target = EntryName(real: parent + [last])
            if let own = tree.node(at: target), own != place.node,
                target != spelled || tree.movedFrom(own) != nil, tree.kind(own) != .whiteout
            {
                place = Place(layer: place.layer, node: own)
            } else if let lower = FlatTree(resolved: Array(layers[..<place.layer])).find(target) {
                place = lower
            } else {
                break
            }
            switch layers[place.layer].kind(place.node) {
            case .other: return place
            case .lowerLink: continue
            case .directory, .whiteout: break
            }
            break
        }
        throw .refused("the layer has a hard link to nothing", entry: layers[layer].path(of: link))
    }

    /// What the merged tree has at a path; symbolic links are not followed.
    func find(_ name: EntryName) -> Place? {
        var places = visible(layers.indices.reversed().map { Place(layer: $0, node: 0) })
        var found = places.first
        for component in name.components {
            found = nil
            for (level, place) in places.enumerated() {
                let tree = layers[place.layer]
                guard let node = component.withUnsafeBufferPointer({ tree.child(place.node, named: $0) })
                else { continue }
                found = Place(layer: place.layer, node: node)
                let lower =
                    tree.kind(node) == .directory
                    ? component.withUnsafeBufferPointer { self.places(named: $0, in: places[(level + 1)...]) }
                    : []
                places =
                    tree.kind(node) == .directory
                    ? visible([Place(layer: place.layer, node: node)] + lower) : []
                break
            }
            if found == nil { return nil }
        }
        guard let found, layers[found.layer].kind(found.node) != .whiteout else { return nil }
        return found
    }
}

/// What may still be spent on following one hard link: its path may lead through symbolic links that are hard links into
/// lower layers themselves, and those through it. An archive can make that a loop, or a tree without end.
final class LinkEffort {
    /// How many links are being followed, each on the way of another.
    var depth = 0
    private var left = 10_000

    /// - Returns: whether there is any left.
    func spend() -> Bool {
        left -= 1
        return left > 0 && depth <= RootedWalk.mostLinks
    }
}

/// A path that grows and shrinks by components, always a C string.
struct PathBuffer {
    private var bytes: [CChar] = [0]

    /// The length without the closing NUL.
    var count: Int { bytes.count - 1 }

    mutating func append(_ name: UnsafeBufferPointer<UInt8>) {
        bytes.removeLast()
        if !bytes.isEmpty { bytes.append(CChar(UInt8(ascii: "/"))) }
        for byte in name { bytes.append(CChar(bitPattern: byte)) }
        bytes.append(0)
    }

    mutating func truncate(_ count: Int) {
        bytes.removeSubrange(count...)
        bytes.append(0)
    }

    /// Calls `body` with the path; "." for the root.
    func use(_ body: (UnsafePointer<CChar>) throws -> Void) rethrows {
        if count == 0 { return try ".".withCString(body) }
        try bytes.withUnsafeBufferPointer { buffer in
            if let start = buffer.baseAddress { try body(start) }
        }
    }
}
