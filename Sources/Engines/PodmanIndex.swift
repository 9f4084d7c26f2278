// The two lists of podman's store, read, mended and added to. Keys that are not ours are kept as they are.
//
// podman refuses a whole store for one mistake in it: an id or a name that is there twice, an image whose documents or
// layer are missing. So whatever is written again is whole: a list that the original DUCC left is mended with it.

import Registry
import Images
import Platform
import Repository

/// What is in podman's store.
struct PodmanIndex {
    /// The manifest's name among an image's documents.
    static let manifestKey = "manifest"

    /// A layer of an image to be entered.
    struct Layer {
        let diffIdentifier: Digest
        /// The compressed archive; nil where there is none.
        let blob: Descriptor?
        /// Where its tree is, as the text of a link in its own directory.
        let tree: String
        /// RFC 3339.
        let created: String
        /// The archive's length in bytes; nil where it isn't known.
        let size: Int64?
    }

    /// A layer that is in the store.
    struct LayerName {
        let identifier: String
        /// What `lower` of a layer over it is.
        let lower: String
    }

    /// An image to be entered.
    struct Image {
        let configuration: Digest
        /// The exact bytes of both documents.
        let configurationBytes: [UInt8]
        let manifestBytes: [UInt8]
        let manifest: Digest
        let names: [String]
        /// The top layer; nil for an image that has none.
        let layer: String?
        /// RFC 3339.
        let created: String
    }

    let content: RepositoryContent
    /// What paths of the store begin with: empty, or the store's directory with a slash behind it.
    let prefix: String
    var images: [JSONValue]
    var layers: [JSONValue]
    /// Where in `layers` each id is.
    var places: [String: Int] = [:]

    /// Both files can't be larger than this: some hundred thousand layers.
    private static let largestFile = 256 << 20

    /// Reads what is there; nothing where there is no store yet.
    ///
    /// - Parameter store: the store's directory in there; nil: all of it is the store.
    /// - Throws: `RepositoryError` for files that are no such lists, `SystemError`.
    init(reading content: RepositoryContent, at store: String?) throws {
        self.content = content
        prefix = store.map { "\($0)/" } ?? ""
        images = try Self.read("\(prefix)overlay-images/images.json", content)
        layers = try Self.read("\(prefix)overlay-layers/layers.json", content)
        notePlaces()
    }

    /// The directory of a layer, by its id.
    func directory(ofLayer id: String) -> String { "\(prefix)overlay/\(id)" }

    /// The directory of an image's documents.
    func directory(ofImage configuration: Digest) -> String {
        "\(prefix)overlay-images/\(configuration.hex)"
    }

    /// Of an id that is there twice the first counts: its directory was written with that one.
    mutating func notePlaces() {
        places = [:]
        for (place, layer) in layers.enumerated() {
            guard let id = layer["id"]?.text, places[id] == nil else { continue }
            places[id] = place
        }
    }

    private static func read(_ name: String, _ content: RepositoryContent) throws -> [JSONValue] {
        let path = content.path(name)
        guard Files.exists(path) else { return [] }
        let bytes = try Files.read(path, limit: largestFile)
        do {
            guard let list = try JSONValue.read(bytes, limit: largestFile).elements else {
                throw RepositoryError(.refused, "it is no list")
            }
            return list
        } catch {
            throw RepositoryError(
                .refused, "\(path): \(error): put it right, or move the store away")
        }
    }

    // MARK: - Adding

    /// Enters a layer, unless it is there.
    ///
    /// - Parameter parent: the layer beneath; nil for the lowest.
    /// - Returns: its name, and what has to be in the store for it.
    mutating func add(_ layer: Layer, over parent: LayerName?) -> (LayerName, [CompanionEntry]) {
        let id = identifier(of: layer.diffIdentifier, over: parent?.identifier)
        let link = link(of: id)
        var entries: [CompanionEntry] = []
        if places[id] == nil || !isWhole(id, link) {
            entries = [CompanionEntry("\(directory(ofLayer: id))/diff", .link(layer.tree))]
            entries += self.entries(of: id, link, lower: parent?.lower)
        }
        if places[id] == nil {
            var record: JSONValue = .object([
                "id": .string(id), "created": .string(layer.created),
                "diff-digest": .string(layer.diffIdentifier.description),
            ])
            record["compressed-diff-digest"] = layer.blob.map { .string($0.digest.description) }
            record["compressed-size"] = layer.blob.map { .integer($0.size) }
            record["parent"] = parent.map { .string($0.identifier) }
            record["diff-size"] = layer.size.map { .integer($0) }
            places[id] = layers.count
            layers.append(record)
        }
        let lower = parent.map { "l/\(link):\($0.lower)" } ?? "l/\(link)"
        return (LayerName(identifier: id, lower: lower), entries)
    }

