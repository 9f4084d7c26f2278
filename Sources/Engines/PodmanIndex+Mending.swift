// Mending what the original DUCC leaves: it appends to its lists without looking, so that an id is in `layers.json` once
// for each image that has the layer; it gives a layer a second short name where it finds the first, and another layer's
// `lower` may have either; its images have no digests and sizes, and one that failed is listed all the same.

import Images
import Platform
import Repository

extension PodmanIndex {
    /// Makes both lists whole. Second short names stay: containers that clients made have them in their `lower`.
    ///
    /// - Returns: what has to be written for it besides the lists; nothing where they are whole.
    /// - Throws: `SystemError`.
    mutating func mend() throws -> [CompanionEntry] {
        guard !isWhole else { return [] }
        var seen: Set<String> = []
        layers = layers.filter { layer in layer["id"]?.text.map { seen.insert($0).inserted } ?? false }
        notePlaces()
        images = try mendedImages()
        return layers.flatMap { layer -> [CompanionEntry] in
            guard let id = layer["id"]?.text else { return [] }
            return entries(of: id, link(of: id), lower: lower(of: id))
        }
    }

    private var isWhole: Bool {
        var names: Set<String> = []
        var identifiers: Set<String> = []
        return places.count == layers.count
            && images.allSatisfy { image in
                image["digest"] != nil && image["big-data-digests"] != nil
                    && image["id"]?.text.map { identifiers.insert($0).inserted } == true
                    && image["names"]?.texts.allSatisfy { names.insert($0).inserted } == true
            }
    }

    /// One image an id, a name once, those alone that podman can read.
    private func mendedImages() throws -> [JSONValue] {
        var found: [JSONValue] = []
        var names: Set<String> = []
        // From the end: a name belongs to whom it was given last.
        for image in images.reversed() {
            guard let id = image["id"]?.text, let identifier = Digest(sha256Hex: id) else { continue }
            let own = (image["names"]?.texts ?? []).filter { names.insert($0).inserted }
            if let place = found.firstIndex(where: { $0["id"]?.text == id }) {
                found[place]["names"] = .array(
                    own.map { .string($0) } + (found[place]["names"]?.elements ?? []))
            } else if !own.isEmpty, var mended = try withDigests(image, identifier) {
                mended["names"] = .array(own.map { .string($0) })
                found.append(mended)
            }
        }
        return found.reversed()
    }

    /// An image with what podman knows of its documents; nil where it can't be used for want of them or of its layer.
    private func withDigests(_ image: JSONValue, _ configuration: Digest) throws -> JSONValue? {
        if image["digest"] != nil, image["big-data-digests"] != nil { return image }
        let directory = content.path(directory(ofImage: configuration))
        let key = configuration.description
        guard let manifest = try? Files.read("\(directory)/\(Self.manifestKey)", limit: 16 << 20),
            let document = try? Files.read("\(directory)/\(Self.fileName(key))", limit: 16 << 20),
            SHA256.hex(of: document) == configuration.hex,
            let digest = Digest(sha256Hex: SHA256.hex(of: manifest)),
            let layers = try? ImageConfiguration.decode(document).diffIdentifiers
        else { return nil }
        if let layer = image["layer"]?.text {
            guard places[layer] != nil else { return nil }
        } else if !layers.isEmpty {
            return nil
        }
        var mended = image
        mended.describe(
            manifest: digest, size: manifest.count, configuration: configuration, size: document.count)
        return mended
    }

    /// What `lower` of a layer is, by the parents that `layers.json` names; nil for one that has none.
    private func lower(of id: String) -> String? {
        var links: [String] = []
        var next = places[id].flatMap { layers[$0]["parent"]?.text }
        // More are no layers that anything mounts, but a circle: an image that has a layer twice.
        while let parent = next, links.count < 500 {
            links.append("l/\(link(of: parent))")
            next = places[parent].flatMap { layers[$0]["parent"]?.text }
        }
        return links.isEmpty ? nil : links.joined(separator: ":")
    }
}

extension JSONValue {
    /// Notes what podman wants to know of an image's documents.
    mutating func describe(manifest: Digest, size: Int, configuration: Digest, size configurationSize: Int) {
        let key = configuration.description
        let manifestKey = PodmanIndex.manifestKey
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
