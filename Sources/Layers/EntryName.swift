// Names in an archive, taken apart before anything is done with them.

import Glibc
import Images

/// An entry's name as components beneath the layer's root.
///
/// A leading `/` or `./` is dropped, `.` and empty components too, and `..` is resolved by the name alone, as every
/// unpacker does. A name that climbs above the root is refused: nobody has a good reason to write one.
struct EntryName: Equatable {
    /// The components; empty for the root itself. None is empty, `.` or `..`, or holds a `/` or NUL.
    private(set) var components: [[UInt8]]

    /// The longest name the system can be asked for, closing NUL included (`PATH_MAX`).
    static let longestPath = 4096
    /// The most components of a path. No program nests deeper; a small archive of deep paths would take for ever.
    static let deepest = 512
    /// The longest component (`NAME_MAX`).
    static let longestComponent = 255

    /// A path that was followed to its end: no component of it is a link.
    init(real components: [[UInt8]]) { self.components = components }

    /// - Throws: `LayerError` for a name that climbs above the root or that no Linux system can have.
    init(_ bytes: some Collection<UInt8>) throws(LayerError) {
        components = []
        var total = 0
        for component in bytes.split(separator: UInt8(ascii: "/")) {
            switch Array(component) {
            case [UInt8(ascii: ".")]: continue
            case [UInt8(ascii: "."), UInt8(ascii: ".")]:
                guard let last = components.popLast() else {
                    throw .refused("the layer has a name above its root", entry: Array(bytes))
                }
                total -= last.count + 1
            case let name:
                guard name.count <= Self.longestComponent else {
                    throw .refused("the layer has a name of \(name.count) bytes", entry: Array(bytes))
                }
                components.append(name)
                total += name.count + 1
            }
        }
        // Leave room for the path of the repository itself, in which clients must be able to name the file.
        guard total < Self.longestPath - 512 else {
            throw .refused("the layer has a path of \(total) bytes", entry: Array(bytes))
        }
        guard components.count <= Self.deepest else {
            throw .refused("the layer has a path of \(components.count) components", entry: Array(bytes))
        }
        guard !components.dropLast().contains(where: { $0.starts(with: Whiteout.prefix) }) else {
            throw .refused("the layer uses a whiteout as a directory", entry: Array(bytes))
        }
    }

    /// The whole path, as in an archive.
    var bytes: [UInt8] { Array(components.joined(separator: [UInt8(ascii: "/")])) }

    /// The last component; empty for the root.
    var last: [UInt8] { components.last ?? [] }

    /// For people: quoted, with what a terminal would obey spelled out.
    var quoted: String { Images.quoted(String(decoding: bytes, as: UTF8.self)) }

    /// The parent's path as a C string, "." for the root.
    var parentPath: [CChar] { Self.path(components.dropLast()) }

    /// The whole path as a C string, "." for the root.
    var path: [CChar] { Self.path(components[...]) }

    /// The last component as a C string; "." for the root.
    var base: [CChar] { Self.path(components.suffix(1)) }

    /// Components joined as a C string; "." for none.
    static func path(_ components: some Collection<[UInt8]>) -> [CChar] {
        var bytes: [CChar] = []
        for component in components {
            if !bytes.isEmpty { bytes.append(CChar(UInt8(ascii: "/"))) }
            for byte in component { bytes.append(CChar(bitPattern: byte)) }
        }
        if bytes.isEmpty { bytes.append(CChar(UInt8(ascii: "."))) }
        bytes.append(0)
        return bytes
    }

    /// What an entry's last component means in a layer (OCI image specification, layer.md, "Whiteouts").
    var whiteout: Whiteout? {
        guard let name = components.last, name.starts(with: Whiteout.prefix) else { return nil }
        if name == Whiteout.opaqueName { return .opaque }
        if name.starts(with: Whiteout.auxiliaryPrefix) { return .auxiliary }
        return .of(Array(name.dropFirst(Whiteout.prefix.count)))
    }
}

/// A name that stands for the absence of others.
enum Whiteout: Equatable {
    /// `.wh.NAME`: the lower layers' NAME is gone.
    case of([UInt8])
    /// `.wh..wh..opq`: everything the lower layers have in this directory is gone.
    case opaque
    /// `.wh..wh.…`: AUFS' own bookkeeping, which means nothing outside AUFS.
    case auxiliary

    static let prefix = Array(".wh.".utf8)
    static let opaqueName = Array(".wh..wh..opq".utf8)
    static let auxiliaryPrefix = Array(".wh..wh.".utf8)
}
