import Images

/// Manifests as registries and the original DUCC write them, made for tests.
enum Documents {
    static let hex = String(repeating: "0123456789abcdef", count: 4)
    static let digest = "sha256:\(hex)"

    static func descriptor(_ type: String, size: String = "7", more: String = "") -> String {
        #"{"mediaType":"\#(type)","digest":"\#(digest)","size":\#(size)\#(more)}"#
    }

    static func manifest(
        config: String = descriptor(MediaType.ociConfiguration),
        layers: [String] = [descriptor(MediaType.ociLayer + "+gzip")], more: String = ""
    ) -> String {
        #"{"schemaVersion":2,"config":\#(config),"layers":[\#(layers.joined(separator: ","))]\#(more)}"#
    }

    static func index(_ entries: [String]) -> String {
        #"{"schemaVersion":2,"mediaType":"\#(MediaType.ociIndex)","manifests":[\#(entries.joined(separator: ","))]}"#
    }

    /// An entry of an index; `platform` as `os/architecture[/variant]`, empty for none.
    static func entry(_ platform: String, type: String = MediaType.ociManifest, more: String = "") -> String {
        let parts = platform.split(separator: "/")
        var fields = ""
        if parts.count > 1 {
            let variant = parts.count > 2 ? #","variant":"\#(parts[2])""# : ""
            fields = #","platform":{"os":"\#(parts[0])","architecture":"\#(parts[1])"\#(variant)}"#
        }
        return descriptor(type, more: fields + more)
    }

    static func decode(_ text: String, mediaType: String? = nil) throws(ManifestError) -> ManifestDocument {
        try ManifestDocument.decode(Array(text.utf8), mediaType: mediaType)
    }

    static func image(_ text: String, mediaType: String? = nil) throws -> Manifest {
        guard case .manifest(let manifest) = try decode(text, mediaType: mediaType) else {
            throw NotAnImage()
        }
        return manifest
    }

    static func imageIndex(_ entries: [String]) throws -> ImageIndex {
        guard case .index(let index) = try decode(index(entries)) else { throw NotAnImage() }
        return index
    }

    struct NotAnImage: Error {}
}
