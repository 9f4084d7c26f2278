import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("Converting an image into a CernVM-FS repository", .enabled(if: CernVMServer.isPossible))
struct CernVMTests {
    let server: CernVMServer
    let converting: Converting

    init() throws {
        server = try CernVMServer()
        converting = try Converting(server: server)
    }

    /// Writes an image into the layout, and converts it.
    @discardableResult
    private func convert(_ image: TestImage, _ options: String...) throws -> CommandResult {
        try image.write(to: converting.layout, tag: "1")
        return try converting.ducc(
            ["convert-single-image", "oci:\(converting.layout):1", converting.repository] + options)
    }

    func layer(_ name: String) -> TestImage.Layer {
        TestImage.Layer(TarBuilder.archive { $0.file(name, name) })
    }

    /// Where two trees differ in what a server keeps: hard links are files of their own there.
    private func differences(_ one: String, _ other: String, but: [String] = []) throws -> [String] {
        try TreeComparison.differences(one, other) { _, field in field == .inode || field == .attributes }
            .filter { line in !(but + ["./.cvmfscatalog"]).contains { line.hasPrefix("\($0):") } }
    }

    @Test("publishes the same as into a directory, whole, in one publish")
    func same() throws {
        let directory = try Converting()
        for converting in [directory, converting] {
            try ConvertTests.image().write(to: converting.layout, tag: "1")
            let result = try converting.convert("oci:\(converting.layout):1")
            #expect(result.code == 0, "\(result.errors)")
        }
        #expect(
            try differences(directory.path("localhost/layout:1/"), converting.path("localhost/layout:1/"))
                == [])
        let operations = try server.operations()
        #expect(operations.map(\.operation) == ["ingest"] && operations.last?.after == 2)
        #expect(try server.isWhole())
        #expect(try converting.actions().suffix(3) == directory.actions().suffix(3))
    }

    @Test("a moved tag, also with old layers, is one publish; an unchanged image none")
    func publishes() throws {
        let image = [layer("a"), layer("b")]
        #expect(try convert(TestImage(image)).code == 0)
        #expect(try convert(TestImage(image)).output.contains("unchanged"))
        #expect(try server.operations().count == 1)
        #expect(try convert(TestImage(image + [layer("c")])).code == 0)
        #expect(try server.operations().count == 2 && server.revision() == 3)
        for name in ["a", "b", "c"] {
            #expect(try text(of: converting.path("localhost/layout:1/\(name)")) == name)
        }
        // Back to where it was: nothing is new but the link.
        #expect(try convert(TestImage(image)).code == 0)
        #expect(try server.operations().count == 3)
        #expect(!Files.exists(converting.path("localhost/layout:1/c")))
        #expect(try server.isWhole())
    }

    @Test("a flat image costs no data; catalogues are where the original DUCC has them")
    func cost() throws {
        var random = SplitMix(state: 1)
        let content = (0..<1 << 20).map { _ in UInt8.random(in: 0...255, using: &random) }
        let written = try TestImage { $0.add("large", content: content) }.write(
            to: converting.layout, tag: "1")
        #expect(try converting.convert("oci:\(converting.layout):1").code == 0)
        let bytes = try #require(try server.operations().last?.bytes)
        #expect(bytes >= 1 << 20 && bytes < 1 << 20 + 128 << 10, "\(bytes)")
        #expect(try Files.read(converting.path("localhost/layout:1/large")) == content)
        let (layer, image) = (written.layers[0], written.configuration)
        let catalogues = try server.command("list-catalogs", "-x", server.name).output.split(separator: "\n")
        #expect(
            Set(catalogues.map(String.init)) == [
                "/", "/.layers", "/.layers/\(layer.prefix(2))",
                "/.layers/\(layer.prefix(2))/\(layer)/layerfs",
                "/.flat", "/.flat/\(image.prefix(2))/\(image)", "/podmanStore", "/podmanStore/overlay",
                "/podmanStore/overlay-images", "/podmanStore/overlay-layers",
            ])
    }

    @Test("nothing is asked of the registry any more once the server is")
    func downloads() throws {
        let registry = try DockerRegistry()
        try TestImage([layer("a"), layer("b")]).write(to: converting.layout, tag: "1")
        try registry.push(converting.layout, tag: "1", as: "some:1")
        let reached = converting.directory.path("reached")
        let go = converting.directory.path("go")
        try server.setFault(
            "ingest-begin", "{\"once\": true, \"touch\": \"\(reached)\", \"wait\": \"\(go)\"}")
        let running = try converting.start([
            "convert-single-image", "http://\(registry.host)/some:1", converting.repository,
        ])
        try waitUntil("the server is asked") { Files.exists(reached) }
        let requests = try registry.requests().count
        #expect(requests > 0)
        try converting.directory.write("go", "")
        #expect(try running.wait(seconds: 60).code == 0)
        #expect(try registry.requests().count == requests)
    }

    @Test(
        "a layer of 100,000 entries takes little memory, and its compressed size of the temporary directory")
    func memory() throws {
        let archive = TarBuilder.archive { tar in
            for number in 0..<100_000 {
                let name = "directory-\(number / 1000)/file-\(number)"
                if number % 10 == 9 {
                    tar.hardLink(name, to: "directory-\(number / 1000)/file-\(number - 1)")
                } else {
                    tar.file(name, "\(number)")
                }
            }
        }
        let blob = try Compression.gzip.apply(archive)
        try TestImage([TestImage.Layer(archive)]).write(to: converting.layout, tag: "1")
        let (programs, reached) = (
            converting.directory.path("programs"), converting.directory.path("reached")
        )
        try Files.makeDirectories(programs)
        // It takes the whole archive, and waits.
        try Files.replace(
            "\(programs)/cvmfs_server",
            with: Array(
                """
                #!/bin/sh
                [ "$1" = ingest ] || exec "\(CernVMServer.programs)/cvmfs_server" "$@"
                cat >/dev/null
                : >"\(reached)"
                while [ ! -e "\(reached).go" ]; do sleep 0.02; done
                exit 1
                """.utf8), mode: 0o755, sync: false)
        let running = try converting.start(
            ["convert-single-image", "oci:\(converting.layout):1", converting.repository],
            environment: ["PATH": "\(programs):\(ProcessEnvironment.current["PATH"] ?? "")"])
        try waitUntil("the archive was read", seconds: 120) { Files.exists(reached) }
        let memory = try running.peakMemory()
        #expect(memory < 70 << 20, "\(memory >> 20) MB")
        let sizes = try runSuccessfully(
            "find", [converting.directory.path("temporary"), "-type", "f", "-printf", "%s\n"])
        let space = sizes.split(separator: "\n").compactMap { Int($0) }.reduce(0, +)
        #expect(space >= blob.count && space <= blob.count + 10 << 10, "\(space) of \(blob.count)")
        try Files.replace("\(reached).go", with: [], sync: false)
        #expect(try running.wait(seconds: 60).code == 1)
        #expect(try converting.staged().isEmpty)
    }

    @Test("a terminal or a pipe that says nothing keeps no command of the server's waiting")
    func silentInput() throws {
        #expect(try convert(TestImage([layer("a")])).code == 0)
        let silent = try Pipe()
        try converting.edit { try Files.replace("\($0)/file", with: [1], sync: false) }
        let open = SharedDescriptor(try OwnedDescriptor(opening: "/cvmfs/\(server.name)/file", O_RDONLY))
        // A removal, whose question nobody answers.
        let process = try ChildProcess.start(
            Programs.ducc,
            [
                "convert-single-image", "oci:\(converting.layout):1", converting.repository, "-g", "-n",
                converting.log,
            ],
            environment: ProcessEnvironment.current.merging(converting.environment) { $1 }.map {
                "\($0)=\($1)"
            },
            input: silent.reading.raw)
        let end = try process.endDescriptor()
        var descriptor = pollfd(fd: end.raw, events: Int16(POLLIN), revents: 0)
        #expect(poll(&descriptor, 1, 60_000) == 1)
        if descriptor.revents == 0 { process.signalGroup(SIGKILL) }
        #expect(process.wait() == .exited(0))
        withExtendedLifetime((open, silent)) {}
        #expect(!server.isInTransaction)
        #expect(try server.isWhole())
    }

    @Test("layers that are stacked as overlayfs does it show the image, opaque directories included")
    func stacked() throws {
        let written = try ConvertTests.image().write(to: converting.layout, tag: "1")
        #expect(try converting.convert("oci:\(converting.layout):1").code == 0)
        let layers = written.layers.reversed().map {
            converting.path(".layers/\($0.prefix(2))/\($0)/layerfs")
        }
        let mounted = try TemporaryDirectory()
        for name in ["merged", "empty"] { try Files.makeDirectories(mounted.path(name)) }
        // A mounted revision doesn't say how long its names may be, and the kernel asks all that it stacks.
        let stack = (layers + [mounted.path("empty")]).joined(separator: ":")
        try runSuccessfully(
            "mount",
            [
                "-t", "overlay", "overlay", "-o", "ro,lowerdir=\(stack)",
                mounted.path("merged"),
            ])
        defer { _ = try? run("umount", [mounted.path("merged")]) }
        // A hard link to a lower layer's file is in the flat image only.
        #expect(
            try TreeComparison.withoutEngineFiles(
                differences(
                    converting.path("localhost/layout:1/"), mounted.path("merged/"), but: ["./bin/third"]))
                == [])
    }

    @Test("what shows through a layer that another image brought is said, and is hidden in the flat image")
    func reusedOpaque() throws {
        let opaque = TestImage.Layer(
            TarBuilder.archive { tar in
                tar.file("opt/.wh..wh..opq", "")
                tar.file("opt/new", "new")
            })
        func lower(_ name: String) -> TestImage.Layer {
            .init(TarBuilder.archive { $0.file("opt/\(name)", name) })
        }
        let first = try convert(TestImage([lower("a"), opaque]))
        #expect(first.code == 0 && !first.errors.contains("that were there before"), "\(first.errors)")
        let second = try convert(TestImage([lower("b"), lower("c"), opaque]))
        #expect(second.code == 0)
        #expect(
            second.errors.split(separator: "\n").count {
                $0.contains("that were there before") && $0.contains("(2)")
            }
                == 1, "\(second.errors)")
        #expect(try DirectoryEntry.names(in: converting.path("localhost/layout:1/opt")) == ["new"])
        #expect(try server.isWhole())
    }

    @Test("what a server can't keep is said once an image, and is in its record")
    func lost() throws {
        let image = TestImage({ tar in
            let capability = [1, 0, 0, 2] + [UInt8](repeating: 0, count: 16)
            tar.add("capable", content: [1], pax: [("SCHILY.xattr.security.capability", capability)])
            tar.add("noted", content: [1], pax: [("SCHILY.xattr.user.note", [1])])
            tar.hardLink("noted as well", to: "noted")
            tar.file("opt/.wh..wh..opq", "")
            tar.file("opt/.cvmfscatalog", "")
        })
        let result = try convert(image)
        #expect(result.code == 0)
        let record = try text(of: converting.path(".metadata/localhost/layout:1/conversion.json"))
        for what in [
            "security.capability (1)", "extended attributes user.* (1)", ".cvmfscatalog",
            "opaque directories",
        ] {
            #expect(result.errors.split(separator: "\n").count { $0.contains(what) } == 1, "\(what)")
            #expect(record.contains(what), "\(what)")
        }
        #expect(try server.isWhole())
    }

    @Test("a directory in a repository is a repository of its own", arguments: ["", "/cvmfs/"])
    func directory(prefix: String) throws {
        try ConvertTests.image().write(to: converting.layout, tag: "1")
        let result = try converting.ducc(
            "convert-single-image", "oci:\(converting.layout):1", "\(prefix)\(server.name)/some/where")
        #expect(result.code == 0, "\(result.errors)")
        #expect(try text(of: converting.path("some/where/localhost/layout:1/etc/kept")) == "kept")
        #expect(try converting.last(.publishImage)?[.repository] == "\(server.name)/some/where")
        #expect(try server.operations().count == 1 && server.isWhole())
    }

    @Test(
        "a name that is only nearly a repository's is none",
        arguments: ["x", "NAME.ch", "NAM", "NAME/../NAME", "NAME/a b", "/cvmfs/", "NAME/.cvmfsdirtab"])
    func names(_ pattern: String) throws {
        try ConvertTests.image().write(to: converting.layout, tag: "1")
        let name = pattern.replacing("NAME", with: server.name).replacing("NAM", with: server.name.dropLast())
        let result = try converting.ducc("convert-single-image", "oci:\(converting.layout):1", name)
        #expect(result.code == 104 && result.errors.split(separator: "\n").count == 1, "\(result.errors)")
        #expect(try server.operations().isEmpty)
    }

    @Test("without cvmfs_server there is no such repository, and it says why")
    func noServer() throws {
        let result = try run(
            Programs.ducc, ["convert-single-image", "oci:\(converting.layout):1", server.name],
            // Also where this machine has one.
            environment: ["PATH": converting.directory.path])
        #expect(result.code == 104 && result.errors.contains("cvmfs_server"), "\(result.errors)")
    }

    @Test(
        "a repository whose web server is away, or whose whitelist has expired, is refused before anything is fetched"
    )
    func whitelist() throws {
        let registry = try DockerRegistry()
        try TestImage([layer("a")]).write(to: converting.layout, tag: "1")
        try registry.push(converting.layout, tag: "1", as: "some:1")
        let requests = try registry.requests().count
        let programs = converting.directory.path("programs")
        try Files.makeDirectories(programs)
        for state in ["whitelist unreachable", "whitelist expired"] {
            try Files.replace(
                "\(programs)/cvmfs_server",
                with: Array(
                    """
                    #!/bin/sh
                    [ "$1" = list ] || exec "\(CernVMServer.programs)/cvmfs_server" "$@"
                    echo "\(server.name) (stratum0 / local - \(state))  "
                    """.utf8), mode: 0o755, sync: false)
            let result = try converting.start(
                ["convert-single-image", "http://\(registry.host)/some:1", converting.repository],
                environment: ["PATH": "\(programs):\(ProcessEnvironment.current["PATH"] ?? "")"]
            ).wait()
            #expect(result.code == 1 && result.errors.contains(state), "\(result.errors)")
            #expect(try registry.requests().count == requests && server.operations().isEmpty)
        }
    }

    @Test("somebody's open transaction is left as it is; the image comes once that is closed")
    func openTransaction() throws {
        #expect(try server.command("transaction", server.name).code == 0)
        try Files.makeDirectories("/cvmfs/\(server.name)/theirs")
        let result = try convert(TestImage([layer("a")]))
        #expect(
            result.code == 1 && result.errors.contains("has had an open transaction since"),
            "\(result.errors)")
        #expect(server.isInTransaction)
        #expect(try server.command("publish", server.name).code == 0)
        #expect(Files.isDirectory(converting.path("theirs")))
        #expect(try convert(TestImage([layer("a")])).code == 0)
        #expect(Files.isDirectory(converting.path("theirs")))
        #expect(try text(of: converting.path("localhost/layout:1/a")) == "a")
    }

    @Test("what is in the way of an image is named, and nothing is published")
    func inTheWay() throws {
        try converting.edit { try Files.replace("\($0)/localhost", with: [], sync: false) }
        let result = try convert(TestImage([layer("a")]))
        #expect(result.code == 1 && result.errors.contains("localhost is in the way"), "\(result.errors)")
        #expect(try server.operations().count == 2 && server.isWhole())
    }

    @Test("a layer that somebody left half-finished is removed first, in a publish of its own")
    func halfFinished() throws {
        let written = try TestImage([layer("a")]).write(to: converting.layout, tag: "1")
        let digest = written.layers[0]
        let path = ".layers/\(digest.prefix(2))/\(digest)/layerfs"
        try converting.edit { try Files.makeDirectories("\($0)/\(path)/left") }
        #expect(try converting.convert("oci:\(converting.layout):1").code == 0)
        #expect(try text(of: converting.path("\(path)/a")) == "a")
        #expect(!Files.exists(converting.path("\(path)/left")))
        #expect(try server.operations().map(\.operation) == ["transaction", "publish", "ingest", "ingest"])
        #expect(try server.isWhole())
    }

    @Test("made anew on request, flat image and layers", arguments: ["-g", "-f"])
    func anew(option: String) throws {
        #expect(try convert(TestImage([layer("a"), layer("b")])).code == 0)
        #expect(try convert(TestImage([layer("a"), layer("b")]), option).code == 0)
        #expect(try server.operations().count == 3 && server.isWhole())
        #expect(try text(of: converting.path("localhost/layout:1/b")) == "b")
    }

    @Test("without layers a flat image has its own files; without a flat image there is no link")
    func parts() throws {
        #expect(try convert(TestImage([layer("a"), layer("b")]), "-d").code == 0)
        #expect(!Files.exists(converting.path(".layers")))
        #expect(try text(of: converting.path("localhost/layout:1/b")) == "b")
        #expect(try convert(TestImage([layer("a"), layer("c")]), "-s").code == 0)
        #expect(Files.exists(converting.path(".layers")))
        #expect(try server.operations().count == 2 && server.isWhole())
    }
}
