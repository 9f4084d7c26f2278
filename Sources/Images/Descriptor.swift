/// What a manifest says of one piece of content.
package struct Descriptor: Hashable, Sendable {
    /// What the content is.
    package let mediaType: String
    /// The content's digest.
    package let digest: Digest
    /// The content's size in bytes: from 0 to `largestSize`.
    package let size: Int64
    /// Where else the content is to be had.
    package let urls: [String]
    /// Of an index's entry: what the image runs on, or nil where the index doesn't say.
    package let platform: ImagePlatform?
    /// Free text about the content.
    package let annotations: [String: String]

    /// The largest size that is believed, 256 TiB: sums of sizes never overflow.
    package static let largestSize: Int64 = 1 << 48

    /// A descriptor of content.
    package init(
        mediaType: String, digest: Digest, size: Int64, urls: [String] = [], platform: ImagePlatform? = nil,
        annotations: [String: String] = [:]
    ) {
        self.mediaType = mediaType
        self.digest = digest
        self.size = size
        self.urls = urls
        self.platform = platform
        self.annotations = annotations
    }

    /// Of a layer of a manifest that was decoded: how its bytes are had.
    package var layerKind: LayerKind { MediaType.layerKind(mediaType) ?? .tar }

    /// Of an index's entry: whether it is a further index, to be asked for its own entries.
    package var isIndex: Bool { MediaType.isIndex(mediaType) }

    /// Of an index's entry: whether it describes another entry (a signature, a build's provenance) and is no image.
    package var isAttestation: Bool {
        platform == .unknown || annotations["vnd.docker.reference.type"] != nil
    }
}
