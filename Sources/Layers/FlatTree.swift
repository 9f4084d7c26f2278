// The flat image as entries that refer to the layers' files: what overlayfs would show of the layers stacked one over
// the other, computed from their names alone. Whoever publishes it decides what an entry costs: a hard link in a
// directory, a hard-link entry in an archive.

import Glibc
import Images

/// Layers stacked one over the other, the lowest first.
package struct FlatTree: Sendable {
    /// The layers' trees, the lowest first.
    package let layers: [LayerTree]

    package init(_ layers: [LayerTree]) { self.layers = layers }

    /// One step of a walk.
    package enum Step: Sendable {
        /// A directory, with what is in it up to the matching `leave`.
        case enter
        /// The end of the directory last entered.
        case leave
        /// Anything else.
        case entry
    }

    /// A node in one of the layers.
    private struct Place {
        let layer: Int
        let node: LayerTree.Node
    }

    /// Walks the merged tree: parents before children, the root (path ".") first.
    ///
    /// - Parameter body: called with the step, the path in the tree (a C string relative to the root, valid during the
    ///   call), where its last component begins, and the index of the layer the thing comes from: the highest that
    ///   has it.
    /// - Throws: what `body` throws.
    package func walk(
        _ body: (Step, _ path: UnsafePointer<CChar>, _ base: UnsafePointer<CChar>, _ layer: Int) throws ->
            Void
    ) throws {
        let roots = visible(layers.indices.reversed().map { Place(layer: $0, node: 0) })
        guard !roots.isEmpty else { return }
        var path = PathBuffer()
        try walk(directory: roots, &path, body)
    }

    private func walk(
        directory places: [Place], _ path: inout PathBuffer,
        _ body: (Step, UnsafePointer<CChar>, UnsafePointer<CChar>, Int) throws -> Void
    ) throws {
        try path.use { try body(.enter, $0, $1, places[0].layer) }
        for (level, place) in places.enumerated() {
            let tree = layers[place.layer]
            for child in tree.children(place.node) {
                let kind = tree.kind(child)
                if kind == .whiteout || isHidden(child, tree, by: places[..<level]) { continue }
                let mark = path.count
                tree.withName(child) { path.append($0) }
                if kind == .directory {
                    let lower = tree.withName(child) { self.places(named: $0, in: places[(level + 1)...]) }
                    try walk(
                        directory: visible([Place(layer: place.layer, node: child)] + lower), &path, body)
                } else {
                    try path.use { try body(.entry, $0, $1, place.layer) }
                }
                path.truncate(mark)
            }
        }
        try path.use { try body(.leave, $0, $1, places[0].layer) }
    }

    /// Whether a higher layer has the name, or hides it.
    private func isHidden(_ child: LayerTree.Node, _ tree: LayerTree, by higher: ArraySlice<Place>) -> Bool {
        if higher.isEmpty { return false }
        return tree.withName(child) { name in
            higher.contains { layers[$0.layer].child($0.node, named: name) != nil }
        }
    }

    /// Where lower layers have a directory of that name, down to the first that has or hides something else there.
    private func places(named name: UnsafeBufferPointer<UInt8>, in lower: ArraySlice<Place>) -> [Place] {
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
    private func visible(_ places: [Place]) -> [Place] {
        guard let opaque = places.firstIndex(where: { layers[$0.layer].isOpaque($0.node) }) else {
            return places
        }
        return Array(places[...opaque])
    }

    /// What the merged tree has at a path; links are not followed.
    ///
    /// - Returns: the kind and the layer it comes from, or nil where there is nothing.
    func find(_ name: EntryName) -> (kind: LayerTree.Kind, layer: Int)? {
        var places = visible(layers.indices.reversed().map { Place(layer: $0, node: 0) })
        guard let top = places.first else { return nil }
        var result = (kind: LayerTree.Kind.directory, layer: top.layer)
        for (index, component) in name.components.enumerated() {
            let found = component.withUnsafeBufferPointer { component -> (Place, Int)? in
                for (level, place) in places.enumerated() {
                    if let node = layers[place.layer].child(place.node, named: component) {
                        return (Place(layer: place.layer, node: node), level)
                    }
                }
                return nil
            }
            guard let (place, level) = found else { return nil }
            result = (layers[place.layer].kind(place.node), place.layer)
            switch result.kind {
            case .whiteout: return nil
            case .other: return index == name.components.count - 1 ? result : nil
            case .directory:
                let lower = component.withUnsafeBufferPointer {
                    self.places(named: $0, in: places[(level + 1)...])
                }
                places = visible([place] + lower)
            }
        }
        return result
    }
}

/// A path that grows and shrinks by components, always a C string.
private struct PathBuffer {
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

    /// Calls `body` with the path and its last component; "." and "." for the root.
    func use(_ body: (UnsafePointer<CChar>, UnsafePointer<CChar>) throws -> Void) rethrows {
        if count == 0 {
            try ".".withCString { try body($0, $0) }
            return
        }
        try bytes.withUnsafeBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return }
            let slash = buffer.lastIndex(of: CChar(UInt8(ascii: "/")))
            try body(start, slash.map { start + $0 + 1 } ?? start)
        }
    }
}
