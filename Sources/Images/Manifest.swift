// Manifests and indexes: what a registry or a layout says an image is made of.

/// One image: its configuration and its layers, the lowest first.
package struct Manifest: Hashable, Sendable {
    /// 2.
    package let schemaVersion: Int
    /// What the manifest says of itself, or nil.
    package let mediaType: String?
    /// The image's configuration.
    package let config: Descriptor
    /// The layers, the lowest first.
    package let layers: [Descriptor]

    /// A manifest of its parts.
    package init(schemaVersion: Int = 2, mediaType: String?, config: Descriptor, layers: [Descriptor]) {
        self.schemaVersion = schemaVersion
        self.mediaType = mediaType
        self.config = config
        self.layers = layers
    }

    /// The layers' sizes together, as they are transferred.
    package var layersSize: Int64 { layers.reduce(0) { $0 + $1.size } }
}

/// Several images under one name, one a platform.
package struct ImageIndex: Hashable, Sendable {
    /// The entries, in the index's order. Their content may be a manifest, a further index, or no image at all.
    package let manifests: [Descriptor]

    /// An index of its entries.
    package init(manifests: [Descriptor]) { self.manifests = manifests }

    /// The entries that may hold an image for a platform, the best first.
    ///
    /// Those that name a fitting platform come first, the closest variant before others; then those that name no
    /// platform, of which only their content can tell. Attestations and other things that are no image are left out.
    package func candidates(for platform: ImagePlatform) -> [Descriptor] {
        var fitting: [(distance: Int, index: Int, entry: Descriptor)] = []
        for (index, entry) in images.enumerated() {
            guard let other = entry.platform, let distance = platform.distance(to: other) else { continue }
            fitting.append((distance, index, entry))
        }
        fitting.sort { ($0.distance, $0.index) < ($1.distance, $1.index) }
        return fitting.map(\.entry) + images.filter { $0.platform == nil }
    }

    /// The entry for a platform: a manifest, or a further index to select from.
    ///
    /// An entry that names no platform is taken where it is the only one to try.
    /// - Throws: `PlatformError`, which lists what there is.
    package func select(_ platform: ImagePlatform) throws(PlatformError) -> Descriptor {
        let candidates = candidates(for: platform)
        guard let first = candidates.first else {
            throw PlatformError("no image for \(platform); there is \(listing)")
        }
        guard first.platform != nil || candidates.count == 1 else {
            throw PlatformError(
                "no image for \(platform), and \(candidates.count) images without a platform; there is \(listing)"
            )
        }
        return first
    }

    private var images: [Descriptor] {
        manifests.filter {
            !$0.isAttestation && (MediaType.isManifest($0.mediaType) || MediaType.isIndex($0.mediaType))
        }
    }

    private var listing: String {
        var names: [String] = []
        for entry in images {
            let name = entry.platform?.description ?? "an image without a platform"
            if !names.contains(name) { names.append(name) }
        }
        guard !names.isEmpty else { return "no image at all in this index" }
        return names.prefix(40).joined(separator: ", ") + (names.count > 40 ? " …" : "")
    }
}
