// Mending what the original DUCC leaves: it appends to its lists without looking, so that an id is in `layers.json` once
// for each image that has the layer; it gives a layer a second short name where it finds the first, and another layer's
// `lower` may have either; its images have no digests and sizes, and one that failed is listed all the same.

import Images
import Platform
import Repository

/// Both lists of a store, made whole.
struct PodmanMending {
    private(set) var images: [JSONValue] = []
    private(set) var layers: [JSONValue] = []
    /// What has to be written besides the lists. Second short names stay: containers that clients made have them in their
    /// `lower`.
    private(set) var entries: [CompanionEntry] = []

    private let paths: PodmanPaths
    /// The parent of each layer; nil for the lowest.
    private var parents: [String: String?] = [:]

    /// - Throws: `SystemError` where the store can't be read.
    init(_ images: [JSONValue], _ layers: [JSONValue], _ paths: PodmanPaths) throws {
        self.paths = paths
        for layer in layers {
            // Of an id that is there twice the first counts: its directory was written with that one.
            guard let id = layer["id"]?.text, Digest(sha256Hex: id) != nil, parents[id] == nil else {
                continue
            }
            parents[id] = .some(layer["parent"]?.text)
            self.layers.append(layer)
        }
        self.images = try mended(images)
        entries = try self.layers.compactMap { $0["id"]?.text }.flatMap { id in
            paths.entries(of: id, try paths.link(of: id), lower: try lower(of: id))
        }
    }

    /// One image an id, a name once, those alone that podman can read.
    private func mended(_ images: [JSONValue]) throws -> [JSONValue] {
        var found: [JSONValue] = []
        var places: [String: Int] = [:]
        var names: Set<String> = []
        // From the end: a name belongs to whom it was given last.
        for image in images.reversed() {
            guard let id = image["id"]?.text, let configuration = Digest(sha256Hex: id) else { continue }
            let own = (image["names"]?.texts ?? []).filter { names.insert($0).inserted }
            if let place = places[id] {
                found[place]["names"] = .array(
                    own.map { .string($0) } + (found[place]["names"]?.elements ?? []))
            } else if !own.isEmpty, var mended = try withDigests(image, configuration) {
                mended["names"] = .array(own.map { .string($0) })
                places[id] = found.count
                found.append(mended)
            }
        }
        return found.reversed()
    }

    /// An image with what podman knows of its documents; nil where it can't be used for want of them or of its layer.
    private func withDigests(_ image: JSONValue, _ configuration: Digest) throws -> JSONValue? {
        let directory = paths.image(configuration)
        let name = PodmanPaths.fileName(configuration.description)
        guard
            let manifest = try paths.content.read("\(directory)/\(PodmanPaths.manifestKey)", limit: 16 << 20),
            let document = try paths.content.read("\(directory)/\(name)", limit: 16 << 20),
            SHA256.hex(of: document) == configuration.hex,
            let digest = Digest(sha256Hex: SHA256.hex(of: manifest)),
            let diffIdentifiers = try? ImageConfiguration.decode(document).diffIdentifiers
        else { return nil }
        let isUsable = image["layer"]?.text.map { parents[$0] != nil } ?? diffIdentifiers.isEmpty
        guard isUsable else { return nil }
        var mended = image
        mended.describe(
            manifest: digest, size: manifest.count, configuration: configuration, size: document.count)
        return mended
    }

    /// What `lower` of a layer is, by the parents that `layers.json` names; nil for one that has none. The parents of an
    /// image that has a layer twice go in a circle, which ends here.
    private func lower(of id: String) throws -> String? {
        var seen: Set<String> = [id]
        var stack: [(link: String, tree: String)] = []
        var next = parents[id] ?? nil
        while let parent = next, parents[parent] != nil, seen.insert(parent).inserted {
            stack.append((try paths.link(of: parent), parent))
            next = parents[parent] ?? nil
        }
        return PodmanPaths.lower(stack)
    }
}
