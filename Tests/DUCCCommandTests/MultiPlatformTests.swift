// Images for several platforms: one of them is taken, and what is unchanged is known by the digest of the whole.

import Notifications
import Platform
import Support
import Testing

@Suite("An image for several platforms", .onBothRepositories)
struct MultiPlatformTests {
    let converting: Converting
    let registry: DockerRegistry
    let image: String

    /// An index with an attestation, as buildx makes them, an image for arm64 and one for amd64.
    init() throws {
        converting = try Converting()
        registry = try DockerRegistry()
        image = "http://\(registry.host)/multi:1"
        try push(content: "first")
    }

    private func push(content: String) throws {
        var entries: [String: String] = [:]
        for architecture in ["amd64", "arm64"] {
            var image = TestImage({ $0.file("etc/platform", "\(content) \(architecture)") })
            image.architecture = architecture
            let written = try image.writeBlobs(to: converting.layout)
            entries[architecture] = Self.entry(
                "manifest", written.manifest, written.manifestSize,
                #"{"os":"linux","architecture":"\#(architecture)"}"#)
        }
        var attestation = TestImage({ $0.file("in-toto", "{}") })
        attestation.architecture = "unknown"
        let proof = try attestation.writeBlobs(to: converting.layout)
        let whole = try add([
            Self.entry(
                "manifest", proof.manifest, proof.manifestSize, #"{"os":"unknown","architecture":"unknown"}"#),
            entries["arm64"] ?? "", entries["amd64"] ?? "",
        ])
        try TestImage.writeIndex(
            [
                Self.entry("index", whole.digest, whole.size, nil).dropLast()
                    + #","annotations":{"org.opencontainers.image.ref.name":"1"}}"#
            ], to: converting.layout)
        try runSuccessfully(
            "skopeo",
            [
                "copy", "--quiet", "--all", "--dest-tls-verify=false", "--preserve-digests",
                "oci:\(converting.layout):1",
                "docker://\(registry.host)/multi:1",
            ])
    }

    private static func entry(_ kind: String, _ digest: String, _ size: Int, _ platform: String?) -> String {
        #"{"mediaType":"application/vnd.oci.image.\#(kind).v1+json","digest":"sha256:\#(digest)","size":\#(size)"#
            + (platform.map { #","platform":\#($0)"# } ?? "") + "}"
    }

    private func add(_ entries: [String]) throws -> (digest: String, size: Int) {
        let index = Array(
            (#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":["#
                + entries.joined(separator: ",") + "]}").utf8)
        return (try TestImage.add(index, to: converting.layout), index.count)
    }

    private func published() throws -> String {
        try text(of: converting.path("\(registry.host)/multi:1/etc/platform"))
    }

    @Test("the wanted platform is taken, linux/amd64 where none is named, wherever it stands")
    func platforms() throws {
        #expect(try converting.convert(image).code == 0)
        #expect(try published() == "first amd64")
        #expect(try converting.last(.publishImage)?[.platform] == "linux/amd64")
        #expect(try converting.convert(image, "--platform", "linux/arm64").code == 0)
        #expect(try published() == "first arm64")
        #expect(try converting.last(.publishImage)?[.platform] == "linux/arm64")
        let missing = try converting.convert(image, "--platform", "linux/s390x")
        #expect(missing.code == 1)
        #expect(
            missing.errors.contains("linux/amd64") && !missing.errors.contains("unknown"), "\(missing.errors)"
        )
        #expect(try published() == "first arm64")
    }

    @Test("download-manifest prints the manifest of one platform, byte for byte, under both its names")
    func manifest() throws {
        for (command, platform, architecture) in [
            ("download-manifest", [], "amd64"), ("get-manifest", ["--platform", "linux/arm64"], "arm64"),
        ] {
            let result = try converting.ducc([command, image] + platform, notifying: false)
            #expect(result.code == 0 && result.errors == "")
            let blob = "\(converting.layout)/blobs/sha256/\(SHA256.hex(of: Array(result.output.utf8)))"
            #expect(try text(of: blob) == result.output)
            try converting.convert(image, "--platform", "linux/\(architecture)")
            let kept = converting.path(".metadata/\(registry.host)/multi:1/manifest.json")
            #expect(try text(of: kept) == result.output)
        }
        for (name, code) in [("\(image)x", 1), ("http://\(registry.host)/multi:*", 2), ("http://", 2)] {
            let result = try converting.ducc(["download-manifest", name], notifying: false)
            #expect(
                Int(result.code) == code && result.output.isEmpty && !result.errors.isEmpty,
                "\(result.errors)")
        }
    }

    @Test("unchanged it costs one request, and a tag that moves to another index is converted")
    func unchanged() throws {
        try converting.convert(image)
        var result: CommandResult?
        let requests = try registry.requests { result = try converting.convert(image) }
        #expect(
            requests == ["HEAD /v2/multi/manifests/1 200"] && result?.output.contains("unchanged") == true)
        try push(content: "second")
        #expect(try converting.convert(image).output.contains("updated"))
        #expect(try published() == "second amd64")
    }
}