    /// Enters an image: its entry is the only one of its id, and no other has its names. One that has no name left goes,
    /// its layers stay until nothing needs them.
    ///
    /// - Returns: what has to be in the store for it.
    mutating func add(_ image: Image) -> [CompanionEntry] {
        let id = image.configuration.hex
        let old = images.first { $0["id"]?.text == id }
        var entry = old ?? .object(["id": .string(id)])
        var names = (old?["names"]?.texts ?? []).filter { !image.names.contains($0) }
        names = image.names + names
        entry["names"] = .array(names.map { .string($0) })
        entry["layer"] = image.layer.map { .string($0) }
        entry["created"] = .string(image.created)
        entry.describe(
            manifest: image.manifest, size: image.manifestBytes.count, configuration: image.configuration,
            size: image.configurationBytes.count)
        images = images.compactMap { other in
            guard other["id"]?.text != id else { return nil }
            let kept = other["names"]?.texts.filter { !image.names.contains($0) } ?? []
            if kept.isEmpty { return nil }
            var other = other
            other["names"] = .array(kept.map { .string($0) })
            return other
        }
        images.append(entry)
        let directory = directory(ofImage: image.configuration)
        return [
            CompanionEntry(
                "\(directory)/\(Self.fileName(image.configuration.description))",
                .file(image.configurationBytes)),
            // The bytes themselves: a link to the repository's would lead to another image's when the tag moves.
            CompanionEntry("\(directory)/\(Self.manifestKey)", .file(image.manifestBytes)),
        ]
    }

    /// The lists as they are to be, `images.json` last: what it names is there then.
    ///
    /// - Throws: `EncodingError`.
    func entries() throws -> [CompanionEntry] {
        try [("layers", layers), ("images", images)].flatMap { name, list in
            let bytes = try JSONValue.array(list).line()
            // A long-lived podman reads a list again when the lock file has another writer's mark: 64 bytes that only
            // have to differ from the last ones.
            return [
                CompanionEntry("\(prefix)overlay-\(name)/\(name).json", .file(bytes)),
                CompanionEntry(
                    "\(prefix)overlay-\(name)/\(name).lock", .file(Array(SHA256.hex(of: bytes).utf8))),
            ]
        }
    }

    // MARK: - Names

    /// containers/image's id of a layer over another: `storageImageDestination.computeID` and its like.
    private func identifier(of diffIdentifier: Digest, over parent: String?) -> String {
        guard let parent else { return free(diffIdentifier.hex, parent) }
        return free(SHA256.hex(of: Array("\(parent)+\(diffIdentifier.hex)".utf8)), parent)
    }

    /// The original DUCC gave every layer the id of a lowest one, whatever it lies over: where such a one has the id,
    /// another is found.
    private func free(_ wanted: String, _ parent: String?) -> String {
        var id = wanted
        while let place = places[id], layers[place]["parent"]?.text != parent {
            id = SHA256.hex(of: Array("\(id) over \(parent ?? "nothing")".utf8))
        }
        return id
    }

    /// A layer's short name: the one that it has, else one made of its id.
    func link(of id: String) -> String {
        let path = content.path("\(directory(ofLayer: id))/link")
        if let bytes = try? Files.read(path, limit: 100), bytes.count == 26,
            bytes.allSatisfy({ (0x41...0x5a).contains($0) || (0x32...0x37).contains($0) })
        {
            return String(decoding: bytes, as: UTF8.self)
        }
        return Self.base32(SHA256.hex(of: Array(id.utf8)))
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

    /// What is in the store for a layer, besides its tree.
    func entries(of id: String, _ link: String, lower: String?) -> [CompanionEntry] {
        let directory = directory(ofLayer: id)
        var entries = ["merged", "empty"].map {
            CompanionEntry("\(directory)/\($0)", .directory(isCatalogue: false))
        }
        entries.append(CompanionEntry("\(directory)/link", .file(Array(link.utf8))))
        if let lower { entries.append(CompanionEntry("\(directory)/lower", .file(Array(lower.utf8)))) }
        entries.append(
            CompanionEntry("\(prefix)overlay/l/\(link)", .link("../\(id)/diff")))
        return entries
    }

    /// Whether a layer's directory has all that podman wants: its short name and its tree lead somewhere.
    private func isWhole(_ id: String, _ link: String) -> Bool {
        let names = ["diff", "merged", "empty"].map { "\(directory(ofLayer: id))/\($0)" }
        return (names + ["\(prefix)overlay/l/\(link)"]).allSatisfy { Files.isDirectory(content.path($0)) }
    }

    /// The name of the file that holds one of an image's documents (containers/storage, `makeBigDataBaseName`).
    static func fileName(_ key: String) -> String {
        "=" + Base64.encoded(key)
    }
}
