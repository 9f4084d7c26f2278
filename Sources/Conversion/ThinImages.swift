// Thin images of a conversion: how they are named, and who pushes them.

import Engines
import Images
import Registry
import Repository
import Wishes

/// Makes and pushes thin images.
package struct ThinImages: Sendable {
    private let names: OutputFormat
    private let client: RegistryClient

    /// - Parameters:
    ///   - names: how a thin image is called.
    ///   - client: shows the credentials of whoever pushes.
    package init(named names: OutputFormat, by client: RegistryClient) {
        self.names = names
        self.client = client
    }

    /// The name of an image's thin image; nil where nobody said how it is called, and it can't be called as usual: an
    /// image that comes from no registry, or has no tag.
    ///
    /// - Throws: `ThinImageError` where it was said, and is no image in a registry.
    package func name(for reference: ImageReference) throws(ThinImageError) -> ImageReference? {
        if names == .standard {
            guard case .registry = reference.source, reference.resolved.tag != nil else { return nil }
        }
        let text = names.expand(for: reference)
        let name: ImageReference
        do { name = try ImageReference(parsing: text) } catch {
            throw ThinImageError(
                description: "the thin image of \(reference) can't be named \(text): \(error)")
        }
        guard case .registry = name.source, name.digest == nil, !name.tagHasWildcard else {
            throw ThinImageError(
                description:
                    "the thin image of \(reference) can't be named \(text): it takes REGISTRY/REPOSITORY:TAG")
        }
        return name.resolved
    }

    /// Whether the thin image is in its registry: one request.
    ///
    /// - Throws: `SourceError`, `Interrupted`.
    func isPushed(_ digest: String, as name: ImageReference) throws -> Bool {
        try client.digest(of: name, accepting: ThinImage.mediaType)?.description == digest
    }

    /// Pushes a thin image.
    ///
    /// - Throws: `SourceError`, `Interrupted`.
    func push(_ image: PushedImage, as name: ImageReference) throws { try client.push(image, as: name) }
}

/// A thin image that is not in its registry.
struct MissingThinImage {
    let name: ImageReference
    let image: PushedImage
}

/// A thin image without a name.
package struct ThinImageError: Error, CustomStringConvertible, Sendable {
    package let description: String
}
