/// The part of an image's configuration that a conversion needs.
package struct ImageConfiguration: Hashable, Sendable {
    /// One step of the image's making.
    package struct HistoryEntry: Hashable, Sendable {
        /// When, as the image spells it.
        package let created: String?
        /// Whether the step made no layer.
        package let emptyLayer: Bool
        /// The command.
        package let createdBy: String?

        /// A step of its parts.
        package init(created: String?, emptyLayer: Bool, createdBy: String?) {
            self.created = created
            self.emptyLayer = emptyLayer
            self.createdBy = createdBy
        }
    }

    /// The architecture as the image spells it; empty where it doesn't.
    package let architecture: String
    /// The operating system as the image spells it; empty where it doesn't.
    package let os: String
    /// The architecture's variant, or nil.
    package let variant: String?
    /// When the image was made, as it spells it (RFC 3339), or nil.
    package let created: String?
    /// The digests of the layers' uncompressed bytes, the lowest first.
    package let diffIdentifiers: [Digest]
    /// How the image was made.
    package let history: [HistoryEntry]
    /// What the image runs on, normalised; nil where it doesn't say.
    package let platform: ImagePlatform?
    /// How it is run.
    package let settings: ImageSettings

    /// Reads a configuration, OCI's or Docker's.
    ///
    /// - Throws: `ManifestError`.
    package static func decode(_ bytes: [UInt8]) throws(ManifestError) -> ImageConfiguration {
        try DocumentReader.read(bytes, what: "image configuration") { reader throws(ManifestError) in
            try configuration(reader)
        }
    }

    private static func configuration(
        _ reader: DocumentReader
    ) throws(ManifestError) -> ImageConfiguration {
        guard let rootfs = try reader.child("rootfs") else {
            throw ManifestError("the image configuration has no rootfs")
        }
        let kind = try rootfs.string("type") ?? "layers"
        guard kind == "layers" else {
            throw ManifestError("the image configuration's rootfs.type is \(quoted(kind)), not 'layers'")
        }
        var identifiers: [Digest] = []
        for (index, text) in try rootfs.strings("diff_ids", limit: ManifestDocument.mostEntries).enumerated()
        {
            identifiers.append(try rootfs.digest(text, at: "diff_ids[\(index)]"))
        }
        let history = try reader.list("history", limit: 10 * ManifestDocument.mostEntries) ?? []
        return ImageConfiguration(
            architecture: try reader.string("architecture") ?? "", os: try reader.string("os") ?? "",
            variant: try reader.string("variant"), created: try reader.string("created"),
            diffIdentifiers: identifiers,
            history: try history.map { entry throws(ManifestError) in
                HistoryEntry(
                    created: try entry.string("created"),
                    emptyLayer: try entry.boolean("empty_layer") ?? false,
                    createdBy: try entry.string("created_by"))
            },
            platform: try reader.platformFields(), settings: try settings(reader))
    }

    private static func settings(_ reader: DocumentReader) throws(ManifestError) -> ImageSettings {
        guard let config = try reader.child("config") else { return ImageSettings() }
        let most = ManifestDocument.mostEntries
        // Docker takes a text for a list of one.
        func words(_ key: String) throws(ManifestError) -> [String] {
            if let word = try? config.string(key) { return [word] }
            return try config.strings(key, limit: most)
        }
        return ImageSettings(
            environment: try config.strings("Env", limit: most), entrypoint: try words("Entrypoint"),
            command: try words("Cmd"))
    }

    /// Compares the configuration with the manifest that names it.
    ///
    /// - Throws: `ManifestError` where they don't have the same number of layers.
    package func check(against manifest: Manifest) throws(ManifestError) {
        guard diffIdentifiers.count == manifest.layers.count else {
            throw ManifestError(
                "the image configuration has \(diffIdentifiers.count) layers (diff_ids), "
                    + "the manifest has \(manifest.layers.count)")
        }
    }

    /// Compares what the configuration says of a layer with what is known of its blob: a layer that is there already must
    /// be the one that it says, or an image could take another's place.
    ///
    /// - Parameters:
    ///   - layer: the layer, by its index.
    ///   - archive: the digest of its uncompressed bytes, as it was verified when the blob came.
    /// - Throws: `ManifestError` where it says something else.
    package func check(layer: Int, _ blob: Digest, is archive: String) throws(ManifestError) {
        guard diffIdentifiers[layer].description == archive else {
            throw ManifestError(
                "the image configuration says that layer \(blob) is \(diffIdentifiers[layer]) (diff_ids), it is \(quoted(archive))"
            )
        }
    }
}
