// What a layer has, read from its directory: the names, which of them are directories, and what it hides. Compact (a
// layer of 300,000 entries takes some 15 MB), because flat images are merged from the trees of all their layers.

import CLinux
import Glibc
import Platform

/// The names in one unpacked layer.
package final class LayerTree: Sendable {
    /// What is at a name.
    package enum Kind: UInt8, Sendable {
        case directory
        /// Anything that is not a directory.
        case other
        /// Nothing: the name hides the lower layers'.
        case whiteout
    }

    /// The root directory; valid as long as the tree.
    package let root: SharedDescriptor
    /// A node's index in the arrays; 0 is the root.
    typealias Node = Int32

    private let names: [UInt8]
    private let nameStarts: [Int32]
    private let kinds: [Kind]
    private let opaque: [Bool]
    /// The children of a directory are `childStarts[node] ..< childStarts[node] + childCounts[node]`, sorted by name.
    private let childStarts: [Node]
    private let childCounts: [Int32]

    /// Reads the tree beneath a directory.
    ///
    /// - Throws: `SystemError`, `Interrupted`.
    package init(reading root: SharedDescriptor) throws {
        self.root = root
        var builder = LayerTreeBuilder()
        try builder.read(root.raw)
        names = builder.names
        nameStarts = builder.nameStarts
        kinds = builder.kinds
        opaque = builder.opaque
        childStarts = builder.childStarts
        childCounts = builder.childCounts
    }

    /// How many names there are, the root not counted.
    package var count: Int { kinds.count - 1 }

    func kind(_ node: Node) -> Kind { kinds[Int(node)] }

    /// Whether a directory hides everything that lower layers have in it.
    func isOpaque(_ node: Node) -> Bool { opaque[Int(node)] }

    func children(_ node: Node) -> Range<Node> {
        let start = childStarts[Int(node)]
        return start..<start + childCounts[Int(node)]
    }

    /// Calls `body` with a node's name.
    @inline(__always)
    func withName<Result>(_ node: Node, _ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
        let range = Int(nameStarts[Int(node)])..<Int(nameStarts[Int(node) + 1])
        return names.withUnsafeBufferPointer { body(UnsafeBufferPointer(rebasing: $0[range])) }
    }

    /// The child of that name, or nil.
    func child(_ node: Node, named name: UnsafeBufferPointer<UInt8>) -> Node? {
        var low = children(node).lowerBound
        var high = children(node).upperBound
        while low < high {
            let middle = low + (high - low) / 2
            let order = withName(middle) { LayerTreeBuilder.compare($0, name) }
            if order == 0 { return middle }
            if order < 0 { low = middle + 1 } else { high = middle }
        }
        return nil
    }
}

/// Reads directories into the arrays of a `LayerTree`, breadth first, so that one directory's children are neighbours.
struct LayerTreeBuilder {
    var names: [UInt8] = []
    var nameStarts: [Int32] = [0, 0]
    var kinds: [LayerTree.Kind] = [.directory]
    var opaque: [Bool] = [false]
    var childStarts: [Int32] = [0]
    var childCounts: [Int32] = [0]
    private var parents: [Int32] = [0]

    mutating func read(_ root: CInt) throws {
        var node = 0
        while node < kinds.count {
            if kinds[node] == .directory {
                try Interruption.check()
                try readDirectory(Int32(node), root)
            }
            node += 1
        }
    }

    private mutating func readDirectory(_ node: Int32, _ root: CInt) throws {
        let path = path(of: node)
        let directory = try OwnedDescriptor(opening: path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: root)
        for attribute in OverlayMarks.opaqueAttributes {
            var value: UInt8 = 0
            if fgetxattr(directory.raw, attribute, &value, 1) == 1, value == UInt8(ascii: "y") {
                opaque[Int(node)] = true
            }
        }
        var found: [(name: [UInt8], kind: LayerTree.Kind)] = []
        for entry in try DirectoryEntry.list(directory.raw, path: String(decodingCString: path)) {
            let name = entry.name.dropLast().map { UInt8(bitPattern: $0) }
            if name == Whiteout.opaqueName {
                opaque[Int(node)] = true
            } else if name.starts(with: Whiteout.auxiliaryPrefix) {
                continue
            } else if name.starts(with: Whiteout.prefix) {
                found.append((Array(name.dropFirst(Whiteout.prefix.count)), .whiteout))
            } else {
                found.append((name, try Self.kind(of: entry, at: directory.raw)))
            }
        }
        found.sort { one, two in
            one.name.withUnsafeBufferPointer { one in
                two.name.withUnsafeBufferPointer { Self.compare(one, $0) < 0 }
            }
        }
        childStarts[Int(node)] = Int32(kinds.count)
        for (index, (name, kind)) in found.enumerated() {
            // A literal `.wh.x` beside an x hides lower layers' only: the x stays.
            if index > 0, found[index - 1].name == name { continue }
            names.append(contentsOf: name)
            nameStarts.append(Int32(names.count))
            kinds.append(kind)
            opaque.append(false)
            childStarts.append(0)
            childCounts.append(0)
            parents.append(node)
        }
        childCounts[Int(node)] = Int32(kinds.count) - childStarts[Int(node)]
    }

    private static func kind(of entry: DirectoryEntry, at directory: CInt) throws(SystemError)
        -> LayerTree.Kind
    {
        switch Int(entry.type) {
        case Int(DT_DIR): return .directory
        case Int(DT_REG), Int(DT_LNK), Int(DT_FIFO), Int(DT_BLK), Int(DT_SOCK): return .other
        default:
            switch try Existing(entry.name, at: directory) {
            case .directory: return .directory
            case .whiteout: return .whiteout
            case .nothing, .other: return .other
            }
        }
    }

    private func path(of node: Int32) -> [CChar] {
        var components: [[UInt8]] = []
        var node = Int(node)
        while node != 0 {
            components.append(Array(names[Int(nameStarts[node])..<Int(nameStarts[node + 1])]))
            node = Int(parents[node])
        }
        return EntryName.path(components.reversed())
    }

    /// Like `memcmp`, the shorter of two first where one begins with the other.
    static func compare(_ one: UnsafeBufferPointer<UInt8>, _ two: UnsafeBufferPointer<UInt8>) -> Int {
        let length = min(one.count, two.count)
        if length > 0, let first = one.baseAddress, let second = two.baseAddress {
            let order = memcmp(first, second, length)
            if order != 0 { return Int(order) }
        }
        return one.count - two.count
    }
}
