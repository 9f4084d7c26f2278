// Decoding what a reference's bytes say. Nothing is guessed: bytes that two programs could read as two different
// images (a manifest that is also an index, two media types that disagree) are refused.

/// What a reference names.
package enum ManifestDocument: Hashable, Sendable {
    /// One image.
    case manifest(Manifest)
    /// Several.
    case index(ImageIndex)

    /// The most bytes of a manifest, an index or a configuration that are accepted.
    package static let largestSize = 4 << 20
    /// The most layers or entries that are accepted.
    package static let mostEntries = 10_000

    /// Reads a manifest or an index, OCI's or Docker's schema 2, its keys in any letter case.
    ///
    /// - Parameter mediaType: what the registry says the bytes are (`Content-Type`), or nil.
    /// - Throws: `ManifestError`.
    package static func decode(
        _ bytes: [UInt8], mediaType: String?
    ) throws(ManifestError) -> ManifestDocument {
        let header = mediaType.map(MediaType.bare) ?? ""
        guard !MediaType.isSchema1(header) else { throw .schema1 }
        return try DocumentReader.read(bytes, what: "manifest") { reader throws(ManifestError) in
            try document(reader, header: header)
        }
    }

    private static func document(
        _ reader: DocumentReader, header: String
    ) throws(ManifestError) -> ManifestDocument {
        let version = try reader.integer("schemaVersion")
        guard version != 1 else { throw .schema1 }
        guard version == 2 else {
            throw ManifestError(
                "the manifest's schemaVersion is \(version.map { "\($0)" } ?? "missing"); only 2 is supported"
            )
        }
        let own = try reader.string("mediaType") ?? ""
        guard !MediaType.isSchema1(own) else { throw .schema1 }
        let hasConfiguration = try reader.has("config")
        let hasLayers = try reader.has("layers") || hasConfiguration
        let entries = try reader.descriptors("manifests", limit: mostEntries)
        guard !hasLayers || entries == nil else {
            throw ManifestError("the manifest has layers and manifests: it is both an image and an index")
        }
        for type in [own, header] where MediaType.isManifest(type) && !hasLayers {
            throw ManifestError("the manifest says that it is \(type), but has neither config nor layers")
        }
        for type in [own, header] where MediaType.isIndex(type) && hasLayers {
            throw ManifestError("the manifest says that it is \(type), but has config and layers")
        }
        guard own.isEmpty || MediaType.isManifest(own) || MediaType.isIndex(own) else {
            throw ManifestError("\(quoted(own)) is not a container image")
        }
        if hasLayers { return .manifest(try manifest(reader, mediaType: own)) }
        guard let entries else { throw ManifestError("the manifest has neither layers nor manifests") }
        return .index(ImageIndex(manifests: entries))
    }

    private static func manifest(
        _ reader: DocumentReader, mediaType: String
    ) throws(ManifestError) -> Manifest {
        guard let configuration = try reader.child("config") else {
            throw ManifestError("the manifest has no config")
        }
        let config = try configuration.descriptor()
        guard MediaType.isImageConfiguration(config.mediaType) else {
            throw ManifestError(
                "this is no container image but an artifact: its config is \(quoted(config.mediaType))")
        }
        guard try reader.has("layers") else { throw ManifestError("the manifest has no layers") }
        let layers = try reader.descriptors("layers", limit: mostEntries) ?? []
        for (index, layer) in layers.enumerated() where MediaType.layerKind(layer.mediaType) == nil {
            let isEncrypted = layer.mediaType.hasSuffix("+encrypted")
            throw ManifestError(
                "the manifest's layers[\(index)] is \(isEncrypted ? "encrypted" : "no file system"): "
                    + quoted(layer.mediaType))
        }
        return Manifest(
            schemaVersion: 2, mediaType: mediaType.isEmpty ? nil : mediaType, config: config, layers: layers)
    }
}

/// Bytes that are no manifest, index or configuration, or none that is accepted.
package struct ManifestError: Error, Equatable, Sendable, CustomStringConvertible {
    /// One line: what is wrong, and where in the document.
    package let description: String

    init(_ description: String) { self.description = description }

    static let schema1 = ManifestError(
        "the manifest is of schema 1, which is not supported; push the image again with a current tool")
}
