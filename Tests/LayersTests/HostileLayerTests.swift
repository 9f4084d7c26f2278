import Glibc
import Layers
import Platform
import Support
import Testing

/// An archive that shall be refused, and what the refusal says.
struct HostileArchive: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let message: String
    let fill: @Sendable (inout TarBuilder) -> Void

    init(_ name: String, _ message: String, _ fill: @escaping @Sendable (inout TarBuilder) -> Void) {
        testDescription = name
        self.message = message
        self.fill = fill
    }

    static let all = [
        HostileArchive("a name above the root", "above its root") { $0.file("../escaped", "x") },
        HostileArchive("a name that climbs after it descended", "above its root") {
            $0.file("a/../../escaped", "x")
        },
        HostileArchive("a hard link out of the root", "above its root") {
            $0.hardLink("link", to: "../canary")
        },
        HostileArchive("a hard link to a directory", "hard link to no file") { tar in
            tar.directory("d")
            tar.hardLink("link", to: "d")
        },
        HostileArchive("a hard link to the root", "hard link to its root") { $0.hardLink("link", to: "/") },
        HostileArchive("a hard link to a whiteout", "hard link to no file") { tar in
            tar.file(".wh.x", "")
            tar.hardLink("link", to: "x")
        },
        HostileArchive("a bare whiteout", "whiteout of nothing") { $0.file(".wh.", "") },
        HostileArchive("a whiteout of .", "whiteout of nothing") { $0.file("a/.wh..", "") },
        HostileArchive("a whiteout of ..", "whiteout of nothing") { $0.file("a/.wh...", "") },
        HostileArchive("a file in place of the root", "replaces its own root") { $0.file(".", "x") },
        HostileArchive("a link in place of the root", "replaces its own root") {
            $0.symbolicLink("/", to: "/etc")
        },
        HostileArchive("a file used as a directory", "uses a file as a directory") { tar in
            tar.file("f", "x")
            tar.file("f/in", "y")
        },
        HostileArchive("a loop of links", "loop of links") { tar in
            tar.symbolicLink("a", to: "b")
            tar.symbolicLink("b", to: "a")
            tar.file("a/in", "x")
        },
        HostileArchive("a name of 100 KB", "has a name of") { tar in
            tar.file(String(repeating: "n", count: 100_000), "x")
        },
        HostileArchive("a path 10,000 deep", "has a path of") { tar in
            tar.file(String(repeating: "d/", count: 10_000) + "f", "x")
        },
        HostileArchive("a whiteout used as a directory", "uses a whiteout as a directory") {
            $0.file(".wh.etc/x", "y")
        },
        HostileArchive("a whiteout that is a directory", "uses a whiteout as a directory") {
            $0.directory("d/.wh..wh..opq")
        },
        HostileArchive("a whiteout's name through a link", "links make impossible") { tar in
            tar.symbolicLink("link", to: ".wh.etc")
            tar.file("link/x", "y")
        },
        HostileArchive("an owner that no system can have", "an owner that no system can have") { tar in
            tar.add("f", pax: [("uid", Array("4294967295".utf8))])
        },
        HostileArchive("a sparse file longer than it says", "data outside of its file") { tar in
            tar.add(
                "f", content: [1],
                pax: [
                    ("GNU.sparse.size", Array("10".utf8)), ("GNU.sparse.map", Array("900000000000,1".utf8)),
                ])
        },
        HostileArchive("a damaged pax header", "") { tar in
            tar.add("short", content: [1])
            var damaged = TarBuilder()
            damaged.add("f", content: [2], pax: [("path", Array("long".utf8))])
            var bytes = damaged.bytes
            bytes[512] = 0x78
            tar.append(bytes)
        },
        HostileArchive("an archive cut inside a file", "runcated") { tar in
            tar.add("f", content: [1, 2, 3], size: 100_000)
        },
        HostileArchive("an entry larger than any limit", "unpacks to more than") { tar in
            tar.add("f", pax: [("size", Array("\(Int64.max / 2)".utf8))])
        },
    ]
}

@Suite("Hostile layers")
struct HostileLayerTests {
    /// A tree beside the layer that nothing may touch: its content and its times.
    static func canary(_ directory: TemporaryDirectory) throws -> String {
        try runSuccessfully(
            "sh", ["-c", "cd '\(directory.path)' && find canary* -printf '%p %T@ %C@ %n %s %m\\n' | sort"])
    }

