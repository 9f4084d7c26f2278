// A repository that the original DUCC filled: taken over as it is, nothing unpacked again but what is incomplete.

import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("A repository of the original DUCC's", .onBothRepositories)
struct TakeoverTests {
    let converting: Converting
    let registry: DockerRegistry
    let first: String
    let second: String

    private static let base = TestImage.Layer(TarBuilder.archive { $0.file("etc/base", "base") })

    /// Two images that share a layer, as the original leaves them, and one that it failed to unpack.
    init() throws {
        converting = try Converting()
        registry = try DockerRegistry()
        first = "http://\(registry.host)/edge/tags:1.0-a"
        second = "http://\(registry.host)/edge/tags:1.0-b"
        for (tag, name) in [("1.0-a", "one"), ("1.0-b", "two")] {
            let image = TestImage([Self.base, .init(TarBuilder.archive { $0.file("etc/name", name) })])
            try image.write(to: converting.layout, tag: tag)
            try registry.push(converting.layout, tag: tag, as: "edge/tags:\(tag)")
        }
        let plain = TestImage([.init(TarBuilder.archive { $0.file("etc/plain", "x") }, .none)])
        let written = try plain.write(to: converting.layout, tag: "1")
        try registry.push(converting.layout, tag: "1", as: "edge/uncompressed:1")
        for image in [first, second] {
            let result = try converting.ducc(
                ["convert-single-image", image, converting.repository], notifying: false)
            #expect(result.code == 0, "\(result.errors)")
        }
        try converting.edit { try makeOriginal(failed: written, in: $0) }
    }

    /// Rewrites what the two programs write differently: no record, manifests encoded anew with capital keys, and
    /// files of the original's own.
    private func makeOriginal(failed: TestImage.Written, in root: String) throws {
        func put(_ name: String, _ content: String) throws {
            let path = "\(root)/\(name)"
            try Files.makeDirectories(Files.parentPath(of: path))
            try Files.replace(path, with: Array(content.utf8), sync: false)
        }
        for tag in ["1.0-a", "1.0-b"] {
            let directory = ".metadata/\(registry.host)/edge/tags:\(tag)"
            #expect(unlink("\(root)/\(directory)/conversion.json") == 0)
            let manifest = try text(of: "\(root)/\(directory)/manifest.json")
            try put("\(directory)/manifest.json", Self.capitalised(manifest))
        }
        let blob = try text(of: "\(converting.layout)/blobs/sha256/\(failed.manifest)")
        try put(".metadata/\(registry.host)/edge/uncompressed:1/manifest.json", Self.capitalised(blob))
        // As after a transaction that was broken off: the layer's tree, but not what is written last.
        try put(".layers/\(failed.layers[0].prefix(2))/\(failed.layers[0])/layerfs/torn", "torn")
        for name in [
            ".layers/.cvmfscatalog", ".flat/.cvmfscatalog", "podmanStore/.cvmfscatalog",
            ".chains/.cvmfscatalog",
        ] {
            try put(name, "")
        }
        try put(".dirty-chains/\(String(repeating: "92", count: 32))", "")
        try put(".metadata/remove-schedule.json", "[]")
        try put("new_repository", "The CernVM-FS repository is mounted there.\n")
    }

    private static func capitalised(_ manifest: String) -> String {
        var text = manifest
        for key in ["schemaVersion", "mediaType", "config", "layers", "digest", "size"] {
            text = text.replacing("\"\(key)\":", with: "\"\(key.prefix(1).uppercased())\(key.dropFirst())\":")
        }
        return text
    }

