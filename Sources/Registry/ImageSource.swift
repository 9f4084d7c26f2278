// Where images come from. Everything above this protocol is the same for a registry and for a directory on disk, which
// makes the directory the cheap source of every test.

import Images
import Platform

/// A manifest, index or configuration as its source has it.
package struct FetchedDocument: Sendable {
    /// The source's exact bytes.
    package let bytes: [UInt8]
    /// What the source says they are, or nil.
    package let mediaType: String?
    /// Their digest, computed from the bytes.
    package let digest: Digest
}

/// A source of one image: its documents and its blobs. Used from several threads.
package protocol ImageSource: Sendable {
    /// The digest of what the reference names now, index or manifest, without fetching it where the source can tell:
    /// the one request that an unchanged image costs.
    ///
    /// - Throws: `SourceError`, `Interrupted`.
    func currentDigest() throws -> Digest

    /// What the reference names, or the document of that digest beneath it.
    ///
    /// - Throws: `SourceError` (where the bytes aren't those of the digest, too), `Interrupted`.
    func document(_ digest: Digest?) throws -> FetchedDocument

    /// The bytes of a blob as they come, **not yet verified**: the reader wraps them in a `VerifiedStream`.
    ///
    /// - Throws: `SourceError`, `Interrupted`.
    func blob(_ descriptor: Descriptor) throws -> any ByteStream
}

/// A source that hasn't got, or doesn't give, what was asked for.
package struct SourceError: Error, CustomStringConvertible, Sendable {
    /// One line: what was asked, what the answer was, what to do.
    package let description: String

    init(_ description: String) { self.description = description }
}

extension ImageSource {
    /// The image for a platform: its manifest, behind any number of indexes.
    ///
    /// - Returns: the manifest as fetched and decoded, and the digest of what the reference itself names.
    /// - Throws: `SourceError`, `ManifestError`, `PlatformError`, `Interrupted`.
    package func resolve(
        _ platform: ImagePlatform
    ) throws -> (document: FetchedDocument, manifest: Manifest, referenceDigest: Digest) {
        var document = try document(nil)
        let referenceDigest = document.digest
        // An index in an index is allowed; one that leads deeper than this is a joke or an attack.
        for _ in 0..<8 {
            switch try ManifestDocument.decode(document.bytes, mediaType: document.mediaType) {
            case .manifest(let manifest): return (document, manifest, referenceDigest)
            case .index(let index): document = try self.document(try index.select(platform).digest)
            }
        }
        throw SourceError("the image's index leads to an index eight times over: refused")
    }

    /// An image's configuration, with its exact bytes.
    ///
    /// - Throws: `SourceError`, `ManifestError`, `Interrupted`.
    package func configuration(_ manifest: Manifest) throws -> (ImageConfiguration, bytes: [UInt8]) {
        let descriptor = manifest.config
        guard descriptor.size <= ManifestDocument.largestSize else {
            throw SourceError("the image's configuration has \(descriptor.size) bytes: refused")
        }
        let bytes = try blob(descriptor).collect(limit: Int(descriptor.size))
        guard let bytes, SHA256.hex(of: bytes) == descriptor.digest.hex, Int64(bytes.count) == descriptor.size
        else {
            throw SourceError(
                "the image's configuration is not the one its digest names (\(descriptor.digest))")
        }
        let configuration = try ImageConfiguration.decode(bytes)
        try configuration.check(against: manifest)
        return (configuration, bytes)
    }
}

/// Opens sources.
package enum ImageSources {
    /// The source of a reference; nothing is asked yet.
    ///
    /// - Throws: `SourceError` for a kind of source that isn't supported.
    package static func open(_ reference: ImageReference, client: RegistryClient) throws -> any ImageSource {
        switch reference.source {
        case .registry: return RegistrySource(client, reference.resolved)
        case .ociLayout(let path): return OCILayoutSource(path: path, reference: reference)
        case .dockerArchive(let path):
            return DockerArchiveSource(
                path: path, reference: reference, temporaryDirectory: client.settings.temporaryDirectory)
        }
    }
}
