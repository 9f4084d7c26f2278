import CLinux
import Glibc
import Layers
import Platform
import Support
import Testing

@Suite("Whiteouts and merging")
struct WhiteoutTests {
    static func isWhiteout(_ path: String) -> Bool {
        guard let information = information(path) else { return false }
        return information.st_mode & S_IFMT == S_IFCHR && information.st_rdev == 0
    }

    static func isOpaque(_ path: String) -> Bool {
        ["trusted.overlay.opaque", "user.overlay.opaque"].contains { name in
            var value: UInt8 = 0
            return lgetxattr(path, name, &value, 1) == 1 && value == UInt8(ascii: "y")
        }
    }

    @Test("whiteouts are overlayfs' in the layer and gone in the merged tree")
    func whiteout() throws {
        let fixture = try LayerFixture()
        try fixture.unpack { tar in
            tar.file("etc/kept", "1")
            tar.file("etc/removed", "2")
            tar.file("opt/old", "3")
            tar.file("var/gone/deep", "4")
        }
        try fixture.unpack { tar in
            tar.file("etc/.wh.removed", "")
            tar.directory("opt")
            tar.file("opt/.wh..wh..opq", "")
            tar.file("opt/new", "5")
            tar.file("var/.wh.gone", "")
        }
        #expect(Self.isWhiteout(fixture.path(1, "etc/removed")))
        #expect(Self.isOpaque(fixture.path(1, "opt")))
        #expect(
            !Files.exists(fixture.path(1, "etc/.wh.removed"))
                && !Files.exists(fixture.path(1, "opt/.wh..wh..opq")))
        #expect(try fixture.merged() == ["./ 0", "etc/ 0", "etc/kept 0", "opt/ 1", "opt/new 1", "var/ 0"])
    }

    @Test(
        "a whiteout hides lower layers, never a thing of its own layer, whichever comes first",
        arguments: [true, false])
    func ownLayer(first: Bool) throws {
        let fixture = try LayerFixture()
        try fixture.unpack { tar in
            tar.file("file", "old")
            tar.file("directory/old", "old")
            tar.file("implied/old", "old")
        }
        try fixture.unpack { tar in
            func hide() { for name in ["file", "directory", "implied"] { tar.file(".wh.\(name)", "") } }
            if first { hide() }
            tar.file("file", "new")
            tar.directory("directory")
            tar.file("directory/new", "new")
            tar.file("implied/new", "new")
            if !first { hide() }
        }
        #expect(
            try fixture.merged() == [
                "./ 0", "directory/ 1", "directory/new 1", "file 1", "implied/ 1", "implied/new 1",
            ])
    }

    @Test("a directory over a file, a file over a directory, and a directory that comes back")
    func kinds() throws {
        let fixture = try LayerFixture()
        try fixture.unpack { tar in
            tar.file("a", "file")
            tar.file("b/in", "directory")
            tar.file("c/low", "low")
        }
        try fixture.unpack { tar in
            tar.file("a/in", "now a directory")
            tar.file("b", "now a file")
            tar.file(".wh.c", "")
        }
        try fixture.unpack { tar in
            tar.file("c/high", "back, without what was in it")
            tar.file("b/again", "a directory again")
        }
        #expect(
            try fixture.merged() == [
                "./ 0", "a/ 1", "a/in 1", "b/ 2", "b/again 2", "c/ 2", "c/high 2",
            ])
    }

    @Test("a hard link to a file of a lower layer is that file, of each image its own")
    func linkAcross() throws {
        let linking: (inout TarBuilder) -> Void = { tar in
            tar.hardLink("high/link", to: "low/file")
            tar.hardLink("high/second", to: "high/link")
            tar.file("high/other", "replaced by a link")
            tar.hardLink("high/other", to: "low/file")
            tar.hardLink("high/replaced", to: "low/file")
            tar.hardLink("high/of-replaced", to: "high/replaced")
            tar.file("high/replaced", "no link after all")
        }
        let fixture = try LayerFixture()
        try fixture.unpack { $0.file("low/file", "content of the lower layer") }
        let context = try fixture.unpack(linking).context
        #expect(
            try fixture.merged() == [
                "./ 0", "high/ 1", "high/link 0 low/file", "high/of-replaced 0 low/file",
                "high/other 0 low/file", "high/replaced 1",
                "high/second 0 low/file", "low/ 0", "low/file 0",
            ])
        // The layer itself is what its bytes say, whatever lies beneath it.
        #expect(try DirectoryEntry.names(in: fixture.path(1, "high")) == ["replaced"])
        #expect(try LayerContext(decoding: context.encoded()) == context)
    }

    @Test("a hard link to nothing, or to what a layer between has hidden, is refused")
    func linkToNothing() throws {
        let fixture = try LayerFixture()
        try fixture.unpack { $0.file("file", "x") }
        try fixture.unpack { $0.file(".wh.file", "") }
        try fixture.unpack { $0.hardLink("link", to: "file") }
        #expect(throws: LayerError.self) { try fixture.merged() }
        let loop = try LayerFixture()
        try loop.unpack { tar in
            tar.hardLink("a", to: "b")
            tar.hardLink("b", to: "a")
        }
        #expect(throws: LayerError.self) { try loop.merged() }
    }

    @Test(
        "a directory that no entry names looks as the lower layers have it, or has mode 0755 and the layer's time"
    )
    func implied() throws {
        let fixture = try LayerFixture()
        try fixture.unpack { $0.directory("tmp", mode: 0o1777, mtime: 1_234_567_890) }
        try fixture.unpack { tar in
            tar.file("tmp/x", "1")
            tar.file("new/y", "2")
        }
        #expect(try fixture.merged() == ["./ 0", "new/ 1", "new/y 1", "tmp/ 0", "tmp/x 1"])
        let new = try #require(information(fixture.path(1, "new")))
        #expect(new.st_mode & 0o7777 == 0o755 && new.st_mtim.tv_sec == 1_600_000_000)
    }

    @Test("where a file system has no marks, .wh. files hide lower layers' names only")
    func literalMarksBesideEntries() throws {
        let fixture = try LayerFixture()
        try fixture.unpack { tar in
            tar.file("d/old", "x")
            tar.file("e", "x")
        }
        try fixture.unpack { tar in
            tar.file("d/new", "x")
            tar.file("e", "y")
        }
        for name in [".wh.d", ".wh.e"] { try Files.replace(fixture.path(1, name), with: []) }
        #expect(try fixture.merged() == ["./ 0", "d/ 1", "d/new 1", "e 1"])
    }

    @Test("a layer that the original DUCC left, its whiteouts as .wh. files, is merged all the same")
    func literalMarks() throws {
        let fixture = try LayerFixture()
        try fixture.unpack { tar in
            tar.file("etc/removed", "x")
            tar.file("opt/old", "x")
        }
        try fixture.unpack { tar in
            tar.directory("etc")
            tar.directory("opt")
            tar.file("opt/new", "x")
        }
        for name in ["etc/.wh.removed", "opt/.wh..wh..opq"] {
            try Files.replace(fixture.path(1, name), with: [])
        }
        #expect(try fixture.merged() == ["./ 0", "etc/ 1", "opt/ 1", "opt/new 1"])
    }

    @Test("hard links into lower layers that lead through themselves, or through each other, are refused")
    func endlessLinks() throws {
        for links in [[("a", "a/b")], [("a", "b/x"), ("b", "a/x")]] {
            let fixture = try LayerFixture()
            try fixture.unpack { $0.symbolicLink("c", to: "a") }
            try fixture.unpack { tar in for (name, target) in links { tar.hardLink(name, to: target) } }
            #expect(throws: LayerError.self) { try fixture.merged() }
        }
    }
}