    private func convert(_ image: String) throws -> (result: CommandResult, requests: [String]) {
        var result: CommandResult?
        let requests = try registry.requests {
            result = try converting.ducc("convert-single-image", image, converting.repository)
        }
        return (try #require(result), requests)
    }

    @Test("lists the images that are there, and not the one that it failed to unpack")
    func list() throws {
        let result = try converting.ducc(["list", "--json", converting.repository], notifying: false)
        #expect(result.code == 0, "\(result.errors)")
        #expect(result.output.contains("edge/tags:1.0-a") && result.output.contains("edge/tags:1.0-b"))
        #expect(!result.output.contains("uncompressed"))
    }

    @Test("nothing is downloaded or unpacked again, and from then on an unchanged image costs one request")
    func reused() throws {
        let before = try content()
        let (taken, requests) = try convert(first)
        #expect(taken.code == 0 && taken.output.contains("updated") && taken.output.contains("2 reused"))
        // Of all blobs the configuration alone.
        #expect(requests.count { $0.contains("/blobs/") } == 1, "\(requests)")
        #expect(try content() == before)
        let events = try converting.events().map(\.action.rawValue)
        #expect(!events.contains("publish_layer") && !events.contains("start_layer_conversion"))
        #expect(try convert(first).requests == ["HEAD /v2/edge/tags/manifests/1.0-a 200"])
        // The registry's exact bytes are in place of the ones that were encoded anew.
        #expect(
            try text(of: converting.path(".metadata/\(registry.host)/edge/tags:1.0-a/manifest.json"))
                .contains("\"schemaVersion\""))
    }

    @Test("whiteouts that are files of a layer's tree, as the original leaves them, hide what they are of")
    func whiteouts() throws {
        let removing = TestImage.Layer(
            TarBuilder.archive { tar in
                tar.file("etc/.wh.base", "")
                tar.file("etc/added", "added")
            })
        let written = try TestImage([Self.base, removing]).write(to: converting.layout, tag: "removing")
        try registry.push(converting.layout, tag: "removing", as: "edge/removing:1")
        let layer = ".layers/\(written.layers[1].prefix(2))/\(written.layers[1])"
        // The original hands a server the layer's archive as it is; that takes such names literally.
        let archive = try converting.directory.write("layer.tar", removing.archive)
        if let server = converting.server {
            let ingested = try server.command(
                "ingest", "-t", archive, "-b", "\(layer)/layerfs", "-c", server.name)
            #expect(ingested.code == 0)
        } else {
            try Files.makeDirectories(converting.path("\(layer)/layerfs"))
            try runSuccessfully("tar", ["-xf", archive, "-C", converting.path("\(layer)/layerfs")])
        }
        #expect(Files.exists(converting.path("\(layer)/layerfs/etc/.wh.base")))
        try converting.edit { root in
            try Files.makeDirectories("\(root)/\(layer)/.metadata")
            let archive = "sha256:\(SHA256.hex(of: removing.archive))"
            let facts =
                #"[{"id":"x","created":"2024-01-01T00:00:00Z","compressed-diff-digest":"x","diff-digest":"\#(archive)","diff-size":1}]"#
            try Files.replace("\(root)/\(layer)/.metadata/layers.json", with: Array(facts.utf8), sync: false)
        }
        let (result, requests) = try convert("http://\(registry.host)/edge/removing:1")
        #expect(result.code == 0 && result.output.contains("2 reused"), "\(result.errors)")
        #expect(requests.count { $0.contains("/blobs/") } == 1, "\(requests)")
        let names = try DirectoryEntry.names(in: converting.path("\(registry.host)/edge/removing:1/etc"))
        #expect(names.contains("added") && !names.contains("base"))
    }

    @Test("what is incomplete is unpacked, and what is the original's own is left alone")
    func incomplete() throws {
        let (result, _) = try convert("http://\(registry.host)/edge/uncompressed:1")
        #expect(result.code == 0, "\(result.errors)")
        #expect(try text(of: converting.path("\(registry.host)/edge/uncompressed:1/etc/plain")) == "x")
        #expect(try text(of: converting.path(".metadata/remove-schedule.json")) == "[]")
        #expect(Files.exists(converting.path(".dirty-chains/\(String(repeating: "92", count: 32))")))
        let torn = try runSuccessfully("find", [converting.path(".layers"), "-name", "torn"])
        #expect(torn.isEmpty)
    }

    /// Every file of the layers and flat images, with its inode and times.
    private func content() throws -> String {
        try runSuccessfully(
            "find",
            [converting.path(".layers"), converting.path(".flat"), "-type", "f", "-printf", "%p %i %T@\n"])
    }
}
