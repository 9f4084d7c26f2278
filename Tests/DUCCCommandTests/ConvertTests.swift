import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("Converting an image")
struct ConvertTests {
    static func image() -> TestImage {
        TestImage(
            { tar in
                tar.directory("etc")
                tar.file("etc/kept", "kept")
                tar.file("etc/removed", "removed")
                tar.file("opt/old/file", "old")
                tar.file("bin/tool", "tool", mode: 0o4755)
                tar.hardLink("bin/same-tool", to: "bin/tool")
                tar.symbolicLink("lib", to: "usr/lib")
            },
            { tar in
                tar.file("etc/.wh.removed", "")
                tar.file("opt/old/.wh..wh..opq", "")
                tar.file("opt/old/new", "new")
                tar.hardLink("bin/third", to: "bin/tool")
            },
            { $0.add("bin/tool", content: Array("newer tool".utf8), mode: 0o755, uid: 12, gid: 34) })
    }

    @Test("publishes layers, flat image, manifest and link where DUCC has them, whatever the umask")
    func layout() throws {
        let converting = try Converting()
        let written = try Self.image().write(to: converting.layout, tag: "1.0")
        let command =
            "umask 077; exec \(Programs.ducc) convert-single-image oci:\(converting.layout):1.0 \(converting.repository)"
        let result = try run("sh", ["-c", command], environment: converting.environment)
        #expect(result.code == 0, "\(result.errors)")

        let flat = ".flat/\(written.configuration.prefix(2))/\(written.configuration)"
        #expect(Files.linkTarget(converting.path("localhost/layout:1.0")) == "../\(flat)")
        #expect(try text(of: converting.path("localhost/layout:1.0/etc/kept")) == "kept")
        let manifest = try Files.read(converting.path(".metadata/localhost/layout:1.0/manifest.json"))
        #expect(SHA256.hex(of: manifest) == written.manifest)
        for layer in written.layers {
            let path = ".layers/\(layer.prefix(2))/\(layer)"
            #expect(Files.isDirectory(converting.path("\(path)/layerfs")))
            let facts = try text(of: converting.path("\(path)/.metadata/layers.json"))
            #expect(facts.contains("\"compressed-diff-digest\" : \"sha256:\(layer)\""))
            let origin = try text(of: converting.path("\(path)/.metadata/origin.json"))
            #expect(origin.contains("sha256:\(written.configuration)"))
        }
        // Outside the image's own trees: directories 0755, files 0644.
        let odd = try runSuccessfully(
            "find",
            [
                converting.repository, "(", "-name", ".ducc-staging", "-o", "-name", "layerfs", "-o", "-path",
                converting.path(".flat/*/*"), "-o", "-path", converting.path("podmanStore/overlay/*/diff"),
                ")", "-prune",
                "-o", "-type", "d", "!", "-perm", "0755",
                "-print", "-o",
                "-type", "f", "!", "-perm", "0644", "-print",
            ])
        #expect(odd.isEmpty, "\(odd)")
        var information = stat()
        #expect(stat(converting.path("localhost/layout:1.0/etc/kept"), &information) == 0)
        #expect(information.st_mode & 0o7777 == 0o644)
        #expect(try converting.staged().isEmpty)
    }

    @Test(
        "the flat image's files are the layers' own, and equal what umoci unpacks",
        .enabled(if: geteuid() == 0))
    func flat() throws {
        let converting = try Converting()
        let written = try Self.image().write(to: converting.layout, tag: "1.0")
        #expect(try converting.convert("oci:\(converting.layout):1.0").code == 0)
        func inode(_ path: String) -> ino_t? {
            var information = stat()
            return lstat(converting.path(path), &information) == 0 ? information.st_ino : nil
        }
        let top = ".layers/\(written.layers[2].prefix(2))/\(written.layers[2])/layerfs"
        #expect(inode("localhost/layout:1.0/bin/tool") == inode("\(top)/bin/tool"))
        #expect(inode("localhost/layout:1.0/bin/tool") != nil)

        try runSuccessfully(
            "umoci",
            ["raw", "unpack", "--image", "\(converting.layout):1.0", converting.directory.path("umoci")])
        let differences = TreeComparison.withoutEngineFiles(
            try TreeComparison.differences(
                converting.path("localhost/layout:1.0"), converting.directory.path("umoci")))
        // Directories that no layer names: umoci gives them the time of unpacking, the specification none.
        let unnamed = ["bin", "opt", "opt/old", "."].map { $0 == "." ? "." : "./\($0)" }
        #expect(differences.filter { line in !unnamed.contains { line.hasPrefix("\($0): ") } } == [])
    }

