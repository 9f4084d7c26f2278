// A flat image as a directory: every directory made anew, everything else a hard link to the layer's own file, so that
// a flat image costs no second copy.

import CLinux
import Glibc
import Layers
import Platform

/// Builds flat images.
enum FlatDirectory {
    /// Makes the merged tree beneath an empty directory.
    ///
    /// - Returns: how many entries it has, the root not counted.
    /// - Throws: `SystemError`, `LayerError`, `Interrupted`.
    static func build(_ tree: FlatTree, at root: CInt) throws -> Int {
        var entries = -1
        try tree.walk { step, path, origin in
            // What was made for the flat image itself is in no directory.
            let source = tree.layers[origin.layer].directory
            switch step {
            case .enter:
                try Interruption.check()
                entries += 1
                // Only we may enter it until it is complete; the root is there already.
                if entries > 0, mkdirat(root, path, 0o700) != 0 { throw error("create directory", path) }
            case .entry:
                entries += 1
                if let source {
                    try FileLink.link(origin.path, at: source, to: path, at: root)
                } else {
                    try tree.write(origin, to: path, at: root)
                }
            case .leave:
                // Last, because every entry made in it changes its time.
                let to = try OwnedDescriptor(opening: path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: root)
                guard let source else {
                    try tree.setAttributes(of: origin, to.raw)
                    return
                }
                try copyAttributes(of: origin, in: source, to: to.raw)
            }
        }
        return entries
    }

    /// Makes a layer as it is over those beneath it, beneath an empty directory.
    ///
    /// - Throws: `SystemError`, `LayerError`, `Interrupted`.
    static func build(_ index: Int, of tree: FlatTree, at root: CInt) throws {
        try tree.walkLayer(index) { step, path, origin in
            guard let origin, let source = tree.layers[origin.layer].directory else {
                if step == .whiteout { try tree.makeWhiteout(path, at: root) }
                return
            }
            switch step {
            case .whiteout: return
            case .enter:
                try Interruption.check()
                if strcmp(path, ".") != 0, mkdirat(root, path, 0o700) != 0 {
                    throw error("create directory", path)
                }
                if tree.isOpaque(path, in: index) { try tree.markOpaque(path, at: root) }
            case .entry: try FileLink.link(origin.path, at: source, to: path, at: root)
            case .leave:
                let to = try OwnedDescriptor(opening: path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: root)
                try copyAttributes(of: origin, in: source, to: to.raw)
            }
        }
    }

    private static func copyAttributes(
        of origin: FlatTree.Origin, in layer: CInt, to directory: CInt
    ) throws(SystemError) {
        let from = try OwnedDescriptor(opening: origin.path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: layer)
        try AttributeCopy.copy(from: from.raw, to: directory)
    }

    private static func error(_ operation: String, _ path: UnsafePointer<CChar>) -> SystemError {
        SystemError(operation, String(cString: path))
    }
}
