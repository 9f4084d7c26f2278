// What a layer leaves open, and only the layers beneath it can answer. It is kept beside the layer and answered for each
// image anew, so that a layer's tree is a function of its own bytes alone: an image can never put its content into
// another's through a layer that both have.

/// What of a layer depends on the layers beneath it.
package struct LayerContext: Sendable, Equatable {
    /// A hard link to a file that the layer itself doesn't have.
    struct LowerLink: Sendable, Equatable {
        /// The link's path; its directory is there.
        let name: EntryName
        /// The path that it links to.
        let target: EntryName
    }

    /// Directories that no entry named, only names beneath them: in an image they look as the lower layers have them.
    var impliedDirectories: Set<[UInt8]> = []
    /// Those of them that stand in the place of something of the lower layers' that this layer removed: they owe
    /// nothing to what is beneath, while a directory that is only opaque (`.wh..wh..opq`) is still the lower layers'.
    var replacingDirectories: Set<[UInt8]> = []
    /// Directories that hide everything lower layers have in them, where the repository can't keep the mark of that.
    var opaqueDirectories: Set<[UInt8]> = []
    /// Hard links that lower layers complete.
    var links: [LowerLink] = []

    package init() {}

    /// Whether nothing is left open.
    package var isEmpty: Bool { impliedDirectories.isEmpty && opaqueDirectories.isEmpty && links.isEmpty }

    /// How many opaque directories are noted.
    package var opaqueDirectoryCount: Int { opaqueDirectories.count }

    /// As bytes: fields that each end with a NUL, since names may hold anything else. `directory`, `replacing` or `opaque`,
    /// path; or `link`, name, target.
    package func encoded() -> [UInt8] {
        var fields: [[UInt8]] = []
        for path in impliedDirectories.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            fields += [Array("directory".utf8), path]
            if replacingDirectories.contains(path) { fields += [Array("replacing".utf8), path] }
        }
        for path in opaqueDirectories.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            fields += [Array("opaque".utf8), path]
        }
        for link in links { fields += [Array("link".utf8), link.name.bytes, link.target.bytes] }
        return fields.flatMap { $0 + [0] }
    }

    /// Reads what `encoded` wrote.
    ///
    /// - Throws: `LayerError` where the bytes are something else.
    package init(decoding bytes: [UInt8]) throws(LayerError) {
        var fields = bytes.split(separator: 0, omittingEmptySubsequences: false).dropLast()
        while let kind = fields.popFirst() {
            switch String(decoding: kind, as: UTF8.self) {
            case "directory":
                guard let path = fields.popFirst() else { throw Self.damaged }
                impliedDirectories.insert(Array(path))
            case "replacing":
                guard let path = fields.popFirst() else { throw Self.damaged }
                replacingDirectories.insert(Array(path))
            case "opaque":
                guard let path = fields.popFirst() else { throw Self.damaged }
                opaqueDirectories.insert(Array(path))
            case "link":
                guard let name = fields.popFirst(), let target = fields.popFirst() else { throw Self.damaged }
                links.append(LowerLink(name: try EntryName(name), target: try EntryName(target)))
            default: throw Self.damaged
            }
        }
    }

    private static let damaged = LayerError(
        "what was noted of the layer is damaged; convert it again with -f")
}
