// Images and repositories that podman, or we, had trouble with: none of them costs others their images.

import Glibc
import Platform
import Support
import Testing

@Suite("Odd images in podman's store", .enabled(if: Podman.isPossible))
struct PodmanOddTests {
    let converting: Converting

    init() throws { converting = try Converting() }

    @discardableResult
    private func convert(
        _ layers: [TestImage.Layer], tag: String, _ options: String...,
        edit: (inout TestImage) -> Void = { _ in }
    ) throws -> CommandResult {
        var image = TestImage(layers)
        image.hasHistory = true
        edit(&image)
        try image.write(to: converting.layout, tag: tag)
        return try converting.ducc(
            ["convert-single-image", "oci:\(converting.layout):\(tag)", converting.repository] + options)
    }

    @Test("a layer that an image lists twice hides what it hides at its highest place")
    func twice() throws {
        let one = PodmanStoreTests.layer { $0.file("etc/which", "one") }
        let two = PodmanStoreTests.layer { $0.file("etc/which", "two") }
        let empty = PodmanStoreTests.layer { _ in }
        for (tag, layers) in [("empty", [empty, one, empty, two, empty]), ("which", [one, two, one])] {
            #expect(try convert([PodmanStoreTests.base] + layers, tag: tag).code == 0)
        }
        let podman = try Podman(over: converting.repository)
        #expect(try podman.output(of: "localhost/layout:empty", "cat", "/etc/which") == "two")
        #expect(try podman.output(of: "localhost/layout:which", "cat", "/etc/which") == "one")
    }

    @Test(
        "an image that podman can't read is published without it, said once, and not converted again",
        arguments: [
            #"{"Cmd":["/bin/sh"],"Labels":["a"]}"#, #"{"Cmd":["/bin/sh"],"ExposedPorts":["80"]}"#,
            #"{"Cmd":["/bin/sh"],"User":1000}"#, #"{"Cmd":["/bin/sh"],"Healthcheck":{"Test":"x"}}"#,
            #"{"Entrypoint":"/bin/sh"}"#,
        ])
    func unreadable(settings: String) throws {
        #expect(try convert([PodmanStoreTests.base], tag: "good").code == 0)
        let result = try convert([PodmanStoreTests.base], tag: "odd") { $0.settings = settings }
        #expect(result.code == 0, "\(result.errors)")
        #expect(result.errors.split(separator: "\n").count { $0.contains("it isn't in podman's store") } == 1)
        #expect(Files.exists(converting.path("localhost/layout:odd/etc/base")))
        #expect(try converting.actions().count { $0 == "publish_podman_image" } == 1)
        let again = try converting.convert("oci:\(converting.layout):odd")
        #expect(again.output.hasPrefix("unchanged"), "\(again.output)\(again.errors)")
        #expect(try Podman(over: converting.repository).names() == ["localhost/layout:good"])
    }

    @Test(
        "no date of an image's keeps podman from the others",
        arguments: [
            "9999-12-31T23:59:59-23:59", "0000-01-01T00:00:00+23:59", "2023-11-14T22:13:60Z", "yesterday",
            "2023-11-14 22:13:20",
        ])
    func dates(created: String) throws {
        #expect(try convert([PodmanStoreTests.base], tag: "good").code == 0)
        let result = try convert([PodmanStoreTests.layer { $0.file("x", created) }], tag: "odd") {
            $0.created = created
        }
        #expect(result.code == 0, "\(result.errors)")
        #expect(try Podman(over: converting.repository).names().contains("localhost/layout:good"))
    }

    @Test(
        "what a layer hides stays hidden in the overlay mounts of users, which read other attributes than root's"
    )
    func users() throws {
        let hiding = PodmanStoreTests.layer { tar in
            tar.file("opt/old/.wh..wh..opq", "")
            tar.file("opt/old/two", "2")
        }
        #expect(try convert([PodmanStoreTests.base, hiding], tag: "1").code == 0)
        let layers = try runSuccessfully(
            "jq", ["-r", ".layers[].digest", converting.path(".metadata/localhost/layout:1/manifest.json")]
        ).split(separator: "\n").map { $0.dropFirst("sha256:".count) }
        let lower = layers.reversed().map { converting.path(".layers/\($0.prefix(2))/\($0)/layerfs") }
        let mounted = try TemporaryDirectory()
        for option in ["ro", "ro,userxattr"] {
            try runSuccessfully(
                "mount",
                [
                    "-t", "overlay", "overlay", "-o", "\(option),lowerdir=\(lower.joined(separator: ":"))",
                    mounted.path,
                ])
            defer { _ = try? run("umount", [mounted.path]) }
            #expect(try DirectoryEntry.names(in: mounted.path("opt/old")) == ["two"], "\(option)")
        }
    }

