// The two lists of podman's store, read and added to. Keys that are not ours are kept as they are.
//
// podman refuses a whole store for one mistake in it: an id or a name that is there twice, an image whose documents or
// layer are missing. So whatever is written again is whole: lists that are not ours are mended first (`PodmanMending`).

import Images
import Platform
import Repository

/// What is in podman's store.
struct PodmanIndex {
    /// A layer of an image to be entered.
    struct Layer {
        let diffIdentifier: Digest
        /// The compressed archive; nil where there is none.
        let blob: Descriptor?
        /// Where its tree is, as the text of a link in its own directory.
        let tree: String
        /// Its place in the image; nil: its tree is whole by itself.
        var place: Int?
        /// RFC 3339.
        let created: String
        /// The archive's length in bytes; nil where it isn't known.
        let size: Int64?
    }

    /// A layer that is in the store.
    struct LayerName {
        let identifier: String
        /// The short names of this layer and of those beneath it, the nearest first, with their trees.
        let stack: [(link: String, tree: String)]
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

    private let paths: PodmanPaths
    private var images: PodmanList
    private var layers: PodmanList
    /// What has to be written, in the order in which it becomes visible.
    private var written: [CompanionEntry] = []

    /// No list can be larger than this: some hundred thousand entries.
    private static let largestFile = 256 << 20

    /// Reads what is there; nothing where there is no store yet. What is not whole is made so.
    ///
    /// - Throws: `RepositoryError` for files that are no such lists, `SystemError`, `EncodingError`.
    init(reading paths: PodmanPaths) throws {
        self.paths = paths
        let images = try ListFile("images", paths)
        let layers = try ListFile("layers", paths)
        if images.isOurs, layers.isOurs {
            self.images = PodmanList(text: images.text)
            self.layers = PodmanList(text: layers.text)
        } else {
            let mended = try PodmanMending(try images.values(), try layers.values(), paths)
            self.images = try PodmanList(mended.images, isChanged: true)
            self.layers = try PodmanList(mended.layers, isChanged: true)
            written = mended.entries
        }
    }

    /// A list as it is in the store.
    private struct ListFile {
        let path: String
        let text: [UInt8]
        /// Whether we were the last to write it: then it is whole, and in our form.
        let isOurs: Bool

        init(_ name: String, _ paths: PodmanPaths) throws(SystemError) {
            let file = "\(paths.list(name)).json"
            path = paths.content.path(file)
            guard let bytes = try paths.content.read(file, limit: PodmanIndex.largestFile) else {
                (text, isOurs) = (Array("[]".utf8), true)
                return
            }
            text = bytes
            let lock = try paths.content.read("\(paths.list(name)).lock", limit: 1000)
            isOurs = lock == PodmanIndex.mark(of: text)
        }

        /// The entries, for whoever has to look at each.
        func values() throws -> [JSONValue] {
            do {
                if let list = try JSONValue.read(text, limit: PodmanIndex.largestFile, most: .max).elements {
                    return list
                }
                throw RepositoryError(.refused, "it is no list")
            } catch {
                throw RepositoryError(.refused, "\(path): \(error): put it right, or move the store away")
            }
        }
    }

    /// What the lock file of a list has: a podman that stays reads the list again when these 64 bytes are others.
    private static func mark(of text: [UInt8]) -> [UInt8] { Array(SHA256.hex(of: text).utf8) }

    // MARK: - Adding

    /// Enters a layer, unless it is there.
    ///
    /// - Parameter parent: the layer beneath; nil for the lowest.
    /// - Throws: `JSONError` where an entry is none, `SystemError`.
    mutating func add(_ layer: Layer, over parent: LayerName?) throws -> LayerName {
        let (id, isThere) = try identifier(of: layer.diffIdentifier, over: parent?.identifier)
        let link = try paths.link(of: id)
        let lower = PodmanPaths.stack(parent?.stack ?? [], under: layer.tree)
        if try !isThere || !paths.isWhole(id, link) {
            let diff: CompanionEntry.Kind =
                layer.place.map { .layer($0, link: layer.tree) } ?? .link(layer.tree)
            written.append(CompanionEntry("\(paths.layer(id))/diff", diff))
            written += paths.entries(of: id, link, lower: PodmanPaths.lower(lower))
        }
        if !isThere {
            var record: JSONValue = .object([
                "id": .string(id), "created": .string(layer.created),
                "diff-digest": .string(layer.diffIdentifier.description),
            ])
            record["compressed-diff-digest"] = layer.blob.map { .string($0.digest.description) }
            record["compressed-size"] = layer.blob.map { .integer($0.size) }
            record["parent"] = parent.map { .string($0.identifier) }
            record["diff-size"] = layer.size.map { .integer($0) }
            layers.append(record)
        }
        return LayerName(identifier: id, stack: [(link, layer.tree)] + lower)
    }

