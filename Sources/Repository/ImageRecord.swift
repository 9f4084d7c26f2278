// What a repository knows of an image it holds.

import FoundationEssentials
import Images
import Platform

/// An image that was published: `conversion.json` beside its manifest.
package struct ImageRecord: Codable, Sendable, Equatable {
    /// One layer, the lowest first.
    package struct Layer: Codable, Sendable, Equatable {
        /// The blob's digest, `sha256:…`.
        package var digest: String
        /// The blob's length in bytes.
        package var compressedSize: Int64
        /// The archive's length in bytes; nil where it isn't known.
        package var size: Int64?

        enum CodingKeys: String, CodingKey {
            case digest, size
            case compressedSize = "compressed_size"
        }
    }

    /// `REGISTRY/REPOSITORY[:TAG]`.
    package var image: String
    /// The wish, normalised.
    package var imageRequest: String
    /// The path of its link, relative to the repository.
    package var publicPath: String
    /// The digest that the source gave for the reference itself, index or manifest.
    package var referenceDigest: String
    /// The digest of the manifest.
    package var manifestDigest: String
    /// The digest of the configuration, which names the flat image.
    package var configurationDigest: String
    /// What the image runs on, `OS/ARCH[/VARIANT]`; nil where it isn't known.
    package var platform: String?
    /// The platform that was asked for.
    package var requestedPlatform: String?
    /// When it was published, RFC 3339.
    package var published: String
    /// The layers, the lowest first.
    package var layers: [Layer]
    /// How many entries the flat image has; nil where there is none.
    package var files: Int?
    /// What of the image the file system could not keep.
    package var lost: [String]
    /// What was published of it.
    package var contents: PublishedContents
    /// The digest of its thin image's manifest, wherever that is pushed; nil where a thin image makes no sense.
    package var thinDigest: String?
    /// Why the image is not in podman's store though it shall be; nil where it is there, or isn't wanted there.
    package var podmanProblem: String?
    /// What became visible without the event that tells of it: a process killed in between leaves this, and the next
    /// one tells it.
    package var unannounced: Unannounced?

    /// Things that are visible and not yet told of.
    package struct Unannounced: Codable, Sendable, Equatable {
        /// Layers' digests, hex, the lowest first.
        package var layers: [String]
        /// Whether the flat image is new under its public path.
        package var flat: Bool
        /// Whether the image is new in podman's store; nil where a version wrote it that had no store.
        package var podman: Bool?

        /// Nothing but that all of the image is there.
        package static let wholeOnly = Unannounced(layers: [], flat: false, podman: false)
    }

    enum CodingKeys: String, CodingKey {
        case image, platform, published, layers, files, lost, contents, unannounced
        case imageRequest = "image_request"
        case publicPath = "public_path"
        case referenceDigest = "reference_digest"
        case manifestDigest = "manifest_digest"
        case configurationDigest = "config_digest"
        case requestedPlatform = "requested_platform"
        case thinDigest = "thin_digest"
        case podmanProblem = "podman_problem"
    }

    /// The layers' archives together, in bytes; nil where one isn't known.
    package var size: Int64? {
        layers.reduce(0) { sum, layer in sum.flatMap { sum in layer.size.map { sum + $0 } } }
    }
}

/// JSON as the repository's files have it.
package enum RepositoryJSON {
    /// A value as JSON, readable, keys sorted, ended by a newline.
    ///
    /// - Throws: `EncodingError`, for values that JSON hasn't got.
    package static func encode(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(value)) + [UInt8(ascii: "\n")]
    }

    /// A value as one line of JSON, without its end, keys sorted.
    ///
    /// - Throws: `EncodingError`, for values that JSON hasn't got.
    package static func encodeLine(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(value))
    }

    /// A value from a file's bytes, or nil where they are none.
    package static func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) -> Value? {
        try? JSONDecoder().decode(type, from: Data(bytes))
    }
}
