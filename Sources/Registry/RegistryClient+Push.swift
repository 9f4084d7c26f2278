// Pushing a small image (distribution-spec, "Push"): its blobs, each in chunks that go on where they broke off, then its
// manifest. What is there is not sent: a manifest of the same digest costs one request, a blob that is in the repository
// one more, and one that is in another repository of the registry is mounted from there.

import HTTP
import Images
import Platform

/// An image whose parts are in memory.
package struct PushedImage: Sendable {
    /// One part.
    package struct Blob: Sendable {
        package let bytes: [UInt8]
        package let digest: Digest

        /// - Throws: `SourceError` where there is no memory for a hash.
        package init(_ bytes: [UInt8]) throws {
            self.bytes = bytes
            guard let digest = Digest(sha256Hex: SHA256.hex(of: bytes)) else {
                throw SourceError("libcrypto gives no digest")
            }
            self.digest = digest
        }
    }

    /// The manifest, with what it calls itself.
    package let manifest: Blob
    package let mediaType: String
    /// Layers and configuration.
    package let blobs: [Blob]

    package init(manifest: Blob, mediaType: String, blobs: [Blob]) {
        self.manifest = manifest
        self.mediaType = mediaType
        self.blobs = blobs
    }
}

extension RegistryClient {
    /// What a name stands for in its registry; nil where it stands for nothing.
    ///
    /// - Throws: `SourceError`, `Interrupted`.
    package func digest(of reference: ImageReference, accepting mediaType: String) throws -> Digest? {
        func ask(_ method: HTTPClient.Method) throws -> HTTPResponse? {
            var retry = RetryMachine(settings.retry)
            let ask = Ask(
                method, .path("manifests/\(reference.tag ?? "latest")"), [HTTPHeader("Accept", mediaType)],
                accepting: [404])
            let response = try send(ask, reference, isForWriting: true, &retry)
            return response.status == 404 ? nil : response
        }
        guard let response = try ask(.head) else { return nil }
        if let told = response.header("Docker-Content-Digest") { return try? Digest(told) }
        // A registry may leave the header out: then only the bytes tell.
        guard let bytes = try ask(.get)?.collect(limit: ManifestDocument.largestSize) ?? nil else {
            return nil
        }
        return Digest(sha256Hex: SHA256.hex(of: bytes))
    }

    /// Gives an image a name in a registry.
    ///
    /// - Throws: `SourceError`, `Interrupted`.
    package func push(_ image: PushedImage, as reference: ImageReference) throws {
        for blob in image.blobs { try upload(blob, to: reference) }
        var retry = RetryMachine(settings.retry)
        let response = try send(
            Ask(
                .put, .path("manifests/\(reference.tag ?? "latest")"),
                [HTTPHeader("Content-Type", image.mediaType)], body: image.manifest.bytes), reference,
            isForWriting: true, &retry)
        let told = response.header("Docker-Content-Digest")
        guard told == nil || told == image.manifest.digest.description else {
            throw SourceError(
                "\(reference.registry) took another manifest than the one that was pushed as \(reference): \(quoted(told ?? ""))"
            )
        }
    }

    private func upload(_ blob: PushedImage.Blob, to reference: ImageReference) throws {
        let place = "\(reference.requestRegistry) \(blob.digest)"
        let other = blobPlaces.withLock { $0[place] }
        var upload = try BlobUpload(
            self, blob, reference, mountingFrom: other == reference.requestRepository ? nil : other)
        try upload.run()
        blobPlaces.withLock { $0[place] = reference.requestRepository }
    }
}