    /// Enters an image: its entry is the only one of its id, and no other has its names. One that has no name left goes,
    /// its layers stay until nothing needs them.
    ///
    /// - Throws: `JSONError` where an entry is none.
    mutating func add(_ image: Image) throws {
        let id = image.configuration.hex
        let old = try images.last(having: "id", id)
        var entry = old ?? .object(["id": .string(id)])
        let names = image.names + (old?["names"]?.texts ?? []).filter { !image.names.contains($0) }
        entry["names"] = .array(names.map { .string($0) })
        entry["layer"] = image.layer.map { .string($0) }
        entry["created"] = .string(image.created)
        entry.describe(
            manifest: image.manifest, size: image.manifestBytes.count, configuration: image.configuration,
            size: image.configurationBytes.count)
        try images.update(having: id) { $0["id"]?.text == id ? nil : $0 }
        for name in image.names {
            try images.update(having: name) { other in
                guard let all = other["names"]?.texts, all.contains(name) else { return other }
                var other = other
                let kept = all.filter { $0 != name }
                other["names"] = .array(kept.map { .string($0) })
                return kept.isEmpty ? nil : other
            }
        }
        images.append(entry)
        let directory = paths.image(image.configuration)
        let name = PodmanPaths.fileName(image.configuration.description)
        written.append(CompanionEntry("\(directory)/\(name)", .file(image.configurationBytes)))
        // The bytes themselves: a link to the repository's would lead to another image's when the tag moves.
        written.append(CompanionEntry("\(directory)/\(PodmanPaths.manifestKey)", .file(image.manifestBytes)))
    }

    /// What has to be in the store, in the order in which it becomes visible: `images.json` at last, since what it names
    /// is there then.
    ///
    /// - Throws: `EncodingError`.
    func entries() throws -> [CompanionEntry] {
        try written
            + [("layers", layers), ("images", images)].flatMap { name, list -> [CompanionEntry] in
                guard list.isChanged else { return [] }
                let text = try list.line()
                return [
                    CompanionEntry("\(paths.list(name)).json", .list(text)),
                    CompanionEntry("\(paths.list(name)).lock", .file(Self.mark(of: text))),
                ]
            }
    }

    // MARK: - Names

    /// containers/image's id of a layer over another (`storageImageDestination.commitLayer`), and whether there is one.
    ///
    /// The original DUCC gave every layer the id of a lowest one, whatever it lies over: where such a one has the id,
    /// another is found.
    private func identifier(
        of diffIdentifier: Digest, over parent: String?
    ) throws -> (id: String, isThere: Bool) {
        var id =
            parent.map { SHA256.hex(of: Array("\($0)+\(diffIdentifier.hex)".utf8)) } ?? diffIdentifier.hex
        while let known = try layers.last(having: "id", id) {
            if known["parent"]?.text == parent { return (id, true) }
            id = SHA256.hex(of: Array("\(id) over \(parent ?? "nothing")".utf8))
        }
        return (id, false)
    }
}

extension JSONValue {
    /// Notes what podman wants to know of an image's documents.
    mutating func describe(
        manifest: Digest, size: Int, configuration: Digest, size configurationSize: Int
    ) {
        let key = configuration.description
        let manifestKey = PodmanPaths.manifestKey
        self["digest"] = .string(manifest.description)
        self["big-data-names"] = .array([.string(manifestKey), .string(key)])
        self["big-data-sizes"] = .object([
            manifestKey: .integer(Int64(size)), key: .integer(Int64(configurationSize)),
        ])
        self["big-data-digests"] = .object([
            manifestKey: .string(manifest.description), key: .string(key),
        ])
    }
}
