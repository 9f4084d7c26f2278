// podman's additional image store (containers-storage.conf(5), `additionalimagestores`), as containers/storage's overlay
// driver reads it:
//
//   overlay/<id>/diff            -> the layer's own tree in .layers; a directory of its own where that is whole only with
//                                what the layers beneath it have
//   overlay/<id>/link            the layer's short name: 26 base32 characters
//   overlay/<id>/lower           the short names of the layers beneath, the nearest first: "l/A:l/B"
//   overlay/<id>/{merged,empty}  empty: a store that can't be written to must bring the mount points that podman makes in
//                                its own. It mounts an image there to compare it with a container, which is what
//                                `podman build` and `podman commit` do where overlay mounts have `metacopy=on`
//   overlay/l/<link>             -> ../<id>/diff
//   overlay-layers/layers.json   every layer, its parent, digests and sizes
//   overlay-images/images.json   every image, its names and its top layer
//   overlay-images/<id>/         the image's manifest and configuration
//
// A layer's id says what it is and what it lies over, in containers/image's own way: so podman finds the layers of an
// image that it pulls, or builds over one of these, by their ids, and copies none. A layer that lies over several others
// has an entry for each, and one tree.
//
// Names once given stay: a container that a client made over an image has them in its own `lower`.

import Images
import Platform
import Repository

/// Enters an image into podman's store.
package struct PodmanStore: ImageCompanion {
    private let configuration: [UInt8]
    private let created: String

    /// - Parameters:
    ///   - reference: how the image is called.
    ///   - configuration: its configuration, the exact bytes.
    ///   - manifest: its manifest, likewise.
    ///   - created: when the image was made, as it says itself; nil where it doesn't.
    /// - Throws: `PodmanProblem` for an image that podman can't read: with it, it would read none.
    package init(
        _ reference: ImageReference, configuration: [UInt8], manifest: [UInt8], created: Timestamp?
    ) throws(PodmanProblem) {
        try PodmanReadable.check(
            Self.names(of: reference), configuration: configuration, manifest: manifest)
        self.configuration = configuration
        self.created = (created ?? Timestamp(seconds: 0)).description
    }

    package func entries(
        for plan: PublicationPlan, size: (Digest) throws -> Int64?, over content: RepositoryContent
    ) throws -> [CompanionEntry] {
        var index = try PodmanIndex(reading: PodmanPaths(content, at: RepositoryLayout.podmanStore))
        let directories = [
            RepositoryLayout.podmanStore, RepositoryLayout.podmanLayers, RepositoryLayout.podmanImages,
            RepositoryLayout.podmanLayerRecords,
        ].map { CompanionEntry($0, .directory(isCatalogue: true)) }
        var top: PodmanIndex.LayerName?
        for (place, layer) in plan.layers.enumerated() {
            top = try index.add(
                PodmanIndex.Layer(
                    diffIdentifier: layer.diffIdentifier, blob: layer.descriptor,
                    tree: "../../../\(RepositoryLayout.layerTree(layer.descriptor.digest))", place: place,
                    created: layer.created.description, size: try size(layer.descriptor.digest)), over: top)
        }
        try index.add(
            PodmanIndex.Image(
                configuration: plan.configurationDigest, configurationBytes: configuration,
                manifestBytes: plan.manifestBytes, manifest: plan.manifestDigest,
                names: Self.names(of: plan.reference), layer: top?.identifier, created: created))
        return directories + (try index.entries())
    }

    /// An image's configuration as a repository's store has it; nil where it hasn't.
    package static func configuration(_ digest: Digest, in content: RepositoryContent) -> [UInt8]? {
        let name = PodmanPaths.fileName(digest.description)
        let path = content.path("\(RepositoryLayout.podmanImage(digest))/\(name)")
        guard let bytes = try? Files.read(path, limit: ManifestDocument.largestSize),
            SHA256.hex(of: bytes) == digest.hex
        else { return nil }
        return bytes
    }

    /// The names by which podman finds an image: Docker Hub's are asked for under two.
    package static func names(of reference: ImageReference) -> [String] {
        let reference = reference.resolved
        let suffix = reference.tag.map { ":\($0)" } ?? reference.digest.map { "@\($0)" } ?? ":latest"
        let registries =
            reference.isDockerHub ? ["docker.io", "registry.hub.docker.com"] : [reference.registry]
        return registries.map { "\($0)/\(reference.requestRepository)\(suffix)" }
    }
}
