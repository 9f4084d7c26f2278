// A thin image: an image in a registry that has no files but a list of where an image's layers are in CernVM-FS, for
// engines that mount those instead of pulling (CernVM-FS' graph driver for Docker, its snapshotter for containerd). All
// else is the image's own: how it is run, what it runs on, when it was made.
//
// The same image in the same repository makes the same thin image, byte by byte: nothing in it is of the moment in which
// it is made, and its layer is not compressed, since no two compressors agree.

import Archive
import Glibc
import Images
import Registry
import Repository

/// Makes thin images.
package enum ThinImage {
    /// What a registry calls it: Docker's image manifest version 2, schema 2, which every engine reads.
    package static let mediaType = "application/vnd.docker.distribution.manifest.v2+json"

    /// - Parameters:
    ///   - reference: the image that it stands for.
    ///   - layers: its layers, the lowest first.
    ///   - configuration: its configuration, the exact bytes.
    ///   - repository: the repository's name, and the path in it, that has the layers.
    /// - Throws: `JSONError`, `ArchiveError`, `EncodingError`, `SourceError`.
    package static func make(
        of reference: ImageReference, layers: [Digest], configuration: [UInt8], in repository: String
    ) throws -> PushedImage {
        let list = thinJSON(of: reference, layers: layers, in: repository)
        let layer = try PushedImage.Blob(try archive(list))
        let configuration = try PushedImage.Blob(
            try thinConfiguration(configuration, layer: layer.digest, reference).line())
        let manifest: JSONValue = .object([
            "schemaVersion": .integer(2), "mediaType": .string(mediaType),
            "config": descriptor("application/vnd.docker.container.image.v1+json", configuration),
            "layers": .array([descriptor("application/vnd.docker.image.rootfs.diff.tar", layer)]),
        ])
        return PushedImage(
            manifest: try PushedImage.Blob(try manifest.line()), mediaType: mediaType,
            blobs: [layer, configuration])
    }

    private static func descriptor(_ mediaType: String, _ blob: PushedImage.Blob) -> JSONValue {
        .object([
            "mediaType": .string(mediaType), "size": .integer(Int64(blob.bytes.count)),
            "digest": .string(blob.digest.description),
        ])
    }

    /// `thin.json`, as the original DUCC writes it: two blanks a level, keys in this order.
    private static func thinJSON(of reference: ImageReference, layers: [Digest], in repository: String)
        -> [UInt8]
    {
        let entries = layers.map { digest in
            """
                {
                  "digest": "\(digest.hex)",
                  "url": "\(escaped("cvmfs://\(repository)/\(RepositoryLayout.layerTree(digest))"))"
                }
            """
        }
        let list = entries.isEmpty ? "[]" : "[\n\(entries.joined(separator: ",\n"))\n  ]"
        return Array(
            """
            {
              "version": "1.0",
              "origin": "\(escaped(reference.normalised))",
              "layers": \(list)
            }
            """.utf8)
    }

    /// A text as it stands between a JSON string's quotes.
    private static func escaped(_ text: String) -> String {
        let line = (try? JSONValue.string(text).line()) ?? []
        return String(decoding: line.dropFirst().dropLast(), as: UTF8.self)
    }

    private static func archive(_ list: [UInt8]) throws -> [UInt8] {
        let sink = MemorySink()
        let writer = try TarWriter(sink)
        try writer.add("thin.json", .file(Int64(list.count)), TarAttributes(permissions: 0o644, modified: 0))
        try list.withUnsafeBytes { try writer.write($0) }
        try writer.finish()
        return sink.bytes
    }

    /// The image's own configuration, all of it, but for what its layers are.
    private static func thinConfiguration(
        _ bytes: [UInt8], layer: Digest, _ reference: ImageReference
    ) throws -> JSONValue {
        var configuration = try JSONValue.read(bytes, limit: ManifestDocument.largestSize)
        let mark = "CVMFS_IMAGE"
        var settings = configuration["config"] ?? .object([:])
        let environment = (settings["Env"]?.elements ?? []).filter {
            $0.text?.hasPrefix("\(mark)=") != true
        }
        settings["Env"] = .array(environment + [.string("\(mark)=true")])
        configuration["config"] = settings
        configuration["rootfs"] = .object([
            "type": .string("layers"), "diff_ids": .array([.string(layer.description)]),
        ])
        var step: JSONValue = .object([
            "created_by": .string("cvmfs_ducc: thin image of \(reference.normalised)")
        ])
        step["created"] = configuration["created"]
        configuration["history"] = .array([step])
        return configuration
    }
}

/// An archive in memory.
private final class MemorySink: ByteSink {
    var bytes: [UInt8] = []
    func write(_ new: UnsafeRawBufferPointer) { bytes.append(contentsOf: new) }
}
