// What a layer's entries are applied to: a directory on disk (`DirectoryTarget`) or a tree in memory (`TreeTarget`). The
// rules, which entry replaces what and what a whiteout means, are `LayerApplier`'s and the same for both; a target knows
// what is at a name and makes what it is told to.

import Archive
import Glibc
import Platform

/// What is at a name, links not followed.
enum Existing: Equatable {
    case nothing
    case directory
    /// A character device 0:0: overlayfs' mark for "the lower layers' is gone".
    case whiteout
    /// Anything else, with its mode.
    case other(mode_t)
}

/// A layer's root while entries are applied to it. After an error it is in no defined state and is thrown away.
protocol LayerTarget: AnyObject {
    /// A directory of the layer.
    associatedtype Directory

    /// The directory that holds an entry. Links in its path are followed as inside a chroot of the root; what is missing
    /// of it is made, and noted as implied.
    ///
    /// - Throws: `LayerError` where a part of the path is not a directory, `SystemError`, `Interrupted`.
    func parent(of name: EntryName) throws -> Directory

    /// The directory that holds a name, or nil where it does not exist: nothing is made.
    ///
    /// - Throws: `SystemError`, `Interrupted`.
    func existingParent(of name: EntryName) throws -> Directory?

    /// What a directory has at a name.
    ///
    /// - Throws: `SystemError`.
    func existing(_ base: [UInt8], in directory: Directory) throws -> Existing

    /// Makes a regular file in the place of whatever is there.
    ///
    /// - Throws: `LayerError`, `SystemError`, `Interrupted`, the reader's error.
    func makeFile(_ entry: TarEntry, _ name: EntryName, in parent: Directory, _ content: FileContent) throws

    /// Makes a directory, or gives one that is there the entry's attributes.
    ///
    /// - Returns: what was there before.
    /// - Throws: `SystemError`.
    func makeDirectory(_ entry: TarEntry, _ name: EntryName, in parent: Directory) throws -> Existing

    /// Gives the root directory the entry's attributes.
    ///
    /// - Throws: `SystemError`.
    func setRoot(_ entry: TarEntry) throws

    /// Makes a symbolic link in the place of whatever is there.
    ///
    /// - Throws: `SystemError`.
    func makeSymbolicLink(
        _ entry: TarEntry, _ name: EntryName, to text: UnsafePointer<CChar>, in parent: Directory) throws

    /// Makes a device or a FIFO in the place of whatever is there.
    ///
    /// - Parameter type: `S_IFCHR`, `S_IFBLK` or `S_IFIFO`.
    /// - Throws: `SystemError`.
    func makeSpecial(_ entry: TarEntry, _ type: mode_t, _ name: EntryName, in parent: Directory) throws

    /// Gives a file of this layer a further name, in the place of whatever is there.
    ///
    /// - Throws: `LayerError` where the file goes with what it replaces, `SystemError`.
    func makeHardLink(
        _ name: EntryName, in parent: Directory, to target: EntryName, in targetParent: Directory) throws

    /// Notes a hard link to a file that only lower layers can have, in the place of whatever is there. Until something
    /// else is made at its name, nothing is there.
    ///
    /// - Throws: `LayerError`, `SystemError`.
    func noteLowerLink(_ name: EntryName, in parent: Directory, to target: EntryName) throws

    /// What the lower link that was noted at a name leads to; nil where none was.
    ///
    /// - Throws: `SystemError`.
    func lowerLink(_ base: [UInt8], in directory: Directory) throws -> EntryName?

    /// Hides a lower layer's name; nothing of this layer is there.
    ///
    /// - Throws: `SystemError`.
    func makeWhiteout(_ base: [UInt8], in directory: Directory) throws

    /// Marks a directory as hiding everything that lower layers have in it.
    ///
    /// - Throws: `SystemError`.
    func markOpaque(_ directory: Directory) throws

    /// Marks a directory of this layer as opaque, and as standing in the place of one that this layer removes.
    ///
    /// - Throws: `SystemError`.
    func replaceLower(_ base: [UInt8], in directory: Directory) throws
}

/// A tree in which a path can be followed one component at a time.
protocol WalkableTree: AnyObject {
    /// A directory, by its real path.
    associatedtype Place

    var rootPlace: Place { get }

    /// What is at a name.
    ///
    /// - Throws: `LayerError` for a path that is too long, `SystemError`.
    func existing(_ component: [UInt8], at place: Place) throws -> Existing

    /// The directory at a name.
    func place(_ component: [UInt8], at place: Place) -> Place

    /// The text of the symbolic link at a name; nil where it cannot be read.
    func linkText(_ component: [UInt8], at place: Place) -> [UInt8]?

    /// Makes a directory that no entry has named.
    ///
    /// - Parameter replacesWhiteout: whether a whiteout is there, which goes: the directory is then opaque.
    /// - Throws: `LayerError`, `SystemError`.
    func makeImplied(_ component: [UInt8], at place: Place, replacesWhiteout: Bool) throws
}

extension WalkableTree {
    /// Follows a path to the directory that it leads to, links as inside a chroot of the root.
    ///
    /// - Parameters:
    ///   - components: the path's components.
    ///   - name: the entry whose path it is, for errors.
    ///   - making: whether missing directories are made.
    /// - Returns: nil where a part is missing and is not made, or, where nothing is made, leads nowhere.
    /// - Throws: `LayerError` where a part of the path is not a directory, `SystemError`.
    func walk(_ components: some Sequence<[UInt8]>, of name: EntryName, making: Bool) throws -> Place? {
        var walk = RootedWalk(components, of: name)
        var places = [rootPlace]
        while let component = try walk.next() {
            places.removeLast(places.count - walk.real.count - 1)
            let place = places[places.count - 1]
            switch try existing(component, at: place) {
            case .directory: break
            case .nothing:
                guard making else { return nil }
                try makeImplied(component, at: place, replacesWhiteout: false)
            case .whiteout:
                // This layer hid the lower layers' directory of that name and now has one of its own.
                guard making else { return nil }
                try makeImplied(component, at: place, replacesWhiteout: true)
            case .other(let mode):
                guard mode & S_IFMT == S_IFLNK, let text = linkText(component, at: place) else {
                    if !making { return nil }
                    throw LayerError.refused("the layer uses a file as a directory", entry: name.bytes)
                }
                try walk.follow(text)
                continue
            }
            walk.enter(component)
            places.append(self.place(component, at: place))
        }
        places.removeLast(places.count - walk.real.count - 1)
        return places[places.count - 1]
    }
}

/// The data of the file that is applied, to be read once.
struct FileContent {
    let entry: TarEntry
    let name: EntryName
    let reader: TarReader

    /// Reads the data to its end.
    ///
    /// - Parameter body: called with each piece and its offset; between two pieces, and after the last, are holes.
    /// - Returns: the end of the last piece.
    /// - Throws: `LayerError` for data that does not belong to the file, `Interrupted`, the reader's error, what `body`
    ///   throws.
    @discardableResult
    func read(_ body: (_ offset: Int64, _ bytes: UnsafeRawBufferPointer) throws -> Void) throws -> Int64 {
        var end: Int64 = 0
        while let (offset, bytes) = try reader.nextBlock() {
            try Interruption.check()
            guard offset >= end, offset <= entry.size, Int64(bytes.count) <= entry.size - offset else {
                throw LayerError.refused("the layer has data outside of its file", entry: name.bytes)
            }
            try body(offset, bytes)
            end = offset + Int64(bytes.count)
        }
        return end
    }
}
