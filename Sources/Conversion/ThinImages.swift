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

    /// The name of an image's thin image.
    ///
    /// - Throws: `ThinImageError` where that is no image in a registry.
    package func name(for reference: ImageReference) throws(ThinImageError) -> ImageReference {
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
    /// - Throws: `SourceError`, `ThinImageError`, `Interrupted`.
    func isPushed(_ digest: String, for reference: ImageReference) throws -> Bool {
        try client.digest(of: name(for: reference), accepting: ThinImage.mediaType)?.description == digest
    }

    /// Pushes a thin image.
    ///
    /// - Returns: its name.
    /// - Throws: `SourceError`, `ThinImageError`, `Interrupted`.
    func push(_ image: PushedImage, for reference: ImageReference) throws -> String {
        let name = try name(for: reference)
        try client.push(image, as: name)
        return "\(name.registry)/\(name.repository):\(name.tag ?? "latest")"
    }
}

/// A thin image without a name.
package struct ThinImageError: Error, CustomStringConvertible, Sendable {
    package let description: String
}
