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
        #expect(try fixture.merged() == ["./ 1", "etc/ 1", "etc/kept 0", "opt/ 1", "opt/new 1", "var/ 1"])
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
                "./ 1", "directory/ 1", "directory/new 1", "file 1", "implied/ 1", "implied/new 1",
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
                "./ 2", "a/ 1", "a/in 1", "b/ 2", "b/again 2", "c/ 2", "c/high 2",
            ])
    }

    @Test("a hard link to a file of a lower layer is that file")
    func linkAcross() throws {
        let fixture = try LayerFixture()
        try fixture.unpack { $0.file("low/file", "content of the lower layer") }
        try fixture.unpack { tar in
            tar.hardLink("high/link", to: "low/file")
            tar.hardLink("high/second", to: "high/link")
        }
        _ = try fixture.merged()
        #expect(try text(of: fixture.path(1, "high/link")) == "content of the lower layer")
        #expect(
            information(fixture.path(1, "high/second"))?.st_ino
                == information(fixture.path(0, "low/file"))?.st_ino)
    }

    @Test("a hard link to nothing, or to what a layer between has hidden, is refused")
    func linkToNothing() throws {
        let fixture = try LayerFixture()
        try fixture.unpack { $0.file("file", "x") }
        try fixture.unpack { $0.file(".wh.file", "") }
        try fixture.unpack { $0.hardLink("link", to: "file") }
        #expect(throws: LayerError.self) { try fixture.merged() }
    }

    @Test(
        "a directory that no entry names takes after the lower layers', or has mode 0755 and the layer's time"
    )
    func implied() throws {
        let fixture = try LayerFixture()
        try fixture.unpack { $0.directory("tmp", mode: 0o1777, mtime: 1_234_567_890) }
        try fixture.unpack { tar in
            tar.file("tmp/x", "1")
            tar.file("new/y", "2")
        }
        _ = try fixture.merged()
        let tmp = try #require(information(fixture.path(1, "tmp")))
        #expect(tmp.st_mode & 0o7777 == 0o1777 && tmp.st_mtim.tv_sec == 1_234_567_890)
        let new = try #require(information(fixture.path(1, "new")))
        #expect(new.st_mode & 0o7777 == 0o755 && new.st_mtim.tv_sec == 1_600_000_000)
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
        #expect(try fixture.merged() == ["./ 1", "etc/ 1", "opt/ 1", "opt/new 1"])
    }
}
