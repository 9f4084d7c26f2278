// The media types of the OCI image specification and of Docker's schema 2.

/// Names of media types, and what they tell.
package enum MediaType {
    /// A manifest of the OCI image specification.
    package static let ociManifest = "application/vnd.oci.image.manifest.v1+json"
    /// An index of the OCI image specification.
    package static let ociIndex = "application/vnd.oci.image.index.v1+json"
    /// A configuration of the OCI image specification.
    package static let ociConfiguration = "application/vnd.oci.image.config.v1+json"
    /// A layer of the OCI image specification; `+gzip` and `+zstd` may follow.
    package static let ociLayer = "application/vnd.oci.image.layer.v1.tar"
    /// A layer that only its own URLs deliver; `+gzip` and `+zstd` may follow.
    package static let ociForeignLayer = "application/vnd.oci.image.layer.nondistributable.v1.tar"
    /// Docker's manifest, schema 2.
    package static let dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
    /// Docker's index.
    package static let dockerManifestList = "application/vnd.docker.distribution.manifest.list.v2+json"
    /// Docker's configuration.
    package static let dockerConfiguration = "application/vnd.docker.container.image.v1+json"
    /// Docker's layer; `.gzip` or `.zstd` may follow.
    package static let dockerLayer = "application/vnd.docker.image.rootfs.diff.tar"
    /// Docker's layer that only its own URLs deliver; `.gzip` or `.zstd` may follow.
    package static let dockerForeignLayer = "application/vnd.docker.image.rootfs.foreign.diff.tar"

    /// What a client accepts as an answer for a reference: the value of its `Accept` header.
    package static let acceptHeader = [ociIndex, ociManifest, dockerManifestList, dockerManifest]
        .joined(separator: ", ")

    /// Whether the type is that of a manifest.
    package static func isManifest(_ type: String) -> Bool { type == ociManifest || type == dockerManifest }

    /// Whether the type is that of an index.
    package static func isIndex(_ type: String) -> Bool { type == ociIndex || type == dockerManifestList }

    /// Whether the type is one of schema 1, which has no digests of its layers' content.
    static func isSchema1(_ type: String) -> Bool {
        type.hasPrefix("application/vnd.docker.distribution.manifest.v1+")
    }

    /// Whether a configuration of this type belongs to a container image. Early registries stored it under general
    /// types; engines take those for an image, and so do we.
    static func isImageConfiguration(_ type: String) -> Bool {
        let general = ["", "application/octet-stream", "application/json", "text/html"]
        return type == ociConfiguration || type == dockerConfiguration || general.contains(type)
    }

    /// What a layer of this type is; nil where it is no file system.
    static func layerKind(_ type: String) -> LayerKind? {
        for (base, kind) in [
            (ociLayer, LayerKind.tar), (dockerLayer, .tar), (ociForeignLayer, .foreign),
            (dockerForeignLayer, .foreign),
        ] where type.hasPrefix(base) {
            let ending = type.dropFirst(base.count)
            return ["", "+gzip", "+zstd", ".gzip", ".zstd"].contains(ending) ? kind : nil
        }
        return nil
    }

    /// A header's value without its parameters, in lower case, as types are compared.
    static func bare(_ header: String) -> String {
        let type = header.prefix { $0 != ";" }.lowercased()
        return String(type.filter { $0 != " " && $0 != "\t" })
    }
}

/// How a layer's bytes are had. How they are compressed is told by the bytes, not by the media type.
package enum LayerKind: Hashable, Sendable {
    /// From the registry.
    case tar
    /// From the descriptor's own URLs: a registry need not have it ("foreign", "non-distributable").
    case foreign
}
