// Images out of archives that `docker save` makes: by skopeo here, and by hand as older versions of docker write them.

import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("An image in a docker archive", .onBothRepositories)
struct DockerArchiveTests {
    let converting: Converting

    init() throws { converting = try Converting() }

    private static let image = TestImage(
        { $0.file("etc/name", "lower") },
        {
            $0.file("etc/name", "upper")
            $0.file("usr/bin/tool", "#!/bin/sh\n", mode: 0o4755)
        })

    private func tree(_ name: String) throws -> [String: String] {
        try TreeComparison.describe(converting.path("localhost/\(name)/"))
    }

    @Test(
        "is converted like the image that it was made of, compressed or not, and is known when it is unchanged"
    )
    func skopeo() throws {
        try Self.image.write(to: converting.layout, tag: "1")
        #expect(try converting.convert("oci:\(converting.layout):1").code == 0)
        let archive = converting.directory.path("image.tar")
        try runSuccessfully(
            "skopeo",
            [
                "copy", "--quiet", "oci:\(converting.layout):1",
                "docker-archive:\(archive):example.org/tool:2.0",
            ])
        let packed = converting.directory.path("packed.tgz")
        try converting.directory.write(
            "packed.tgz", try Compression.gzip.apply(try Files.read(archive, limit: 1 << 30)))
        for (reference, name) in [
            ("docker-archive:\(archive)", "image.tar:latest"),
            ("docker-archive:\(archive):2.0", "image.tar:2.0"),
            ("docker-archive:\(packed):2.0", "packed.tgz:2.0"),
        ] {
            let result = try converting.convert(reference)
            #expect(result.code == 0, "\(result.errors)")
            #expect(try tree(name) == tree("layout:1"))
            #expect(try converting.last(.publishImage)?.image == "localhost/\(name)")
            #expect(try converting.last(.publishImage)?.imageRequest == reference)
            #expect(try converting.convert(reference).output.contains("unchanged"))
        }
    }

    /// An archive of two images that share a layer, which is there once and a link the other time.
    private func legacy() throws -> String {
        var archive = TarBuilder()
        let base = TarBuilder.archive { $0.file("base", "base") }
        let tops = ["one", "two"].map { name in TarBuilder.archive { $0.file("name", name) } }
        archive.add("aa/layer.tar", content: base)
        archive.symbolicLink("bb/layer.tar", to: "../aa/layer.tar")
        var images: [String] = []
        for (number, top) in tops.enumerated() {
            archive.add("./top\(number)/layer.tar", content: top)
            let identifiers = [base, top].map { "\"sha256:\(SHA256.hex(of: $0))\"" }.joined(separator: ",")
            archive.file(
                "config\(number).json",
                #"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[\#(identifiers)]}}"#
            )
            images.append(
                #"{"Config":"config\#(number).json","RepoTags":["example.org/image:\#(number)"],"#
                    + #""Layers":["\#(number == 0 ? "aa" : "bb")/layer.tar","top\#(number)/layer.tar"]}"#)
        }
        archive.file("manifest.json", "[\(images.joined(separator: ","))]")
        return try converting.directory.write("legacy.tar", archive.finished())
    }

    @Test("of several in one archive the named one is taken, and links among the entries are followed")
    func several() throws {
        let archive = try legacy()
        for (number, name) in ["one", "two"].enumerated() {
            let result = try converting.convert("docker-archive:\(archive):\(number)")
            #expect(result.code == 0, "\(result.errors)")
            #expect(try text(of: converting.path("localhost/legacy.tar:\(number)/name")) == name)
            #expect(try text(of: converting.path("localhost/legacy.tar:\(number)/base")) == "base")
        }
        for (reference, reason) in [
            ("docker-archive:\(archive)", "2 images"), ("docker-archive:\(archive):3", "no image '3'"),
        ] {
            let result = try converting.convert(reference)
            #expect(result.code == 1 && result.errors.contains(reason), "\(result.errors)")
            #expect(result.errors.contains("example.org/image:0, example.org/image:1"))
        }
    }

    @Test("what is none, or lacks a part, is one clear line")
    func bad() throws {
        func archive(_ manifest: String?, _ fill: (inout TarBuilder) -> Void = { _ in }) throws -> String {
            var builder = TarBuilder()
            fill(&builder)
            if let manifest { builder.file("manifest.json", manifest) }
            let name = "bad-\(RandomIdentifier.hex(4)).tar"
            return try converting.directory.write(name, builder.finished())
        }
        let image = #"[{"Config":"c.json","RepoTags":null,"Layers":["l/layer.tar"]}]"#
        let configuration =
            #"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:\#(String(repeating: "0", count: 64))"]}}"#
        for (path, reason) in [
            (converting.directory.path("missing.tar"), "No such file"),
            (
                try converting.directory.write(
                    "text.tar", "no archive, but as long as a block " + String(repeating: "x", count: 600)),
                "is no docker archive"
            ),
            (try archive(nil) { $0.file("a", "b") }, "no manifest.json"),
            (try archive("{"), "no list of images"),
            (try archive("[]"), "0 images"), (try archive(image), "lacks the configuration 'c.json'"),
            (try archive(image) { $0.file("c.json", configuration) }, "lacks the layer 'l/layer.tar'"),
            (
                try archive(image) {
                    $0.file("c.json", configuration)
                    $0.add("l/layer.tar", content: TarBuilder.archive { $0.file("a", "b") })
                }, "sha256:"
            ),
            (
                try archive(image) {
                    $0.symbolicLink("c.json", to: "d.json")
                    $0.symbolicLink("d.json", to: "c.json")
                }, "lacks the configuration"
            ),
        ] {
            let result = try converting.convert("docker-archive:\(path)")
            #expect(result.code == 1 && result.errors.contains(reason), "\(reason): \(result.errors)")
            #expect(result.errors.split(separator: "\n").count { $0.contains("level=error") } == 1)
            #expect(try converting.staged().isEmpty)
        }
        #expect(!Files.exists(converting.path("localhost")))
    }
}
