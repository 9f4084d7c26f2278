import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("Bad input")
struct BadInputTests {
    /// The lines that tell of something wrong: neither progress nor information.
    static func complaints(_ result: CommandResult) -> [String] {
        result.errors.split(separator: "\n").map(String.init).filter {
            !$0.contains("level=info") && !$0.hasPrefix("layer ") && !$0.hasPrefix("flat image")
        }
    }

    /// A wish list, and what becomes of it: the exit code and the line.
    struct ListCase: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let list: String?
        let code: CInt
        let line: String

        static let all = [
            ListCase(testDescription: "missing", list: nil, code: 102, line: "wishes.yaml"),
            ListCase(testDescription: "no YAML", list: "input: [\n", code: 103, line: "wishes.yaml:2:1: "),
            ListCase(
                testDescription: "wrong version", list: "version: 2\ncvmfs_repo: REPO\ninput: []\n",
                code: 103,
                line: "wishes.yaml:1:10: "),
            ListCase(
                testDescription: "no repository key", list: "version: 1\ninput: []\n", code: 103,
                line: "cvmfs_repo"),
            ListCase(
                testDescription: "no such parent", list: "cvmfs_repo: REPO/missing/deep\ninput: ['x/y']\n",
                code: 104,
                line: "there is no directory"),
            ListCase(
                testDescription: "a CernVM-FS repository",
                list: "cvmfs_repo: unpacked.cern.ch\ninput: ['x/y']\n",
                code: 104, line: "there is no repository unpacked.cern.ch"),
            ListCase(
                testDescription: "bad reference", list: "cvmfs_repo: REPO\ninput:\n  - 'http://UPPER CASE'\n",
                code: 1,
                line: "wishes.yaml:3:5: "),
            ListCase(
                testDescription: "unknown key", list: "cvmfs_repo: REPO\ninputs: []\ninput: []\n", code: 0,
                line: "wishes.yaml:2:1: "),
        ]
    }

    @Test("in a wish list is one line with its place, and its exit code", arguments: ListCase.all)
    func lists(item: ListCase) throws {
        let converting = try Converting()
        let path = converting.directory.path("wishes.yaml")
        if let list = item.list {
            try converting.directory.write("wishes.yaml", list.replacing("REPO", with: converting.repository))
        }
        let result = try converting.ducc(["convert", path], notifying: false)
        #expect(result.code == item.code)
        let lines = Self.complaints(result)
        #expect(lines.filter { $0.contains(item.line) }.count == 1, "says: \(result.errors)")
        #expect(item.code == 0 || lines.count == 1, "says: \(result.errors)")
    }

    @Test("a notification file that can't be opened: one line, 105, and nothing is done")
    func notificationFile() throws {
        let converting = try Converting()
        try TestImage({ $0.file("x", "y") }).write(to: converting.layout, tag: "1")
        let result = try converting.ducc(
            [
                "convert-single-image", "oci:\(converting.layout):1", converting.repository, "-n",
                converting.directory.path("missing/log"),
            ], notifying: false)
        #expect(result.code == 105)
        #expect(Self.complaints(result).count == 1 && result.errors.contains("missing/log"))
        #expect(!Files.exists(converting.repository))
    }

    @Test(
        "a registry that is down and an image that isn't there: one line each, an end with the error, exit code 1",
        .onBothRepositories
    )
    func registries() throws {
        let registry = try DockerRegistry()
        let down = "127.0.0.1:\(try LoopbackPort.free())"
        for (image, text) in [
            ("http://\(down)/a/b:1", "cannot reach"),
            ("http://\(registry.host)/a/b:1", "is it spelled right?"),
        ] {
            let converting = try Converting()
            let result = try converting.convert(image)
            #expect(result.code == 1)
            #expect(Self.complaints(result).filter { $0.contains(text) }.count == 1, "says: \(result.errors)")
            let end = try #require(try converting.last(.endImageConversion))
            #expect(
                end[.status] == "error" && end[.error]?.contains(text) == true && end[.imageRequest] == image)
            #expect(try converting.actions().last == "end_ducc")
        }
    }

    @Test(
        "a layer that isn't what its digest or its diff id says publishes nothing", .onBothRepositories,
        arguments: ["digest", "content", "diff id", "size"])
    func mismatch(kind: String) throws {
        let converting = try Converting()
        var image = ConvertTests.image()
        if kind == "diff id" {
            image.diffIdentifiers = (0..<3).map { "sha256:" + SHA256.hex(of: [UInt8($0)]) }
        }
        let written = try image.write(to: converting.layout, tag: "1")
        let blob = "layout/blobs/sha256/\(written.layers[1])"
        let bytes = try Files.read(converting.directory.path(blob))
        // The time in the gzip header: nothing but the digest tells.
        if kind == "digest" { try converting.directory.write(blob, bytes[..<4] + [1] + bytes[5...]) }
        if kind == "content" {
            try converting.directory.write(blob, bytes[..<2] + bytes[2...].map { $0 ^ 1 })
        }
        if kind == "size" { try converting.directory.write(blob, bytes + [0]) }
        let result = try converting.convert("oci:\(converting.layout):1")
        #expect(result.code == 1)
        #expect(Self.complaints(result).count == 1, "says: \(result.errors)")
        #expect(
            try DirectoryEntry.names(in: converting.root)
                == [converting.server == nil ? ".ducc-staging" : "new_repository"])
        #expect(try converting.staged().isEmpty)
        #expect(try converting.last(.endImageConversion)?[.status] == "error")
        #expect(try !converting.actions().contains { $0.hasPrefix("publish_") })
    }

    @Test("a hostile layer is one line; the other wishes are converted", .onBothRepositories)
    func hostile() throws {
        let converting = try Converting()
        try TestImage({ $0.file("../../escaped", "x") }).write(to: converting.directory.path("bad"), tag: "1")
        try TestImage({ $0.file("good", "x") }).write(to: converting.directory.path("good"), tag: "1")
        let list = try converting.directory.write(
            "w.yaml",
            "cvmfs_repo: \(converting.repository)\ninput: ['oci:\(converting.directory.path("bad")):1', 'oci:\(converting.directory.path("good")):1']\n"
        )
        let result = try converting.ducc("convert", list)
        #expect(result.code == 1)
        #expect(Self.complaints(result).count == 1 && result.errors.contains("above its root"))
        #expect(Files.exists(converting.path("localhost/good:1/good")))
        #expect(!Files.exists(converting.path("localhost/bad:1")))
    }

    @Test("something in the place of the public link is not overwritten", .onBothRepositories)
    func inTheWay() throws {
        let converting = try Converting()
        try TestImage({ $0.file("x", "y") }).write(to: converting.layout, tag: "1")
        try converting.edit { try Files.makeDirectories("\($0)/localhost/layout:1") }
        let result = try converting.convert("oci:\(converting.layout):1")
        #expect(result.code == 1 && result.errors.contains("is in the way"))
        #expect(!Files.exists(converting.path(".flat")) && !Files.exists(converting.path(".layers")))
    }

    @Test("failures that the wish list ignores don't count", .onBothRepositories)
    func ignored() throws {
        let converting = try Converting()
        let host = "127.0.0.1:\(try LoopbackPort.free())"
        let list = try converting.directory.write(
            "w.yaml",
            "cvmfs_repo: \(converting.repository)\ninput: ['http://\(host)/a/b:1']\nignoreErrors: ['http://\(host)/a/*:*']\n"
        )
        let result = try converting.ducc("convert", list)
        #expect(result.code == 0 && result.output.contains("1 failed"))
    }

    @Test("a full disk is one line, and leaves nothing", .enabled(if: geteuid() == 0))
    func fullDisk() throws {
        let mount = try TemporaryDirectory()
        try runSuccessfully("mount", ["-t", "tmpfs", "-o", "size=3m", "tmpfs", mount.path])
        defer { _ = try? run("umount", ["-l", mount.path]) }
        let converting = try Converting(TemporaryDirectory(in: mount.path))
        let source = try TemporaryDirectory()
        let content = (0..<2 << 20).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        // Compressed it has room, unpacked it has none.
        let archive = TarBuilder.archive { tar in
            for name in ["a", "b", "c"] { tar.add(name, content: content) }
        }
        var image = TestImage([.init(archive, .zstd)])
        image.layers[0].blob = try Compression.zstd.apply(archive)
        try image.write(to: source.path("layout"), tag: "1")
        let result = try converting.convert("oci:\(source.path("layout")):1")
        #expect(result.code == 1)
        #expect(
            Self.complaints(result).count == 1 && result.errors.contains("No space left on device"),
            "\(result.errors)")
        #expect(try converting.staged().isEmpty)
        #expect(!Files.exists(converting.path(".layers")))
    }

    @Test(
        "each wrong command line is refused with exit code 2",
        arguments: [
            ["convert"], ["convert", "a", "b"], ["convert", "a", "--no-such-flag"], ["no-such-command"],
            ["convert-single-image", "x/y:1"], ["convert", "a", "--progress", "fancy"],
            ["convert", "a", "--platform", "nonsense/"], ["convert", "a", "--max-concurrent-downloads", "0"],
            ["convert", "a", "-s", "-d"], ["convert", "a", "--notification-sync", "sometimes"], [],
            ["convert-single-image", "http://host/UPPER", "/tmp"], ["list"],
            ["list", "/tmp", "--since", "yesterday"],
        ])
    func usage(arguments: [String]) throws {
        let converting = try Converting()
        let result = try converting.ducc(arguments, notifying: false)
        #expect(result.code == 2, "\(arguments): \(result.code) \(result.errors)")
    }
}
