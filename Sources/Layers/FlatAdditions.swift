// What a flat image has besides its layers' files: one more layer, made here, over all of its own. So nothing of the
// image is ever written to: its files may be hard links to those of other images. Where a name leads is decided in the
// merged tree, as inside a chroot of the image; what is made is then at real paths, in a directory of its own.

import Glibc
import Platform

/// One name that a flat image shall have.
package struct FlatAddition: Sendable {
    /// What is there.
    package enum Kind: Sendable {
        /// A directory of mode 0755.
        case directory
        /// A file with its permissions.
        case file([UInt8], mode_t)
        /// A symbolic link of that text.
        case link(String)
    }

    /// The components of its path.
    let components: [[UInt8]]
    let kind: Kind
    /// Whether it takes the place of whatever the image has there; otherwise it is made where the name is free.
    let replaces: Bool

    /// - Parameter path: relative to the image's root, clean.
    package init(_ path: String, _ kind: Kind, replaces: Bool = false) {
        components = path.split(separator: "/").map { Array($0.utf8) }
        self.kind = kind
        self.replaces = replaces
    }
}

extension FlatTree {
    /// The tree with further names over it.
    ///
    /// - Parameters:
    ///   - additions: parents before what is in them.
    ///   - modified: the time of all of them.
    ///   - warn: is told of a name that can't be had, because the image has something else at it or on the way to it.
    /// - Throws: `LayerError`, `Interrupted`.
    package func adding(
        _ additions: [FlatAddition], modified: timespec, warn: (String) -> Void
    ) throws -> FlatTree {
        let target = TreeTarget(LayerBudget(LayerLimits()), created: modified)
        for addition in additions {
            if try !add(addition, to: target) {
                warn(
                    "/\(String(decoding: EntryName(real: addition.components).bytes, as: UTF8.self)) can't be made in the "
                        + "flat image, which has something else there or on the way to it: Singularity may miss it"
                )
            }
        }
        return FlatTree(resolved: layers + [try target.finish()])
    }

    /// - Returns: whether it, or what it stands for, can be had.
    private func add(_ addition: FlatAddition, to target: TreeTarget) throws -> Bool {
        if addition.replaces { return try make(addition.components, addition.kind, in: target) }
        let name = EntryName(real: addition.components)
        let real: [[UInt8]]
        do throws(LayerError) {
            real = try realPath(of: addition.components.dropLast(), for: name) + addition.components.suffix(1)
        } catch { return false }
        // Where a link of the image's leads it, another addition may be.
        guard let place = find(EntryName(real: real)) else {
            return try make(real, addition.kind, in: target)
        }
        guard case .directory = addition.kind else { return true }
        return layers[place.layer].kind(place.node) == .directory || linkText(at: place) != nil
    }

    /// Makes a name of the additions' own layer. Directories on the way are there for what is in them: in the image they
    /// look as its layers have them.
    private func make(
        _ components: [[UInt8]], _ kind: FlatAddition.Kind, in target: TreeTarget
    ) throws(LayerError) -> Bool {
        guard let base = components.last else { return false }
        var parent = target.rootPlace
        for component in components.dropLast() {
            switch target.existing(component, in: parent) {
            case .directory: parent = target.place(component, at: parent)
            case .nothing: parent = try target.makeDirectory(component, in: parent)
            case .whiteout, .other: return false
            }
        }
        switch (kind, target.existing(base, in: parent)) {
        case (.directory, .directory): return true
        case (.directory, .nothing): target.nameDirectory(try target.makeDirectory(base, in: parent))
        case (.file(let bytes, let permissions), .nothing):
            try target.makeFile(base, in: parent, permissions, bytes)
        case (.link(let text), .nothing): try target.makeSymbolicLink(base, in: parent, to: Array(text.utf8))
        default: return false
        }
        return true
    }
}

extension FlatTree {
    /// Makes an addition's file or link in a directory; its owner is who makes it.
    ///
    /// - Throws: `SystemError`.
    package func write(
        _ origin: Origin, to path: UnsafePointer<CChar>, at root: CInt
    ) throws(SystemError) {
        let tree = layers[origin.layer]
        guard let table = tree.table, let number = tree.inode(origin.node) else { return }
        let inode = table[number]
        let name = String(cString: path)
        if let text = table.linkText(number) {
            guard symlinkat(OverlayMarks.cString(text), root, path) == 0 else {
                throw SystemError("create", name)
            }
            let times = [
                timespec(tv_sec: Int(inode.modified), tv_nsec: 0),
                timespec(tv_sec: Int(inode.modified), tv_nsec: 0),
            ]
            guard utimensat(root, path, times, AT_SYMLINK_NOFOLLOW) == 0 else {
                throw SystemError("set the time of", name)
            }
            return
        }
        let file = try OwnedDescriptor(
            opening: path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600, at: root)
        try Files.writeAll(table.contents[Int(inode.extent)], to: file.raw, path: name)
        try setAttributes(of: origin, file.raw)
    }

    /// Gives an open file or directory an addition's mode and time.
    ///
    /// - Throws: `SystemError`.
    package func setAttributes(of origin: Origin, _ descriptor: CInt) throws(SystemError) {
        let tree = layers[origin.layer]
        guard let table = tree.table, let number = tree.inode(origin.node) else { return }
        let times = [
            timespec(tv_sec: Int(table[number].modified), tv_nsec: 0),
            timespec(tv_sec: Int(table[number].modified), tv_nsec: 0),
        ]
        guard fchmod(descriptor, table[number].permissions) == 0 else { throw SystemError("set the mode") }
        guard futimens(descriptor, times) == 0 else { throw SystemError("set the time") }
    }
}
