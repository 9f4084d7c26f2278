// Layers are unpacked side by side, each for itself; here they are put one over the other, from the lowest up, and
// what a layer left open is completed with what the lower ones have:
//  - a hard link to a file of a lower layer gets that file (a link to the same content, not an empty file);
//  - a directory that only other entries' names implied takes owner, mode and time from the lower layers' directory,
//    so that stacking the layers doesn't turn `/tmp` into an ordinary directory.

import CLinux
import Glibc
import Platform

/// The layers of one image, the lowest first.
package struct LayerStack {
    private var layers: [LayerTree] = []

    package init() {}

    /// Everything stacked so far, as one tree.
    package var flat: FlatTree { FlatTree(layers) }

    /// Puts a layer that was there before over the others.
    ///
    /// - Throws: `SystemError`, `Interrupted`.
    package mutating func add(existing root: SharedDescriptor) throws {
        layers.append(try LayerTree(reading: root))
    }

    /// Puts a layer over the others that was just unpacked, and completes it.
    ///
    /// - Throws: `LayerError` for a hard link to nothing; `SystemError`, `Interrupted`.
    package mutating func add(_ layer: UnpackedLayer, at root: SharedDescriptor) throws {
        let lower = flat
        let target = LayerRoot(root.raw, marks: OverlayMarks())
        for path in layer.impliedDirectories { try inherit(path, target, from: lower) }
        for link in layer.pendingLinks { try complete(link, target, from: lower) }
        layers.append(try LayerTree(reading: root))
    }

    private func inherit(_ path: [CChar], _ target: LayerRoot, from lower: FlatTree) throws {
        let name = try EntryName(path.dropLast().map { UInt8(bitPattern: $0) })
        guard let found = lower.find(name), found.kind == .directory,
            let source = try LayerRoot(lower.layers[found.layer].root.raw, marks: target.marks)
                .open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW),
            let directory = try target.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        else { return }
        try AttributeCopy.copy(from: source.raw, to: directory.raw)
    }

    private func complete(_ link: PendingLink, _ target: LayerRoot, from lower: FlatTree) throws {
        let parent = try target.parent(of: link.name)
        switch try Existing(link.name.base, at: parent) {
        case .directory, .other: return  // a later entry of the layer took the name
        case .nothing: break
        case .whiteout: try target.removeExisting(link.name.base, at: parent)
        }
        var source = target
        var holder = try source.existingParent(of: link.target)
        var isThere = false
        if let raw = holder?.raw, case .other = try Existing(link.target.base, at: raw) { isThere = true }
        if !isThere {
            guard let found = lower.find(link.target), found.kind == .other else {
                throw LayerError.refused("the layer has a hard link to nothing", entry: link.name.bytes)
            }
            source = LayerRoot(lower.layers[found.layer].root.raw, marks: target.marks)
            holder = try source.existingParent(of: link.target)
        }
        guard let raw = holder?.raw else {
            throw LayerError.refused("the layer has a hard link to nothing", entry: link.name.bytes)
        }
        try FileLink.link(link.target.base, at: raw, to: link.name.base, at: parent)
    }
}
