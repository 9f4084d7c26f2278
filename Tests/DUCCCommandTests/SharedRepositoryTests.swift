import CLinux
import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("A repository that is shared and used meanwhile")
struct SharedRepositoryTests {
    @Test("a layer that two images share brings nothing of the one into the other", .onBothRepositories)
    func noPoison() throws {
        let linking = TestImage.Layer(
            TarBuilder.archive { tar in
                tar.hardLink("usr/bin/tool2", to: "usr/bin/tool")
                tar.file("usr/added", "x")
            })
        func image(_ content: String, mode: Int, uid: Int) -> TestImage {
            TestImage([
                .init(
                    TarBuilder.archive { tar in
                        tar.add("usr/", type: "5", mode: mode, uid: uid)
                        tar.file("usr/bin/tool", content)
                    }), linking,
            ])
        }
        let converting = try Converting()
        for (tag, content, mode, uid) in [("evil", "EVIL", 0o777, 666), ("good", "GOOD", 0o755, 0)] {
            try image(content, mode: mode, uid: uid).write(to: converting.layout, tag: tag)
            #expect(try converting.convert("oci:\(converting.layout):\(tag)").code == 0)
        }
        #expect(try text(of: converting.path("localhost/layout:evil/usr/bin/tool2")) == "EVIL")
        #expect(try text(of: converting.path("localhost/layout:good/usr/bin/tool2")) == "GOOD")
        var information = stat()
        #expect(stat(converting.path("localhost/layout:good/usr"), &information) == 0)
        #expect(
            information.st_mode & 0o7777 == 0o755 && information.st_uid == (geteuid() == 0 ? 0 : geteuid()))
        // A layer that the image has twice, with another's file between, gets each time what lies beneath it.
        let lower = ["A", "B"].map { content in
            TestImage.Layer(TarBuilder.archive { $0.file("usr/bin/tool", content) })
        }
        try TestImage([lower[0], linking, lower[1], linking]).write(to: converting.layout, tag: "twice")
        #expect(try converting.convert("oci:\(converting.layout):twice").code == 0)
        #expect(try text(of: converting.path("localhost/layout:twice/usr/bin/tool2")) == "B")
    }

    @Test("the repository's own lock is waited for, and no other writer's cleaning removes it")
    func ownLock() throws {
        let converting = try Converting()
        try TestImage({ $0.file("x", "y") }).write(to: converting.layout, tag: "1")
        #expect(try converting.convert("oci:\(converting.layout):1").code == 0)
        let path = converting.path(".ducc-staging/repository-lock")
        let held = try OwnedDescriptor(opening: path, O_RDWR)
        var lock = flock()
        lock.l_type = Int16(F_WRLCK)
        #expect(fcntl(held.raw, F_SETLK, &lock) == 0)
        // Another "host": another lock file of the machine.
        try TestImage({ $0.file("x", "z") }).write(to: converting.layout, tag: "2")
        let running = try RunningCommand(
            Programs.ducc, ["convert-single-image", "oci:\(converting.layout):2", converting.repository],
            environment: ["DUCC_LOCK_FILE": converting.directory.path("other-lock")])
        try waitUntil("the lock is waited for") { running.errorsSoFar.contains("waiting for \(path)") }
        #expect(!Files.exists(converting.path("localhost/layout:2")) && Files.exists(path))
        lock.l_type = Int16(F_UNLCK)
        #expect(fcntl(held.raw, F_SETLK, &lock) == 0)
        #expect(try running.wait().code == 0)
    }

    @Test("an image that is converted again is there at any instant")
    func alwaysThere() throws {
        let converting = try Converting(.inMemory())
        try InterruptionTests.image.write(to: converting.layout, tag: "1")
        let image = "oci:\(converting.layout):1"
        #expect(try converting.convert(image).code == 0)
        let file = converting.path("localhost/layout:1/layer-3/d19/f39")
        let slow = try SlowRenames.environment(in: converting.directory, milliseconds: 10)
        for _ in 0..<TestScale.count(3, long: 30) {
            let running = try converting.start(
                ["convert-single-image", image, converting.repository, "-f"], environment: slow)
            let end = try running.process.endDescriptor()
            var descriptor = pollfd(fd: end.raw, events: Int16(POLLIN), revents: 0)
            var missing = 0
            var looks = 0
            while poll(&descriptor, 1, 0) == 0 {
                if access(file, F_OK) != 0 { missing += 1 }
                looks += 1
            }
            #expect(try running.wait().code == 0)
            #expect(missing == 0 && looks > 100, "missing in \(missing) of \(looks) looks")
        }
    }

    @Test("of several converters at once one publishes the flat image, and the others leave it alone")
    func publishedOnce() throws {
        let converting = try Converting(.inMemory())
        try InterruptionTests.image.write(to: converting.layout, tag: "1")
        let running = try (0..<4).map { _ in
            try converting.start([
                "convert-single-image", "oci:\(converting.layout):1", converting.repository,
            ])
        }
        var information = stat()
        try waitUntil("the image is visible") {
            stat(converting.path("localhost/layout:1/"), &information) == 0
        }
        for one in running { #expect(try one.wait().code == 0) }
        var after = stat()
        #expect(
            stat(converting.path("localhost/layout:1/"), &after) == 0 && after.st_ino == information.st_ino)
    }

    @Test("an image that became visible in a run that was killed before it could tell is told of by the next")
    func announcedLate() throws {
        let converting = try Converting()
        let written = try TestImage({ $0.file("x", "y") }).write(to: converting.layout, tag: "1")
        let image = "oci:\(converting.layout):1"
        #expect(try converting.convert(image).code == 0)
        // What such a run leaves: everything, and the note that nobody was told.
        let path = ".metadata/localhost/layout:1/conversion.json"
        let record = try text(of: converting.path(path))
        #expect(!record.contains("unannounced"))
        try Files.replace(
            converting.path(path),
            with: Array(
                record.replacing(
                    "\"image\" :",
                    with:
                        "\"unannounced\" : {\"flat\" : true, \"podman\" : true, \"layers\" : [\"\(written.layers[0])\"]},\n  \"image\" :"
                ).utf8))
        let before = try converting.events().count
        #expect(try converting.convert(image).output.hasPrefix("unchanged"))
        #expect(
            try Array(converting.actions()[before...]) == [
                "start_ducc", "start_image_conversion", "publish_layer", "publish_podman_image",
                "publish_flat_image", "publish_image",
                "end_image_conversion", "end_ducc",
            ])
        #expect(try converting.last(.publishFlatImage)?[.publicPath] == "localhost/layout:1")
        #expect(try converting.convert(image).code == 0)
        #expect(try converting.actions().suffix(2) == ["skip_image", "end_ducc"])
    }

    @Test("a layer is told of once, under whatever names its image comes and goes", .onBothRepositories)
    func toldOnce() throws {
        let converting = try Converting()
        let registry = try DockerRegistry()
        func push(_ content: String, _ tag: String) throws {
            try TestImage({ $0.file("x", content) }).write(to: converting.layout, tag: content)
            try registry.push(converting.layout, tag: content, as: "a:\(tag)")
            #expect(try converting.convert("http://\(registry.host)/a:\(tag)").code == 0)
        }
        for (content, tag) in [("one", "latest"), ("two", "latest"), ("one", "old"), ("one", "older")] {
            try push(content, tag)
        }
        let told = try converting.events().filter { $0.action == .publishLayer }.compactMap {
            $0[.layerDigest]
        }
        #expect(told.count == 2 && Set(told).count == 2)
        #expect(try converting.events().count { $0.action == .publishImage } == 4)
    }

    @Test("a layer that a killed run left untold is told of by the next one that uses it, once")
    func untoldLayer() throws {
        let converting = try Converting()
        let shared = TestImage.Layer(TarBuilder.archive { $0.file("shared", "x") })
        func convert(_ name: String) throws -> [String] {
            let own = TestImage.Layer(TarBuilder.archive { $0.file(name, name) })
            try TestImage([shared, own]).write(to: converting.layout, tag: name)
            let before = try Files.exists(converting.log) ? converting.events().count : 0
            #expect(try converting.convert("oci:\(converting.layout):\(name)").code == 0)
            return try converting.events()[before...].compactMap {
                $0.action == .publishLayer ? $0[.layerDigest] : nil
            }
        }
        let digest = try convert("first")[0]
        let mark = converting.path(".layers/\(digest.prefix(2))/\(digest)/.metadata/untold")
        #expect(!Files.exists(mark))
        try Files.replace(mark, with: Array(RandomIdentifier.uuid().utf8))
        #expect(try convert("second").first == digest)
        #expect(!Files.exists(mark))
        #expect(try convert("third").count == 1)
    }

    @Test("what a killed run left in staging is removed by any later one")
    func staleStaging() throws {
        let converting = try Converting()
        try TestImage({ $0.file("x", "y") }).write(to: converting.layout, tag: "1")
        try converting.convert("oci:\(converting.layout):1")
        let name = RandomIdentifier.uuid()
        try Files.makeDirectories(converting.path(".ducc-staging/\(name)/layer-0/layerfs/deep"))
        try Files.replace(converting.path(".ducc-staging/\(name).lock"), with: [])
        #expect(try converting.convert("oci:\(converting.layout):1").output.hasPrefix("unchanged"))
        #expect(try converting.staged().isEmpty)
    }

    @Test("one odd image doesn't keep list from showing the others", .onBothRepositories)
    func oddNames() throws {
        let converting = try Converting()
        let server = try ScriptedServer { _ in .init(404) }
        try TestImage({ $0.file("x", "y") }).write(to: converting.layout, tag: "1")
        try converting.convert("oci:\(converting.layout):1")
        try converting.edit { root in
            try Files.makeDirectories("\(root)/.metadata/\(server.host)/manifest.json/b:1")
            try Files.replace(
                "\(root)/.metadata/localhost/layout:1/conversion.json",
                with: [UInt8](repeating: 0x20, count: 20 << 20))
        }
        let result = try converting.ducc("list", converting.repository)
        #expect(result.code == 0 && result.output.contains("localhost/layout:1"), "\(result.errors)")
    }

    @Test("root of a user namespace, who can't give files away, converts too", .enabled(if: geteuid() == 0))
    func userNamespace() throws {
        let converting = try Converting()
        try TestImage(
            { $0.file("opt/old", "x") },
            { tar in
                tar.add("owned", content: [1], uid: 12, gid: 34)
                tar.file("opt/.wh..wh..opq", "")
            }
        ).write(to: converting.layout, tag: "1")
        let result = try run(
            "unshare",
            [
                "-Ur", Programs.ducc, "convert-single-image", "oci:\(converting.layout):1",
                converting.repository,
            ],
            environment: converting.environment)
        #expect(result.code == 0, "\(result.errors)")
        #expect(result.errors.contains("did not keep owners"))
        #expect(try DirectoryEntry.names(in: converting.path("localhost/layout:1/opt")).isEmpty)
    }
}
