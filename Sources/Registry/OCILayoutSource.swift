// An image in a directory: the OCI image layout (image-layout.md): `oci-layout`, `index.json`, `blobs/sha256/HEX`.

import Images
import Platform

/// A source that reads an image from an OCI layout.
struct OCILayoutSource: ImageSource {
    let path: String
    let reference: ImageReference

    /// Where the name of an image stands in `index.json` (annotations.md).
    private static let nameAnnotation = "org.opencontainers.image.ref.name"

    func currentDigest() throws -> Digest { try named().digest }

    func document(_ digest: Digest?) throws -> FetchedDocument {
        let named = try digest == nil ? named() : nil
        guard let wanted = digest ?? named?.digest else { throw SourceError("\(path) names no image") }
        let bytes = try read("blobs/sha256/\(wanted.hex)")
        guard SHA256.hex(of: bytes) == wanted.hex else {
            throw SourceError(
                "\(path)/blobs/sha256/\(wanted.hex) is damaged: its SHA-256 is \(SHA256.hex(of: bytes))")
        }
        return FetchedDocument(bytes: bytes, mediaType: named?.mediaType, digest: wanted)
    }

    func blob(_ descriptor: Descriptor) throws -> any ByteStream {
        do throws(SystemError) {
            return try FileStream(path: "\(path)/blobs/sha256/\(descriptor.digest.hex)")
        } catch {
            throw SourceError("\(reference): \(error)")
        }
    }

    /// The entry of `index.json` that the reference means: the one of that name, or the only one.
    private func named() throws -> Descriptor {
        guard Files.exists("\(path)/oci-layout") else {
            throw SourceError(
                Files.exists(path)
                    ? "\(path) is no OCI image layout: it has no file 'oci-layout'" : "there is no \(path)")
        }
        let document = try ManifestDocument.decode(try read("index.json"), mediaType: nil)
        guard case .index(let index) = document else { throw SourceError("\(path)/index.json is no index") }
        let names = index.manifests.compactMap { $0.annotations[Self.nameAnnotation] }
        if let digest = reference.digest {
            return Descriptor(mediaType: "", digest: digest, size: 0)
        }
        if let tag = reference.tag {
            // Tools differ in what they write: the tag alone (skopeo), or a whole reference (buildkit).
            let found = index.manifests.first { entry in
                let name = entry.annotations[Self.nameAnnotation]
                return name == tag || name?.hasSuffix(":\(tag)") == true
            }
            guard let found else {
                throw SourceError(
                    "\(path) has no image '\(tag)'; it has "
                        + (names.isEmpty ? "none with a name" : names.joined(separator: ", ")))
            }
            return found
        }
        guard index.manifests.count == 1, let only = index.manifests.first else {
            throw SourceError(
                "\(path) has \(index.manifests.count) images; name one: "
                    + names.map { "oci:\(path):\($0)" }.joined(separator: ", "))
        }
        return only
    }

    private func read(_ file: String) throws -> [UInt8] {
        do throws(SystemError) {
            return try Files.read("\(path)/\(file)", limit: ManifestDocument.largestSize)
        } catch {
            throw SourceError("\(reference): \(error)")
        }
    }
}