    @Test("is refused with one clear line, and nothing outside is touched", arguments: HostileArchive.all)
    func refused(archive: HostileArchive) throws {
        let fixture = try LayerFixture()
        try fixture.directory.write("canary", "sings")
        try fixture.directory.write("canary-directory/file", "sings")
        let before = try Self.canary(fixture.directory)
        let error = #expect(throws: (any Error).self) {
            try fixture.unpack(archive.fill)
        }
        let text = "\(try #require(error))"
        #expect(text.contains(archive.message), "says: \(text)")
        #expect(text.utf8.count < 600 && !text.contains("\n"))
        #expect(try Self.canary(fixture.directory) == before)
    }

    @Test("links that lead out of the root never lead out")
    func linksOut() throws {
        let fixture = try LayerFixture()
        try fixture.directory.write("canary", "sings")
        try fixture.directory.write("canary-directory/file", "sings")
        let outside = fixture.directory.path
        let before = try Self.canary(fixture.directory)
        try fixture.unpack { tar in
            tar.symbolicLink("up", to: "../canary-directory")
            tar.file("up/through-relative", "x")
            tar.symbolicLink("absolute", to: "\(outside)/canary-directory")
            tar.file("absolute/through-absolute", "x")
            tar.symbolicLink("file", to: "\(outside)/canary")
            tar.file("file", "replaces the link, not its target")
            tar.symbolicLink("magic", to: "/proc/self/cwd")
            tar.file("magic/through-proc", "x")
            // A directory that becomes a link between two entries.
            tar.directory("swapped")
            tar.file("swapped/before", "x")
            tar.symbolicLink("swapped", to: "\(outside)/canary-directory")
            tar.file("swapped/after", "x")
        }
        #expect(try Self.canary(fixture.directory) == before)
        #expect(Files.exists(fixture.path(0, "\(outside)/canary-directory/after")))
        #expect(try text(of: fixture.path(0, "file")) == "replaces the link, not its target")
    }

    @Test("limits stop too many entries and too many bytes")
    func limits() throws {
        var limits = LayerLimits()
        limits.entries = 10
        #expect(throws: LayerError.self) {
            try LayerFixture().unpack(
                TarBuilder.archive { tar in for index in 0..<11 { tar.file("\(index)", "") } }, limits: limits
            )
        }
        // Directories that only names imply count too: 30 entries need 15,000 of them.
        limits.entries = 1000
        #expect(throws: LayerError.self) {
            try LayerFixture().unpack(
                TarBuilder.archive { tar in
                    for index in 0..<30 {
                        tar.file("\(index)/" + String(repeating: "d/", count: 500) + "f", "")
                    }
                }, limits: limits)
        }
        limits = LayerLimits()
        limits.pathBytes = 1000
        #expect(throws: LayerError.self) {
            try LayerFixture().unpack(
                TarBuilder.archive { $0.file(String(repeating: "d/", count: 100) + "f", "") }, limits: limits)
        }
        limits = LayerLimits()
        limits.bytes = 100_000
        #expect(throws: LayerError.self) {
            try LayerFixture().unpack(
                TarBuilder.archive { $0.add("zeros", content: [UInt8](repeating: 0, count: 200_000)) },
                limits: limits)
        }
    }

    @Test("an image can't bring overlayfs' own marks")
    func marks() throws {
        let fixture = try LayerFixture()
        let result = try fixture.unpack { tar in
            tar.add(
                "d/", type: "5", mode: 0o755,
                pax: [
                    ("SCHILY.xattr.trusted.overlay.redirect", Array("/etc".utf8)),
                    ("SCHILY.xattr.trusted.overlay.opaque", Array("y".utf8)),
                    ("SCHILY.xattr.user.overlay.opaque", Array("y".utf8)),
                ])
        }
        #expect(!WhiteoutTests.isOpaque(fixture.path(0, "d")))
        #expect(
            result.lost.phrases == ["overlayfs' and unpackers' own attributes, which images may not set (3)"])
    }

    @Test(
        "whatever attributes an archive names, what is told of their loss is short",
        .enabled(if: geteuid() == 0))
    func manyAttributes() throws {
        let fixture = try LayerFixture()
        let result = try fixture.unpack { tar in
            let attributes = (0..<5000).map { ("SCHILY.xattr.bogus\($0).x", [UInt8(1)]) }
            tar.add("f", pax: attributes)
        }
        #expect(result.lost.phrases == ["extended attributes of unknown kinds, * (5000)"])
    }

    @Test("a blob that is shorter, longer or other than its digest says is refused")
    func blob() throws {
        let fixture = try LayerFixture()
        let archive = TarBuilder.archive { $0.file("f", "x") }
        for wrong in [archive + [0], Array(archive.dropLast(512)), archive.map { $0 == 0x78 ? 0x79 : $0 }] {
            #expect(throws: LayerError.self) { try fixture.unpack(archive, blob: wrong) }
        }
    }
}
