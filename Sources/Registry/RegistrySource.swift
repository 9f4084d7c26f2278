// One image in a registry: pulls by tag or digest (distribution-spec, "Pull").

import FoundationEssentials
import HTTP
import Images
import Platform

/// A source that reads an image from a registry.
struct RegistrySource: ImageSource {
    private let client: RegistryClient
    private let reference: ImageReference

    init(_ client: RegistryClient, _ reference: ImageReference) {
        self.client = client
        self.reference = reference
    }

    func currentDigest() throws -> Digest {
        // What is pinned by its digest can't change.
        if let digest = reference.digest { return digest }
        let response = try client.send(.head, reference, manifestPath, accept: MediaType.acceptHeader)
        if let text = response.header("Docker-Content-Digest"), let digest = try? Digest(text) {
            return digest
        }
        // A registry may leave the header out: then only the bytes tell.
        return try document(nil).digest
    }

    func document(_ digest: Digest?) throws -> FetchedDocument {
        let path = digest.map { "manifests/\($0)" } ?? manifestPath
        let response = try client.send(.get, reference, path, accept: MediaType.acceptHeader)
        let collected: [UInt8]?
        do {
            collected = try response.collect(limit: ManifestDocument.largestSize)
        } catch let error as HTTPError {
            throw SourceError("\(error)")
        }
        guard let bytes = collected else {
            throw SourceError(
                "the manifest of \(reference) has more than \(ManifestDocument.largestSize) bytes: refused")
        }
        let found = SHA256.hex(of: bytes)
        // What the registry says of its own answer must be true too: it is what later runs compare.
        let told = response.header("Docker-Content-Digest").flatMap { try? Digest($0) }
        for wanted in [digest ?? reference.digest, told].compactMap({ $0 }) where wanted.hex != found {
            throw SourceError(
                "\(reference.registry) answered with another manifest than the one asked for: "
                    + "sha256:\(found) instead of \(wanted)")
        }
        guard let digest = Digest(sha256Hex: found) else { throw SourceError("\(reference): no digest") }
        return FetchedDocument(bytes: bytes, mediaType: response.header("Content-Type"), digest: digest)
    }

    func blob(_ descriptor: Descriptor) throws -> any ByteStream {
        descriptor.layerKind == .foreign
            ? try client.foreignBlob(reference, descriptor) : try client.blob(reference, descriptor)
    }

    private var manifestPath: String {
        "manifests/\(reference.digest?.description ?? reference.tag ?? "latest")"
    }
}
