// A path followed as inside a chroot of a layer's root: `..` of the root is the root, and an absolute link begins there.
// Whoever walks says what is at each place; here is only where the walk stands, and that it ends.

/// A path on its way to the real one, which has no links.
struct RootedWalk {
    /// Like Linux itself: more links on the way to one file are a loop (`ELOOP`).
    static let mostLinks = 40

    private let name: EntryName
    /// What is still to be walked, the next component last.
    private var waiting: [[UInt8]]
    /// Where the walk stands: no links, no `.` and no `..`.
    private(set) var real: [[UInt8]] = []
    private var links = 0

    /// - Parameter name: the entry whose path it is, for errors.
    init(_ components: some Sequence<[UInt8]>, of name: EntryName) {
        self.name = name
        waiting = components.reversed()
    }

    /// The next component, to be looked at where the walk stands; nil at the end.
    ///
    /// - Throws: `LayerError` for a path that links have made too deep, or into a whiteout's name.
    mutating func next() throws(LayerError) -> [UInt8]? {
        while let component = waiting.popLast() {
            if component == [UInt8(ascii: ".")] { continue }
            if component == [UInt8(ascii: "."), UInt8(ascii: ".")] {
                _ = real.popLast()
                continue
            }
            guard real.count < EntryName.deepest, component.count <= EntryName.longestComponent,
                !component.starts(with: Whiteout.prefix)
            else { throw impossible }
            return component
        }
        return nil
    }

    /// The component is a directory: the walk goes into it.
    mutating func enter(_ component: [UInt8]) { real.append(component) }

    /// The component is a link with this text: the walk goes where it leads.
    ///
    /// - Throws: `LayerError` where the links never end.
    mutating func follow(_ text: [UInt8]) throws(LayerError) {
        links += 1
        guard links <= Self.mostLinks else {
            throw .refused("the layer has a loop of links", entry: name.bytes)
        }
        if text.first == UInt8(ascii: "/") { real = [] }
        waiting += text.split(separator: UInt8(ascii: "/")).reversed().map { Array($0) }
    }

    /// The path can't be one.
    var impossible: LayerError {
        .refused("the layer has a path that links make impossible", entry: name.bytes)
    }
}
