import Glibc
import Layers
import Platform
import Support
import Testing

@Suite("Odd layers")
struct OddLayerTests {
    @Test("a whiteout of everything empties the image, and touches nothing outside")
    func opaqueRoot() throws {
        let fixture = try LayerFixture()
        try fixture.directory.write("canary", "sings")
        let before = try HostileLayerTests.canary(fixture.directory)
        try fixture.unpack { $0.file("old/file", "x") }
        try fixture.unpack { tar in
            tar.file("/.wh..wh..opq", "")
            tar.file("new", "y")
        }
        #expect(try fixture.merged() == ["./ 0", "new 1"])
        #expect(try HostileLayerTests.canary(fixture.directory) == before)
    }

    @Test("a lower layer's link that leads out of the root leads nowhere out")
    func lowerLinksOut() throws {
        let fixture = try LayerFixture()
        let outside = fixture.directory.path
        try fixture.directory.write("canary-directory/file", "sings")
        let before = try HostileLayerTests.canary(fixture.directory)
        try fixture.unpack { tar in
            tar.symbolicLink("up", to: "../../../../canary-directory")
            tar.symbolicLink("absolute", to: "\(outside)/canary-directory")
            tar.symbolicLink("magic", to: "/proc/self/cwd")
        }
        try fixture.unpack { tar in
            tar.file("up/one", "1")
            tar.file("absolute/two", "2")
            tar.file("magic/.wh.file", "")
            tar.file("magic/three", "3")
        }
        let merged = try fixture.merged()
        #expect(merged.contains("canary-directory/one 1 up/one"))
        #expect(merged.contains("\(outside.dropFirst())/canary-directory/two 1 absolute/two"))
        #expect(merged.contains("proc/self/cwd/three 1 magic/three"))
        #expect(try HostileLayerTests.canary(fixture.directory) == before)
    }

    @Test("a device over a directory takes its place, and a device 0:0 hides as overlayfs has it")
    func devices() throws {
        let fixture = try LayerFixture()
        try fixture.unpack { tar in
            tar.file("d/in", "x")
            tar.file("hidden", "x")
        }
        try fixture.unpack { tar in
            tar.directory("d")
            tar.file("d/new", "x")
            tar.add("d", type: "3", device: (1, 3))
            tar.add("hidden", type: "3", device: (0, 0))
        }
        // Without root there is no device: an empty file keeps its place.
        #expect(try fixture.merged() == ["./ 0", "d 1"] + (geteuid() == 0 ? [] : ["hidden 1"]))
    }

    @Test("a name ends at its first NUL, as libarchive reads it")
    func truncatedNames() throws {
        let fixture = try LayerFixture()
        try fixture.directory.write("canary", "sings")
        let before = try HostileLayerTests.canary(fixture.directory)
        try fixture.unpack { tar in
            tar.add("long", content: [1], pax: [("path", Array("a\0/../../canary".utf8))])
            tar.add("link", type: "2", link: "x", pax: [("linkpath", Array("a\0/../../canary".utf8))])
        }
        #expect(try DirectoryEntry.names(in: fixture.path(0)) == ["a", "link"])
        #expect(Files.linkTarget(fixture.path(0, "link")) == "a")
        #expect(try HostileLayerTests.canary(fixture.directory) == before)
    }

    @Test("a bomb of entries stops at the limit, not at the disk")
    func manyEntries() throws {
        let count = TestScale.count(20_000, long: 1_000_000)
        var limits = LayerLimits()
        limits.entries = count - 1
        var thousand = TarBuilder()
        for index in 0..<1000 { thousand.add("\(index)") }
        let block = thousand.bytes
        let archive = TarBuilder.archive { tar in for _ in 0..<count / 1000 { tar.append(block) } }
        let error = #expect(throws: LayerError.self) {
            try LayerFixture().unpack(archive, limits: limits)
        }
        #expect(error?.description == "the layer has more than \(count - 1) entries")
    }

    @Test("a bomb of zeros stops at the limit, whatever it claims to be")
    func zeros() throws {
        let megabytes = TestScale.count(16, long: 512)
        let zeros = [UInt8](repeating: 0, count: megabytes << 20)
        var limits = LayerLimits()
        limits.bytes = Int64(zeros.count) - 1
        for archive in [zeros, TarBuilder.archive { $0.add("zeros", content: zeros) }] {
            let blob = try Compression.tool("gzip", ["-1", "-c"], archive)
            let error = #expect(throws: LayerError.self) {
                try LayerFixture().unpack(archive, packed: blob, limits: limits)
            }
            #expect(error?.description.contains("to more than \(zeros.count - 1) bytes") == true)
        }
    }
}
