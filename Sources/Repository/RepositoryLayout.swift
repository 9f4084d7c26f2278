// Where things are in a repository: DUCC's layout, which clients depend on. All paths are relative to its root.

import Images

/// Paths within a repository.
package enum RepositoryLayout {
    /// The layers' directory.
    package static let layers = ".layers"
    /// The flat images' directory.
    package static let flat = ".flat"
    /// The directory of the images' manifests.
    package static let metadata = ".metadata"

    /// A layer's directory: `.layers/<2>/<hex>`.
    package static func layer(_ digest: Digest) -> String {
        "\(layers)/\(digest.hex.prefix(2))/\(digest.hex)"
    }

    /// A layer's unpacked tree.
    package static func layerTree(_ digest: Digest) -> String { layer(digest) + "/" + layerTreeName }
    /// The tree's name in a layer's directory.
    package static let layerTreeName = "layerfs"

    /// A layer's own metadata, in a layer's directory: podman's keys, and which images use it.
    package static let layerMetadataName = ".metadata"
    package static let layerFactsName = ".metadata/layers.json"
    package static let layerOriginName = ".metadata/origin.json"
    /// What a layer leaves open (`LayerContext`); absent where that is nothing.
    package static let layerContextName = ".metadata/context"

    /// There as long as nobody was told of the layer: the name of the staging directory that it is from.
    package static let untoldMarkName = ".metadata/untold"
    /// A layer's mark.
    package static func untoldMark(_ digest: Digest) -> String { layer(digest) + "/" + untoldMarkName }

    /// A flat image's root, by its configuration's digest: `.flat/<2>/<hex>`.
    package static func flatImage(_ configuration: Digest) -> String {
        "\(flat)/\(configuration.hex.prefix(2))/\(configuration.hex)"
    }

    /// What is known of the image published at a path: `.metadata/<public path>`.
    package static func imageMetadata(_ publicPath: String) -> String { "\(metadata)/\(publicPath)" }
    /// The registry's exact bytes.
    package static let manifestName = "manifest.json"
    /// What we noted of the conversion, beside the manifest.
    package static let recordName = "conversion.json"

    // MARK: - podman's additional image store

    /// podman's store, with its three parts.
    package static let podmanStore = "podmanStore"
    /// A directory for each layer, and short names for those.
    package static let podmanLayers = podmanStore + "/overlay"
    /// The images' documents, with `images.json`.
    package static let podmanImages = podmanStore + "/overlay-images"
    /// `layers.json`.
    package static let podmanLayerRecords = podmanStore + "/overlay-layers"

    /// An image's documents in podman's store, by its configuration's digest.
    package static func podmanImage(_ configuration: Digest) -> String {
        "\(podmanImages)/\(configuration.hex)"
    }

    /// The text of a public link: relative, so that the repository can be mounted anywhere.
    package static func linkTarget(from publicPath: String, to configuration: Digest) -> String {
        let depth = publicPath.utf8.count { $0 == UInt8(ascii: "/") }
        return String(repeating: "../", count: depth) + flatImage(configuration)
    }
}