    @Test(
        "tells what happened, in order, each pair with one id",
        .onBothRepositories)
    func events() throws {
        let converting = try Converting()
        let written = try Self.image().write(to: converting.layout, tag: "1.0")
        #expect(
            try converting.convert("oci:\(converting.layout):1.0", "--max-concurrent-downloads", "1").code
                == 0)
        let layers = Array(repeating: ["start_layer_conversion", "end_layer_conversion"], count: 3).flatMap {
            $0
        }
        #expect(
            try converting.actions() == ["start_ducc", "start_image_conversion"] + layers + [
                "start_flat_conversion", "start_podman_ingestion", "end_podman_ingestion", "publish_layer",
                "publish_layer", "publish_layer", "publish_podman_image", "publish_flat_image",
                "end_flat_conversion", "publish_image", "end_image_conversion", "end_ducc",
            ])
        let events = try converting.events()
        for event in events[1..<events.count - 1] {
            #expect(event[.image] == "localhost/layout:1.0")
            #expect(event[.imageRequest] == "oci:\(converting.layout):1.0")
            #expect(event[.repository] == converting.repository)
        }
        for start in events where start.action.rawValue.hasPrefix("start_") && start.action != .startDUCC {
            let ends = events.filter { $0[.id] == start[.id] && $0.action.rawValue.hasPrefix("end_") }
            #expect(
                ends.count == 1 && ends[0][.status] == "ok"
                    && ends[0][.timeElapsedSeconds]?.contains(".") == true)
        }
        let flat = try #require(try converting.last(.publishFlatImage))
        #expect(flat[.publicPath] == "localhost/layout:1.0")
        #expect(flat[.privatePath] == ".flat/\(written.configuration.prefix(2))/\(written.configuration)")
        #expect(flat[.manifestDigest] == "sha256:\(written.manifest)" && flat[.platform] == "linux/amd64")
        #expect(
            try converting.events().filter { $0.action == .publishLayer }.map { $0[.layerDigest] }
                == written.layers)
        #expect(try converting.last(.endImageConversion)?[.layers] == "3")
    }

    @Test(
        "an unchanged image costs one request and touches nothing",
        .onBothRepositories)
    func unchanged() throws {
        let converting = try Converting()
        let registry = try DockerRegistry()
        try Self.image().write(to: converting.layout, tag: "1.0")
        try registry.push(converting.layout, tag: "1.0", as: "group/image:1.0")
        let image = "http://\(registry.host)/group/image:1.0"
        let first = try registry.requests { try converting.convert(image) }
        // The manifest, the configuration and the three layers.
        #expect(first.count == 5 && first.allSatisfy { $0.hasPrefix("GET ") })
        let before = try converting.snapshot()
        var result: CommandResult?
        let second = try registry.requests { result = try converting.convert(image) }
        #expect(second == ["HEAD /v2/group/image/manifests/1.0 200"])
        #expect(result?.code == 0)
        #expect(result?.output == "unchanged  \(image)  already converted\n")
        #expect(try converting.snapshot() == before)
        let skip = try #require(try converting.last(.skipImage))
        #expect(skip[.reason] == "already converted")
    }

    @Test(
        "an image that shares layers fetches only what is new, and a moved tag only moves the link",
        .onBothRepositories)
    func sharing() throws {
        let converting = try Converting()
        let registry = try DockerRegistry()
        let one = Self.image()
        var two = one
        two.layers[2] = .init(TarBuilder.archive { $0.file("bin/tool", "the second image's") })
        let first = try one.write(to: converting.layout, tag: "1")
        try registry.push(converting.layout, tag: "1", as: "image:1")
        let second = try two.write(to: converting.layout, tag: "2")
        try registry.push(converting.layout, tag: "2", as: "image:2")

        try converting.convert("http://\(registry.host)/image:1")
        let requests = try registry.requests { try converting.convert("http://\(registry.host)/image:2") }
        #expect(requests.filter { $0.contains("/blobs/") }.count == 2)
        #expect(requests.contains { $0.contains(second.layers[2]) })
        #expect(try converting.last(.endImageConversion)?[.layersReused] == "2")
        let base = first.layers[0]
        let origin = try text(of: converting.path(".layers/\(base.prefix(2))/\(base)/.metadata/origin.json"))
        #expect(origin.contains(first.configuration) && origin.contains(second.configuration))

        // The tag 1 moves to the second image, which is there under another name.
        try registry.push(converting.layout, tag: "2", as: "image:1")
        let moved = try registry.requests { try converting.convert("http://\(registry.host)/image:1") }
        #expect(!moved.contains { line in second.layers.contains { line.contains($0) } })
        #expect(try text(of: converting.path("\(registry.host)/image:1/bin/tool")) == "the second image's")
        #expect(try converting.last(.publishFlatImage)?[.publicPath] == "\(registry.host)/image:1")
        #expect(
            Files.isDirectory(
                converting.path(".flat/\(first.configuration.prefix(2))/\(first.configuration)")))
        let listed = try converting.ducc("list", converting.repository).output
        #expect(listed.split(separator: "\n").count == 3)
    }

    @Test(
        "a layer that an image lists twice, and an image of no layer, are converted",
        .onBothRepositories)
    func odd() throws {
        let converting = try Converting()
        let layer = TestImage.Layer(TarBuilder.archive { $0.file("x", "twice") })
        try TestImage([layer, layer]).write(to: converting.layout, tag: "twice")
        #expect(try converting.convert("oci:\(converting.layout):twice").code == 0)
        #expect(try text(of: converting.path("localhost/layout:twice/x")) == "twice")
        try TestImage([TestImage.Layer]()).write(to: converting.layout, tag: "none")
        let result = try converting.convert("oci:\(converting.layout):none")
        #expect(result.code == 0, "\(result.errors)")
        let empty = try converting.directory.write("empty/.cvmfscatalog", "")
        let image = converting.path("localhost/layout:none")
        let differences = try TreeComparison.differences("\(image)/", Files.parentPath(of: empty))
        #expect(
            TreeComparison.withoutEngineFiles(differences).filter {
                !$0.contains(".cvmfscatalog") && !$0.hasPrefix(".: ")
            } == [])
    }

    @Test(
        "--skip-flat publishes layers only, --skip-layers the flat image only, and each is completed later",
        .onBothRepositories)
    func skipping() throws {
        let converting = try Converting()
        try Self.image().write(to: converting.layout, tag: "1")
        let image = "oci:\(converting.layout):1"
        #expect(try converting.convert(image, "-s").code == 0)
        #expect(
            !Files.exists(converting.path("localhost/layout:1"))
                && Files.isDirectory(converting.path(".layers")))
        #expect(try converting.convert(image, "-s").output.hasPrefix("unchanged"))
        #expect(try converting.convert(image).output.hasPrefix("updated"))
        #expect(try text(of: converting.path("localhost/layout:1/etc/kept")) == "kept")

        let other = try Converting()
        try Self.image().write(to: other.layout, tag: "1")
        #expect(try other.convert("oci:\(other.layout):1", "--skip-layers").code == 0)
        #expect(try text(of: other.path("localhost/layout:1/opt/old/new")) == "new")
        #expect(!Files.exists(other.path(".layers")))
        #expect(try other.convert("oci:\(other.layout):1").output.hasPrefix("updated"))
        #expect(Files.isDirectory(other.path(".layers")))
    }

    @Test("--convert-again and --overwrite-layers make anew what is there")
    func again() throws {
        let converting = try Converting()
        let written = try Self.image().write(to: converting.layout, tag: "1")
        let image = "oci:\(converting.layout):1"
        try converting.convert(image)
        let layer = converting.path(
            ".layers/\(written.layers[0].prefix(2))/\(written.layers[0])/layerfs/etc/kept")
        try runSuccessfully("rm", [layer, converting.path("localhost/layout:1/etc/kept")])
        #expect(try converting.convert(image).output.hasPrefix("unchanged"))
        #expect(try converting.convert(image, "-g").output.hasPrefix("updated"))
        #expect(!Files.exists(layer))
        #expect(try converting.convert(image, "--overwrite-layers").output.hasPrefix("updated"))
        #expect(try text(of: layer) == "kept")
        #expect(try text(of: converting.path("localhost/layout:1/etc/kept")) == "kept")
        #expect(try converting.staged().isEmpty)
    }

    @Test(
        "a wish list is converted wish by wish, with a summary",
        .onBothRepositories)
    func wishList() throws {
        let converting = try Converting()
        for tag in ["1", "2"] {
            try TestImage({ $0.file("tag", tag) }).write(to: converting.directory.path("l\(tag)"), tag: tag)
        }
        let list = try converting.directory.write(
            "wishes.yaml",
            """
            version: 1
            cvmfs_repo: \(converting.repository)
            input:
              - 'oci:\(converting.directory.path("l1")):1'
              - 'oci:\(converting.directory.path("missing")):1'
              - 'oci:\(converting.directory.path("l2")):2'
            """)
        let result = try converting.ducc("convert", list)
        #expect(result.code == 1)
        #expect(result.output.contains("2 converted, 0 updated, 0 unchanged, 1 failed; 2 layers, "))
        #expect(try text(of: converting.path("localhost/l2:2/tag")) == "2")
        let end = try #require(
            try converting.events().first { $0.action == .endImageConversion && $0[.status] == "error" })
        #expect(end[.error]?.contains("there is no") == true)
        #expect(try converting.actions().last == "end_ducc")
    }
}
