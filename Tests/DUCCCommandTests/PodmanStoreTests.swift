// podman's additional image store, as Debian's real podman reads it from a read-only mount of the repository.

import FoundationEssentials
import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("Published images in podman's additional image store", .enabled(if: Podman.isPossible))
struct PodmanStoreTests {
    let converting: Converting

    init() throws { converting = try Converting() }

    /// A layer with programs.
    static let base = TestImage.Layer(
        TarBuilder.archive { tar in
            tar.add(
                "bin/busybox", content: (try? Files.read("/bin/busybox", limit: 16 << 20)) ?? [], mode: 0o755)
            for name in ["sh", "cat", "find", "ls", "echo"] { tar.symbolicLink("bin/\(name)", to: "busybox") }
            tar.file("etc/base", "base")
            tar.file("etc/gone", "gone")
            tar.file("opt/old/one", "1")
        })

    static func layer(_ fill: (inout TarBuilder) -> Void) -> TestImage.Layer {
        TestImage.Layer(TarBuilder.archive(fill))
    }

    /// Converts an image without a registry; its name is `localhost/layout:TAG`.
    func convert(_ layers: [TestImage.Layer], tag: String, _ options: String...) throws {
        var image = TestImage(layers)
        image.hasHistory = true
        try image.write(to: converting.layout, tag: tag)
        let result = try converting.ducc(
            ["convert-single-image", "oci:\(converting.layout):\(tag)", converting.repository] + options)
        #expect(result.code == 0, "\(result.errors)")
    }

    private static let stacked = [
        base,
        layer { tar in
            tar.file("etc/.wh.gone", "")
            tar.directory("opt/old")
            tar.file("opt/old/.wh..wh..opq", "")
            tar.file("opt/old/two", "2")
        },
        layer { $0.file("etc/third", "3") },
    ]