    @Test("an image whose name podman can't read stays out of its store")
    func names() throws {
        #expect(try convert([PodmanStoreTests.base], tag: "good").code == 0)
        let layout = converting.directory.path("-Odd_")
        try TestImage([PodmanStoreTests.base]).write(to: layout, tag: "1")
        let result = try converting.convert("oci:\(layout):1")
        #expect(result.code == 0 && result.errors.contains("takes no image of the name") || result.code != 0)
        #expect(try Podman(over: converting.repository).names() == ["localhost/layout:good"])
    }
}

@Suite("What is in the way of podman's store", .onBothRepositories)
struct PodmanWayTests {
    @Test(
        "a link where a directory of it shall be is refused, and nothing is written where it leads",
        arguments: [
            "podmanStore", "podmanStore/overlay", "podmanStore/overlay-layers", "podmanStore/overlay/l",
        ])
    func links(name: String) throws {
        let converting = try Converting()
        let outside = try TemporaryDirectory()
        try TestImage { $0.file("a", "1") }.write(to: converting.layout, tag: "1")
        #expect(try converting.convert("oci:\(converting.layout):1", "-p").code == 0)
        try converting.edit { root in
            try Files.makeDirectories(Files.parentPath(of: "\(root)/\(name)"))
            #expect(symlink(outside.path, "\(root)/\(name)") == 0)
        }
        let result = try converting.convert("oci:\(converting.layout):1")
        #expect(result.code == 1 && result.errors.contains("\(name) is in the way"), "\(result.errors)")
        #expect(try DirectoryEntry.names(in: outside.path).isEmpty)
        if let server = converting.server { #expect(try server.isWhole()) }
    }

    @Test("an id that is a path is no layer: nothing is written outside of the store")
    func traversal() throws {
        let converting = try Converting()
        try TestImage { $0.file("a", "1") }.write(to: converting.layout, tag: "1")
        #expect(try converting.convert("oci:\(converting.layout):1").code == 0)
        try converting.edit { root in
            try Files.replace(
                "\(root)/podmanStore/overlay-layers/layers.json",
                with: Array(#"[{"id":"../../../outside","created":"2026-01-01T00:00:00Z"}]"#.utf8),
                sync: false)
        }
        let result = try converting.convert("oci:\(converting.layout):1", "-g")
        #expect(result.code == 0, "\(result.errors)")
        let list = try text(of: converting.path("podmanStore/overlay-layers/layers.json"))
        #expect(
            !list.contains("outside") && !Files.exists("\(Files.parentPath(of: converting.root))/outside"))
    }
}

@Suite("A layer that is there", .onBothRepositories)
struct ReusedLayerTests {
    @Test("is what an image says that it is, or the image is refused: it could take another's place")
    func claims() throws {
        let converting = try Converting()
        let good = TestImage.Layer(TarBuilder.archive { $0.file("etc/name", "good") })
        let evil = TestImage.Layer(TarBuilder.archive { $0.file("etc/name", "evil") })
        func convert(_ image: TestImage, _ tag: String) throws -> CommandResult {
            try image.write(to: converting.layout, tag: tag)
            return try converting.convert("oci:\(converting.layout):\(tag)")
        }
        #expect(try convert(TestImage([evil]), "evil").code == 0)
        var liar = TestImage([evil])
        liar.diffIdentifiers = ["sha256:" + SHA256.hex(of: good.archive)]
        let refused = try convert(liar, "liar")
        #expect(refused.code == 1 && refused.errors.contains("diff_ids"), "\(refused.errors)")
        #expect(!Files.exists(converting.path("localhost/layout:liar")))
        let other = TestImage.Layer(TarBuilder.archive { $0.file("etc/other", "other") })
        var twice = TestImage([other, other])
        twice.diffIdentifiers = [other, good].map { "sha256:" + SHA256.hex(of: $0.archive) }
        let alsoRefused = try convert(twice, "twice")
        #expect(alsoRefused.code == 1 && alsoRefused.errors.contains("diff_ids"), "\(alsoRefused.errors)")
        #expect(try convert(TestImage([good]), "good").code == 0)
        #expect(try text(of: converting.path("localhost/layout:good/etc/name")) == "good")
    }
}
