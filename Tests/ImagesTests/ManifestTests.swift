import Images
import Testing

@Suite("Manifests")
struct ManifestTests {
    @Test("an OCI manifest")
    func oci() throws {
        let manifest = try Documents.image(
            Documents.manifest(
                layers: [
                    Documents.descriptor(MediaType.ociLayer + "+gzip"),
                    Documents.descriptor(MediaType.ociLayer + "+zstd", size: "9"),
                    Documents.descriptor(MediaType.ociLayer, more: #","annotations":{"CamelKey":"v"}"#),
                ], more: #","mediaType":"\#(MediaType.ociManifest)""#), mediaType: MediaType.ociManifest)
        #expect(manifest.mediaType == MediaType.ociManifest)
        #expect(manifest.config.digest.hex == Documents.hex)
        #expect(manifest.layers.map(\.size) == [7, 9, 7])
        #expect(manifest.layersSize == 23)
        #expect(manifest.layers[2].annotations == ["CamelKey": "v"])
        #expect(manifest.layers.allSatisfy { $0.layerKind == .tar })
    }

    @Test("a manifest of Docker's schema 2, with the header's parameters")
    func docker() throws {
        let manifest = try Documents.image(
            Documents.manifest(
                config: Documents.descriptor(MediaType.dockerConfiguration),
                layers: [Documents.descriptor(MediaType.dockerLayer + ".gzip")]),
            mediaType: "application/vnd.docker.distribution.manifest.v2+json; charset=utf-8")
        #expect(manifest.layers.count == 1)
    }

    @Test("a foreign layer is told from one that the registry has")
    func foreign() throws {
        let url = #","urls":["https://example.org/layer"]"#
        let manifest = try Documents.image(
            Documents.manifest(layers: [
                Documents.descriptor(MediaType.dockerForeignLayer + ".gzip", more: url),
                Documents.descriptor(MediaType.ociForeignLayer, more: url),
            ]))
        #expect(manifest.layers.map(\.layerKind) == [.foreign, .foreign])
        #expect(manifest.layers[0].urls == ["https://example.org/layer"])
    }

    @Test("the original DUCC's letter case")
    func capitals() throws {
        let text = """
            {"SchemaVersion":2,"MediaType":"\(MediaType.ociManifest)",
            "Config":{"MediaType":"\(MediaType.ociConfiguration)","Size":480,"Digest":"\(Documents.digest)"},
            "Layers":[{"MediaType":"\(MediaType.ociLayer)+gzip","Size":1036028,"Digest":"\(Documents.digest)"},
            {"MediaType":"\(MediaType.ociLayer)+gzip","Size":92,"Digest":"\(Documents.digest)"}]}
            """
        let manifest = try Documents.image(text)
        #expect(manifest.config.size == 480)
        #expect(manifest.layers.map(\.size) == [1_036_028, 92])
    }

    @Test("an image without layers is one, and so is one whose config has a general type")
    func unusual() throws {
        #expect(try Documents.image(Documents.manifest(layers: [])).layers.isEmpty)
        let old = Documents.manifest(config: Documents.descriptor("application/octet-stream"))
        #expect(try Documents.image(old).layers.count == 1)
        let null =
            #"{"schemaVersion":2,"config":\#(Documents.descriptor(MediaType.ociConfiguration)),"layers":null}"#
        #expect(try Documents.image(null).layers.isEmpty)
    }

    private static let layer = Documents.descriptor(MediaType.ociLayer)
    private static let config = Documents.descriptor(MediaType.ociConfiguration)

    @Test(
        "what is refused, and how",
        arguments: [
            (
                #"{"schemaVersion":1,"fsLayers":[]}"#,
                "the manifest is of schema 1, which is not supported; push the image again with a current tool"
            ),
            ("{}", "the manifest's schemaVersion is missing; only 2 is supported"),
            (#"{"schemaVersion":3}"#, "the manifest's schemaVersion is 3; only 2 is supported"),
            (#"{"schemaVersion":"2"}"#, "the manifest's schemaVersion is a string, not a whole number"),
            (#"{"schemaVersion":2}"#, "the manifest has neither layers nor manifests"),
            ("[]", "the manifest is not readable: it is a list, not an object"),
            ("<html>", "the manifest is not readable: no JSON that can be read; it begins with '<html>'"),
            (
                Documents.manifest(more: #","manifests":[]"#),
                "the manifest has layers and manifests: it is both an image and an index"
            ),
            (
                Documents.manifest(more: #","Layers":[]"#),
                "the manifest is ambiguous: the keys 'Layers' and 'layers' differ only in letter case"
            ),
            (#"{"schemaVersion":2,"layers":[]}"#, "the manifest has no config"),
            (#"{"schemaVersion":2,"config":\#(config)}"#, "the manifest has no layers"),
            (
                #"{"schemaVersion":2,"config":[],"layers":[]}"#,
                "the manifest's config is a list, not an object"
            ),
            (
                #"{"schemaVersion":2,"config":\#(config),"layers":{}}"#,
                "the manifest's layers is an object, not a list"
            ),
            (Documents.manifest(layers: ["7"]), "the manifest's layers[0] is a number, not an object"),
            (Documents.manifest(layers: [layer, "{}"]), "the manifest has no layers[1].digest"),
            (
                Documents.manifest(layers: [#"{"digest":"\#(Documents.digest)"}"#]),
                "the manifest has no layers[0].size"
            ),
            (
                Documents.manifest(layers: [#"{"digest":"sha512:ab","size":1}"#]),
                "the manifest's layers[0].digest: bad digest 'sha512:ab': only sha256 is supported, not 'sha512'"
            ),
            (
                Documents.manifest(layers: [Documents.descriptor(MediaType.ociLayer, size: "-1")]),
                "the manifest's layers[0].size is -1, which no content has"
            ),
            (
                Documents.manifest(layers: [
                    Documents.descriptor(MediaType.ociLayer, size: "9223372036854775807")
                ]), "the manifest's layers[0].size is 9223372036854775807, which no content has"
            ),
            (
                Documents.manifest(layers: [Documents.descriptor(MediaType.ociLayer, size: "1.5")]),
                "the manifest's layers[0].size is a number, not a whole number"
            ),
            (
                Documents.manifest(layers: [Documents.descriptor("application/vnd.in-toto+json")]),
                "the manifest's layers[0] is no file system: 'application/vnd.in-toto+json'"
            ),
            (
                Documents.manifest(layers: [Documents.descriptor(MediaType.ociLayer + "+gzip+encrypted")]),
                "the manifest's layers[0] is encrypted: 'application/vnd.oci.image.layer.v1.tar+gzip+encrypted'"
            ),
            (
                Documents.manifest(config: Documents.descriptor("application/vnd.cncf.helm.config.v1+json")),
                "this is no container image but an artifact: its config is 'application/vnd.cncf.helm.config.v1+json'"
            ),
            (
                Documents.manifest(config: Documents.descriptor("application/vnd.oci.empty.v1+json")),
                "this is no container image but an artifact: its config is 'application/vnd.oci.empty.v1+json'"
            ),
            (
                #"{"schemaVersion":2,"mediaType":"application/vnd.oci.artifact.manifest.v1+json","blobs":[]}"#,
                "'application/vnd.oci.artifact.manifest.v1+json' is not a container image"
            ),
            (
                #"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v1+prettyjws"}"#,
                "the manifest is of schema 1, which is not supported; push the image again with a current tool"
            ),
            (
                Documents.manifest(more: #","mediaType":"\#(MediaType.ociIndex)""#),
                "the manifest says that it is application/vnd.oci.image.index.v1+json, but has config and layers"
            ),
            (
                Documents.manifest(layers: [
                    Documents.descriptor(MediaType.ociLayer, more: #","annotations":{"a":1}"#)
                ]), "the manifest's layers[0].annotations.'a' is a number, not a string"
            ),
        ])
    func refused(text: String, line: String) {
        let error = #expect(throws: ManifestError.self) { try Documents.decode(text) }
        #expect(error?.description == line)
    }

    @Test("a header that contradicts the bytes is refused")
    func header() {
        #expect(throws: ManifestError.self) {
            try Documents.decode(Documents.manifest(), mediaType: MediaType.dockerManifestList)
        }
        #expect(throws: ManifestError.self) {
            try Documents.decode(Documents.index([]), mediaType: MediaType.ociManifest)
        }
        #expect(throws: ManifestError.self) {
            try Documents.decode(
                Documents.manifest(), mediaType: "application/vnd.docker.distribution.manifest.v1+prettyjws")
        }
    }

    @Test("too many layers and too many bytes are refused")
    func limits() {
        let layers = [String](repeating: Documents.descriptor(MediaType.ociLayer), count: 10_001)
        let many = #expect(throws: ManifestError.self) {
            try Documents.decode(Documents.manifest(layers: layers))
        }
        #expect(
            many?.description == "the manifest's layers has 10001 entries, more than 10000 are not accepted")
        let big = #expect(throws: ManifestError.self) {
            try Documents.decode(Documents.manifest() + String(repeating: " ", count: 4 << 20))
        }
        #expect(big?.description.hasSuffix("more than 4194304 are not accepted") == true)
    }

    @Test("what clients accept names both kinds of both families")
    func accept() {
        for type in [
            MediaType.ociManifest, MediaType.ociIndex, MediaType.dockerManifest, MediaType.dockerManifestList,
        ] { #expect(MediaType.acceptHeader.contains(type)) }
    }
}