    @Test("an image runs, is listed and inspected, with whiteouts and opaque directories applied")
    func runs() throws {
        try convert([Self.base], tag: "single")
        try convert(Self.stacked, tag: "stacked")
        let podman = try Podman(over: converting.repository)
        #expect(try podman.names() == ["localhost/layout:single", "localhost/layout:stacked"])
        #expect(
            try podman.output(of: "localhost/layout:single", "cat", "/etc/base", "/etc/gone") == "basegone")
        #expect(
            try podman.output(of: "localhost/layout:stacked", "sh", "-c", "echo /etc/[gt]* /opt/old/*")
                == "/etc/third /opt/old/two\n")
        let inspected = try podman("inspect", "localhost/layout:stacked")
        let image = try #require(
            JSONDecoder().decode([Inspected].self, from: Data(inspected.output.utf8)).first)
        let event = try #require(try converting.last(.publishPodmanImage))
        #expect(image.Digest == event[.manifestDigest] && "sha256:\(image.Id)" == event[.configDigest])
        #expect(image.RootFS.Layers.count == 3)
        let documents = try runSuccessfully(
            "find",
            [converting.path("podmanStore/overlay-images/\(image.Id)"), "-type", "f", "-printf", "%s\\n"])
        let size = documents.split(separator: "\n").compactMap { Int64($0) }.reduce(0, +)
        #expect(image.Size == size + Int64(Self.stacked.reduce(0) { $0 + $1.archive.count }))
        #expect(try podman.ownLayers().isEmpty)
        #expect(try runSuccessfully("find", [converting.path("podmanStore"), "!", "-perm", "-a+r"]).isEmpty)
    }

    @Test(
        "an image without a flat one runs, by its name and by its digest, also as podman is set up by default"
    )
    func plain() throws {
        try convert(Self.stacked, tag: "1", "-s")
        let podman = try Podman(over: converting.repository, usesMetacopy: false)
        let digest = try #require(try converting.last(.publishPodmanImage)?[.manifestDigest])
        for name in ["localhost/layout:1", "localhost/layout@\(digest)"] {
            #expect(
                try podman.output(of: name, "sh", "-c", "echo /etc/[gt]* /opt/old/*")
                    == "/etc/third /opt/old/two\n")
        }
        #expect(!Files.exists(converting.path("localhost")))
        for link in try DirectoryEntry.names(in: converting.path("podmanStore/overlay/l")) {
            #expect(link.wholeMatch(of: /[A-Z2-7]{26}/) != nil)
            let target = try #require(Files.linkTarget(converting.path("podmanStore/overlay/l/\(link)")))
            let file = "podmanStore/overlay/\(target.dropFirst("../".count).dropLast("/diff".count))/link"
            #expect(try text(of: converting.path(file)) == link)
        }
    }

    @Test(
        "an image of forty layers runs; one of more than podman has room for runs from a store of one's own")
    func many() throws {
        let layers = (0..<120).map { number in Self.layer { $0.file("etc/which", "\(number)") } }
        try convert([Self.base] + layers.prefix(39), tag: "40")
        try convert([Self.base] + layers, tag: "121")
        let podman = try Podman(over: converting.repository)
        #expect(try podman.output(of: "localhost/layout:40", "cat", "/etc/which") == "38")
        let store = converting.directory.path("own")
        let made = try converting.ducc(
            ["create-podman-store", "oci:\(converting.layout):121", converting.repository, store],
            notifying: false)
        #expect(made.code == 0, "\(made.errors)")
        #expect(
            try Podman(over: store, store: nil).output(of: "localhost/layout:121", "cat", "/etc/which")
                == "119")
    }

    @Test("Docker Hub's images have both of its names; one that is named by its digest runs by that")
    func names() throws {
        let registry = try DockerRegistry()
        var image = TestImage([Self.base])
        image.hasHistory = true
        let written = try image.write(to: converting.layout, tag: "1")
        try registry.push(converting.layout, tag: "1", as: "library/tool:1")
        let hub = [
            "DUCC_AUTH_REGISTRIES": "HUB", "DUCC_HUB_IDENT": "docker.io", "DUCC_HUB_PROXY": registry.host,
        ]
        let reference = "\(registry.host)/library/tool@sha256:\(written.manifest)"
        for name in ["docker.io/tool:1", "http://\(reference)"] {
            let result = try converting.start(
                ["convert-single-image", name, converting.repository], environment: hub
            ).wait()
            #expect(result.code == 0, "\(result.errors)")
        }
        let podman = try Podman(over: converting.repository)
        for name in ["docker.io/library/tool:1", "registry.hub.docker.com/library/tool:1", reference] {
            #expect(try podman.output(of: name, "cat", "/etc/base") == "base")
        }
    }

    @Test("a podman that stays, as its service does, sees what is published meanwhile")
    func service() throws {
        try convert([Self.base], tag: "1")
        let podman = try Podman(over: converting.repository)
        let service = try podman.service()
        #expect(try podman.names(by: service) == ["localhost/layout:1"])
        try convert([Self.base, Self.layer { $0.file("etc/two", "2") }], tag: "2")
        #expect(try podman.names(by: service) == ["localhost/layout:1", "localhost/layout:2"])
    }

    private struct Inspected: Decodable {
        struct RootFS: Decodable { let Layers: [String] }
        let Id: String
        let Digest: String
        let Size: Int64
        let RootFS: RootFS
    }

    @Test("an image is built over a published one, and none of its layers is copied", arguments: [1, 3])
    func builds(layers: Int) throws {
        try convert(Array(Self.stacked.prefix(layers)), tag: "1")
        let podman = try Podman(over: converting.repository)
        let result = try podman.build(
            "localhost/built:1",
            "FROM localhost/layout:1\nRUN echo made > /etc/made\nRUN rm /etc/base && echo more > /etc/more\n")
        #expect(result.code == 0, "\(result.errors)")
        #expect(
            try podman.output(
                of: "localhost/built:1", "sh", "-c", "cat /etc/made /etc/more; echo /etc/[bt]* /opt/old/*")
                == "made\nmore\n" + (layers == 1 ? "/etc/[bt]* /opt/old/one\n" : "/etc/third /opt/old/two\n"))
        // Those of the two steps at the most.
        #expect(try podman.ownLayers().count <= 2)
    }

    @Test("a layer that lies over several others has one tree, and images share what they have in common")
    func shared() throws {
        let other = Self.layer { $0.file("etc/other", "other") }
        let common = Self.layer { $0.file("etc/common", "common") }
        try convert([Self.base, common], tag: "one")
        try convert([Self.base, other, common], tag: "two")
        let podman = try Podman(over: converting.repository)
        #expect(
            try podman.output(of: "localhost/layout:one", "sh", "-c", "echo /etc/*o*").contains("/etc/common")
        )
        #expect(
            try podman.output(of: "localhost/layout:two", "cat", "/etc/other", "/etc/common") == "othercommon"
        )
        #expect(try DirectoryEntry.names(in: converting.path("podmanStore/overlay")).count == 4 + 1)
        let built = try podman.build("localhost/built:1", "FROM localhost/layout:two\nRUN echo x > /etc/x\n")
        #expect(built.code == 0, "\(built.errors)")
        #expect(try podman.ownLayers().count == 1)
        // The names that were given stay: a client's containers have them.
        let before = try DirectoryEntry.names(in: converting.path("podmanStore/overlay/l")).sorted()
        try convert([Self.base, other], tag: "three", "-f")
        #expect(try DirectoryEntry.names(in: converting.path("podmanStore/overlay/l")).sorted() == before)
    }

    @Test("a tag that moves takes its name with it; an image keeps its other names")
    func moved() throws {
        try convert([Self.base], tag: "1")
        try convert([Self.base], tag: "kept")
        let other = Self.layer { $0.file("etc/other", "other") }
        try convert([Self.base, other], tag: "1")
        let podman = try Podman(over: converting.repository)
        #expect(try podman.names() == ["localhost/layout:1", "localhost/layout:kept"])
        #expect(try podman.output(of: "localhost/layout:1", "cat", "/etc/other") == "other")
        #expect(
            try podman.build("localhost/built:1", "FROM localhost/layout:1\nRUN cat /etc/other\n").code == 0)
        #expect(try podman("rmi", "localhost/built:1").code == 0)
        try convert([Self.base, other], tag: "kept")
        #expect(try podman.names() == ["localhost/layout:1", "localhost/layout:kept"])
        let images = try text(of: converting.path("podmanStore/overlay-images/images.json"))
        // One image with both names, and nothing that nobody can name.
        #expect(images.split(separator: "\"id\"").count == 2)
    }

    @Test("the store stays whole through conversions and moved tags in any order")
    func random() throws {
        var random = SplitMix(state: 9)
        let steps = TestScale.count(25, long: 200)
        let layers = (0..<5).map { number in Self.layer { $0.file("etc/layer\(number)", "\(number)") } }
        try convert([Self.base], tag: "t0")
        let podman = try Podman(over: converting.repository)
        var expected: [String: Set<Int>] = ["t0": []]
        for step in 0..<steps {
            let tag = "t\(Int.random(in: 0..<6, using: &random))"
            let chosen = (0..<5).filter { _ in Bool.random(using: &random) }.shuffled(using: &random)
            try convert([Self.base] + chosen.map { layers[$0] }, tag: tag)
            expected[tag] = Set(chosen)
            #expect(
                try podman.names() == expected.keys.map { "localhost/layout:\($0)" }.sorted(), "step \(step)")
            guard step % 10 == 9 || step == steps - 1 else { continue }
            for (tag, numbers) in expected {
                let found = try podman.output(
                    of: "localhost/layout:\(tag)", "sh", "-c", "cd /etc; ls | grep layer || true")
                #expect(
                    found.split(separator: "\n").map(String.init) == numbers.sorted().map { "layer\($0)" },
                    "step \(step)")
            }
        }
    }

    @Test("a store of one's own has the flat image as its one layer, and takes several images")
    func local() throws {
        try convert(Self.stacked, tag: "1")
        try convert([Self.base], tag: "2", "-p")
        let store = converting.directory.path("store/own")
        for tag in ["1", "2", "1"] {
            let result = try converting.ducc(
                ["create-podman-store", "oci:\(converting.layout):\(tag)", converting.repository, store],
                notifying: false)
            // The layout has the last image alone: what the repository's own store knows is not asked for.
            #expect(
                result.code == 0 && result.output.contains("additionalimagestores = [\"\(store)\"]"),
                "\(result.errors)")
        }
        let podman = try Podman(over: store, store: nil)
        #expect(try podman.names() == ["localhost/layout:1", "localhost/layout:2"])
        #expect(
            try podman.output(of: "localhost/layout:1", "sh", "-c", "echo /etc/[gt]* /opt/old/*")
                == "/etc/third /opt/old/two\n")
        #expect(try podman.output(of: "localhost/layout:2", "cat", "/etc/gone") == "gone")
        #expect(try DirectoryEntry.names(in: "\(store)/overlay").filter { $0.utf8.count == 64 }.count == 2)
    }

    @Test("without a flat image, or a repository, there is no store of one's own: one line says why")
    func noLocal() throws {
        try convert([Self.base], tag: "1", "-s")
        let store = converting.directory.path("store")
        let image = "oci:\(converting.layout):1"
        for (arguments, code, words) in [
            ([image, converting.repository, store], CInt(1), "convert it first"),
            ([image, converting.directory.path("none"), store], 104, "there is no repository"),
            ([image, "none.example.org", store], 104, "is it mounted here?"),
            (["https://example.org/a:*", converting.repository, store], 2, "name one tag"),
            ([image, converting.repository, ""], 2, "one of them is empty"),
        ] {
            let result = try converting.ducc(["create-podman-store"] + arguments, notifying: false)
            #expect(result.code == code && result.errors.contains(words), "\(result.errors)")
            #expect(result.errors.split(separator: "\n").count == 1)
        }
        #expect(!Files.exists(store))
    }

    @Test("a place in which no directory can be made is said in one line")
    func noPlace() throws {
        try convert([Self.base], tag: "1")
        let result = try converting.ducc(
            ["create-podman-store", "oci:\(converting.layout):1", converting.repository, "/proc/x"],
            notifying: false)
        #expect(result.code == 1 && result.errors.contains("/proc/x"), "\(result.status) \(result.errors)")
    }
}

