// Where things are in podman's store, and what a layer has there.

import Images
import Platform
import Registry
import Repository

/// Paths in a store, relative to the repository or the directory that has it.
struct PodmanPaths {
    let content: RepositoryContent
    /// What they begin with: empty, or the store's directory with a slash behind it.
    private let prefix: String

    /// The manifest's name among an image's documents.
    static let manifestKey = "manifest"

    /// - Parameter store: the store's directory; nil: all of it is the store.
    init(_ content: RepositoryContent, at store: String?) {
        self.content = content
        prefix = store.map { "\($0)/" } ?? ""
    }

    /// `images` or `layers`: the list, without its suffix.
    func list(_ name: String) -> String { "\(prefix)overlay-\(name)/\(name)" }

    /// The directory of a layer, by its id.
    func layer(_ id: String) -> String { "\(prefix)overlay/\(id)" }

    /// The directory of an image's documents.
    func image(_ configuration: Digest) -> String { "\(prefix)overlay-images/\(configuration.hex)" }

    /// The name of the file that holds one of an image's documents (containers/storage, `makeBigDataBaseName`).
    static func fileName(_ key: String) -> String { "=" + Base64.encoded(key) }

    /// A layer's short name: the one that it has, else one made of its id.
    ///
    /// - Throws: `SystemError`.
    func link(of id: String) throws(SystemError) -> String {
        if let bytes = try content.read("\(layer(id))/link", limit: 4096), bytes.count == 26,
            bytes.allSatisfy({ (0x41...0x5a).contains($0) || (0x32...0x37).contains($0) })
        {
            return String(decoding: bytes, as: UTF8.self)
        }
        return Self.base32(SHA256.hex(of: Array(id.utf8)))
    }

    /// What is in the store for a layer, besides its tree.
    func entries(of id: String, _ link: String, lower: String?) -> [CompanionEntry] {
        var entries = ["merged", "empty"].map {
            CompanionEntry("\(layer(id))/\($0)", .directory(isCatalogue: false))
        }
        entries.append(CompanionEntry("\(layer(id))/link", .file(Array(link.utf8))))
        if let lower { entries.append(CompanionEntry("\(layer(id))/lower", .file(Array(lower.utf8)))) }
        entries.append(CompanionEntry("\(prefix)overlay/l/\(link)", .link("../\(id)/diff")))
        return entries
    }

    /// The layers beneath one, without those that have the same tree: that hides all of them, and the kernel takes no
    /// directory twice.
    static func stack(
        _ layers: [(link: String, tree: String)], under tree: String
    ) -> [(link: String, tree: String)] { layers.filter { $0.tree != tree } }

    /// What `lower` of a layer is; nil for one that has nothing beneath it.
    static func lower(_ stack: [(link: String, tree: String)]) -> String? {
        stack.isEmpty ? nil : stack.map { "l/\($0.link)" }.joined(separator: ":")
    }

    /// Whether a layer's directory has all that podman wants: its short name and its tree lead somewhere.
    ///
    /// - Throws: `SystemError`.
    func isWhole(_ id: String, _ link: String) throws(SystemError) -> Bool {
        let names = ["diff", "merged", "empty"].map { "\(layer(id))/\($0)" }
        for name in names + ["\(prefix)overlay/l/\(link)"] where try !content.isDirectory(name) {
            return false
        }
        return true
    }

    /// The first 130 bits of hex digits as 26 characters (RFC 4648, section 6).
    private static func base32(_ hex: String) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
        let bits = hex.prefix(33).flatMap { digit in
            let value = digit.hexDigitValue ?? 0
            return [3, 2, 1, 0].map { value >> $0 & 1 }
        }
        return String(
            (0..<26).map { place in alphabet[bits[place * 5..<place * 5 + 5].reduce(0) { $0 * 2 + $1 }] })
    }
}
