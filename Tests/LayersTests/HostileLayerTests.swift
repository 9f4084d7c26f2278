import Glibc
import Layers
import Platform
import Support
import Testing

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
            for layer in archive.layers { try fixture.unpack(layer) }
            _ = try fixture.merged()
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