@Suite("podman's store in a CernVM-FS repository", .enabled(if: Podman.isPossible && CernVMServer.isPossible))
struct PodmanServerTests {
    @Test("is in the image's own publish, and podman runs what it has")
    func runs() throws {
        let server = try CernVMServer()
        let converting = try Converting(server: server)
        let layers = [PodmanStoreTests.base, PodmanStoreTests.layer { $0.file("etc/.wh.gone", "") }]
        try TestImage(layers).write(to: converting.layout, tag: "1")
        #expect(try converting.convert("oci:\(converting.layout):1").code == 0)
        #expect(try server.operations().map(\.operation) == ["ingest"])
        let podman = try Podman(over: server.mounted)
        #expect(try podman.names() == ["localhost/layout:1"])
        #expect(try podman.output(of: "localhost/layout:1", "sh", "-c", "echo /etc/*") != "")
        #expect(!(try podman.output(of: "localhost/layout:1", "sh", "-c", "echo /etc/*").contains("gone")))
        #expect(try runSuccessfully("find", [converting.path("podmanStore"), "!", "-perm", "-a+r"]).isEmpty)

        // As a client has it mounted.
        let store = converting.directory.path("own")
        let made = try converting.ducc(
            ["create-podman-store", "oci:\(converting.layout):1", server.name, store], notifying: false)
        #expect(made.code == 0, "\(made.errors)")
        let flat = try #require(
            try runSuccessfully("find", [store, "-name", "diff", "-printf", "%l"]).split(separator: "\n")
                .first)
        #expect(flat.hasPrefix("/cvmfs/\(server.name)/.flat/"))
        let local = try Podman(over: store, store: nil)
        #expect(!(try local.output(of: "localhost/layout:1", "sh", "-c", "echo /etc/*").contains("gone")))
    }

    @Test(
        "a layer that the layers beneath it complete is whole in podman's store, and as it is in others",
        arguments: [false, true])
    func completed(onServer: Bool) throws {
        let converting = try Converting(server: onServer ? CernVMServer() : nil)
        let lower = PodmanStoreTests.layer { tar in
            tar.add("srv/", type: "5", mode: 0o1777, uid: 7, gid: 8)
            tar.add("data/", type: "5", mode: 0o700)
            tar.add("data/text", content: Array("text".utf8), mode: 0o640, uid: 9)
            tar.file("data/gone", "gone")
            tar.symbolicLink("way", to: "srv")
        }
        let upper = PodmanStoreTests.layer { tar in
            tar.file("srv/new", "new")
            tar.hardLink("srv/linked", to: "data/text")
            tar.hardLink("srv/again", to: "srv/new")
            tar.file("data/.wh.gone", "")
            tar.file("way/through", "through")
        }
        let top = PodmanStoreTests.layer { $0.file("etc/top", "top") }
        try TestImage([PodmanStoreTests.base, lower, upper, top]).write(to: converting.layout, tag: "1")
        let result = try converting.convert("oci:\(converting.layout):1")
        #expect(result.code == 0, "\(result.errors)")
        let podman = try Podman(over: converting.root)
        let script =
            "stat -c '%a %u %g' /srv /data; cat /srv/linked /srv/new /srv/again /srv/through /etc/top; echo; "
            + "stat -c '%a %u' /srv/linked; ls /data; ls -ld /way | tail -c 8"
        let expected = "1777 7 8\n700 0 0\ntextnewnewthroughtop\n640 9\ntext\n -> srv\n"
        #expect(try podman.output(of: "localhost/layout:1", "sh", "-c", script) == expected)
        // Of all layers that one alone is a tree of its own; nothing is said of it twice.
        let trees = try runSuccessfully(
            "find",
            [
                converting.path("podmanStore/overlay"), "-mindepth", "2", "-maxdepth", "2", "-name", "diff",
                "-type", "d",
            ])
        #expect(trees.split(separator: "\n").count == 1, "\(trees)")
        let snapshot = try converting.snapshot()
        #expect(try converting.convert("oci:\(converting.layout):1").output.contains("unchanged"))
        #expect(try converting.snapshot() == snapshot)
        if let server = converting.server {
            let operations = try server.operations().map(\.operation)
            #expect(operations == ["ingest"], "\(operations)")
            #expect(try server.isWhole())
        }
    }
}
