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
    ///   - directory: an empty directory in which they are made; it is part of the tree and has to stay as long.
    ///   - modified: the time of all of them.
    ///   - warn: is told of a name that can't be had, because the image has something else at it or on the way to it.
    /// - Throws: `SystemError`, `LayerError`, `Interrupted`.
    package func adding(
        _ additions: [FlatAddition], in directory: SharedDescriptor, modified: timespec,
        warn: (String) -> Void
    ) throws -> FlatTree {
        var maker = AdditionMaker(lower: self, root: directory.raw)
        for addition in additions { try maker.add(addition, warn) }
        try maker.finish(modified)
        var context = LayerContext()
        context.impliedDirectories = maker.implied
        return FlatTree(resolved: layers + [try LayerTree(reading: directory, context: context)])
    }
}

/// Makes the files of additions.
private struct AdditionMaker {
    private let lower: FlatTree
    private let root: CInt
    /// Directories that are there for what is in them: in the image they look as its layers have them.
    private(set) var implied: Set<[UInt8]> = [[]]
    /// What was made, parents first.
    private var made: [[UInt8]] = [[]]

    init(lower: FlatTree, root: CInt) {
        self.lower = lower
        self.root = root
    }

    mutating func add(_ addition: FlatAddition, _ warn: (String) -> Void) throws {
        if addition.replaces { return try make(addition.components, addition.kind) }
        let name = EntryName(real: addition.components)
        let place: FlatTree.Place?
        let real: EntryName
        do throws(LayerError) {
            let parent = try lower.realPath(of: addition.components.dropLast(), for: name)
            real = EntryName(real: parent + addition.components.suffix(1))
            place = lower.find(real)
        } catch { return warn(Self.problem(name)) }
        guard let place else {
            do throws(SystemError) { return try make(real.components, addition.kind) } catch {
                // A link of the image's leads it to where another addition is.
                guard [EEXIST, ENOTDIR].contains(error.code) else { throw error }
                return warn(Self.problem(name))
            }
        }
        if case .directory = addition.kind, lower.layers[place.layer].kind(place.node) != .directory,
            lower.linkText(at: place) == nil
        {
            warn(Self.problem(name))
        }
    }

    private static func problem(_ name: EntryName) -> String {
        "/\(String(decoding: name.bytes, as: UTF8.self)) can't be made in the flat image, "
            + "which has something else there or on the way to it: Singularity may miss it"
    }

    private mutating func make(_ components: [[UInt8]], _ kind: FlatAddition.Kind) throws(SystemError) {
        for count in components.indices.dropFirst() {
            let parent = EntryName(real: Array(components[..<count]))
            if made.contains(parent.bytes) { continue }
            try makeDirectory(parent)
            implied.insert(parent.bytes)
        }
        let name = EntryName(real: components)
        switch kind {
        case .directory:
            // It may be there already, for something that was made in it.
            if !made.contains(name.bytes) { try makeDirectory(name) }
            return
        case .file(let bytes, let permissions):
            let file = try OwnedDescriptor(
                opening: name.path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600, at: root)
            try Files.writeAll(bytes, to: file.raw, path: String(decodingCString: name.path))
            guard fchmod(file.raw, permissions) == 0 else { throw Self.failure(name) }
        case .link(let text):
            guard symlinkat(text, root, name.path) == 0 else { throw Self.failure(name) }
        }
        made.append(name.bytes)
    }

    private mutating func makeDirectory(_ name: EntryName) throws(SystemError) {
        guard mkdirat(root, name.path, 0o755) == 0 else { throw Self.failure(name) }
        made.append(name.bytes)
    }

    /// Gives everything its time.
    func finish(_ modified: timespec) throws(SystemError) {
        let times = [modified, modified]
        for path in made.reversed() {
            let name = path.isEmpty ? EntryName.path([]) : OverlayMarks.cString(path)
            guard utimensat(root, name, times, AT_SYMLINK_NOFOLLOW) == 0 else {
                throw SystemError("set the time of", String(decodingCString: name))
            }
        }
    }

    private static func failure(_ name: EntryName) -> SystemError {
        SystemError("create", String(decodingCString: name.path))
    }
}
