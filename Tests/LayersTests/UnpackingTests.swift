import CLinux
import Glibc
import Layers
import Platform
import Support
import Testing

@Suite("Unpacking a layer")
struct UnpackingTests {
    @Test("files, directories, links, FIFOs and their attributes come out as the archive has them")
    func attributes() throws {
        let fixture = try LayerFixture()
        try fixture.unpack { tar in
            tar.directory("usr", mode: 0o750, mtime: 1_500_000_000)
            tar.add(
                "usr/tool", content: Array("#!".utf8), mode: 0o4755, uid: geteuid() == 0 ? 3_000_000 : 0,
                pax: [
                    ("mtime", Array("1600000000.123456789".utf8)),
                    ("SCHILY.xattr.user.colour", Array("blue".utf8)),
                ])
            tar.hardLink("usr/same", to: "usr/tool")
            tar.symbolicLink("link", to: "/usr/tool")
            tar.add("pipe", type: "6", mode: 0o620)
            tar.add("empty")
        }
        let tool = try #require(information(fixture.path(0, "usr/tool")))
        #expect(tool.st_mode & 0o7777 == 0o4755)
        #expect(tool.st_mtim.tv_sec == 1_600_000_000 && tool.st_mtim.tv_nsec == 123_456_789)
        #expect(tool.st_uid == (geteuid() == 0 ? 3_000_000 : geteuid()))
        #expect(information(fixture.path(0, "usr/same"))?.st_ino == tool.st_ino)
        #expect(tool.st_nlink == 2)
        var value = [UInt8](repeating: 0, count: 4)
        #expect(
            getxattr(fixture.path(0, "usr/tool"), "user.colour", &value, 4) == 4
                && value == Array("blue".utf8))
        let usr = try #require(information(fixture.path(0, "usr")))
        #expect(usr.st_mode & 0o7777 == 0o750 && usr.st_mtim.tv_sec == 1_500_000_000)
        #expect(Files.linkTarget(fixture.path(0, "link")) == "/usr/tool")
        let pipe = try #require(information(fixture.path(0, "pipe")))
        #expect(pipe.st_mode == S_IFIFO | 0o620)
        #expect(information(fixture.path(0, "empty"))?.st_size == 0)
    }

    @Test(
        "a directory that is named again has the later entry's owner and extended attributes alone",
        .enabled(if: geteuid() == 0, "only root can give files away"))
    func namedAgain() throws {
        let fixture = try LayerFixture()
        try fixture.unpack { tar in
            for name in ["./", "twice/"] {
                tar.add(
                    name, type: "5", mode: 0o700, uid: 7, gid: 8,
                    pax: [("SCHILY.xattr.user.first", [1]), ("SCHILY.xattr.user.both", [1])])
                tar.add(name, type: "5", mode: 0o755, pax: [("SCHILY.xattr.user.both", [2])])
            }
        }
        for name in ["", "twice"] {
            let found = try #require(information(fixture.path(0, name)))
            #expect(found.st_uid == 0 && found.st_gid == 0 && found.st_mode & 0o7777 == 0o755, "\(name)")
            var value: UInt8 = 0
            #expect(getxattr(fixture.path(0, name), "user.first", &value, 1) < 0 && errno == ENODATA)
            #expect(getxattr(fixture.path(0, name), "user.both", &value, 1) == 1 && value == 2)
        }
    }

    @Test("names that are long, or no UTF-8, or begin with / or ./ come out as they are")
    func names() throws {
        let fixture = try LayerFixture()
        let long = String(repeating: "d/", count: 80) + String(repeating: "x", count: 200)
        try fixture.unpack { tar in
            tar.file("./a/b", "1")
            tar.file("/absolute", "2")
            tar.file(long, "3")
            tar.file("a//./c", "4")
            tar.file("über/日本", "5")
            tar.add(
                "raw", content: [0x36],
                pax: [("hdrcharset", Array("BINARY".utf8)), ("path", [0xff, 0xfe, 0x41])])
            tar.add("undeclared", content: [0x37], pax: [("path", [0xff, 0xfe, 0x42])])
        }
        #expect(try text(of: fixture.path(0, "a/b")) == "1")
        #expect(try text(of: fixture.path(0, "absolute")) == "2")
        #expect(try text(of: fixture.path(0, long)) == "3")
        #expect(try text(of: fixture.path(0, "a/c")) == "4")
        #expect(try text(of: fixture.path(0, "über/日本")) == "5")
        let links = try LayerFixture()
        try links.unpack { tar in
            tar.add("target", pax: [("hdrcharset", Array("BINARY".utf8)), ("path", [0xfe])])
            tar.add(
                "link", type: "2", link: "x",
                pax: [("hdrcharset", Array("BINARY".utf8)), ("linkpath", [0xff, 0xfe])])
            tar.add(
                "hard", type: "1", link: "x",
                pax: [("hdrcharset", Array("BINARY".utf8)), ("linkpath", [0xfe])])
        }
        #expect(information(links.path(0, "link")).map { $0.st_size } == 2)
        #expect(information(links.path(0, "hard")).map { $0.st_nlink } == 2)
        let listing = try runSuccessfully("ls", ["-1b", fixture.path(0)])
        #expect(listing.contains("\\377\\376A") && listing.contains("\\377\\376B"))
    }

    @Test("a sparse file keeps its holes, at its end too")
    func sparse() throws {
        let directory = try TemporaryDirectory()
        try runSuccessfully(
            "sh",
            [
                "-c",
                "cd '\(directory.path)' && truncate -s 10M holes && printf end | dd of=holes bs=1 seek=5000000 conv=notrunc status=none && tar --sparse -cf sparse.tar holes",
            ])
        let fixture = try LayerFixture()
        try fixture.unpack(try Files.read(directory.path("sparse.tar")))
        let file = try #require(information(fixture.path(0, "holes")))
        #expect(file.st_size == 10 << 20)
        #expect(file.st_blocks < 100)
        #expect(try Files.read(fixture.path(0, "holes"))[5_000_000..<5_000_003] == Array("end".utf8)[...])
    }

    @Test("a later entry of a name replaces the earlier one, of whatever kind")
    func replacing() throws {
        let fixture = try LayerFixture()
        try fixture.unpack { tar in
            tar.file("file-to-directory", "x")
            tar.directory("file-to-directory")
            tar.file("file-to-directory/in", "y")
            tar.directory("directory-to-file")
            tar.file("directory-to-file/in", "z")
            tar.file("directory-to-file", "now a file")
            tar.file("twice", "first")
            tar.file("twice", "second")
            tar.symbolicLink("link-to-file", to: "twice")
            tar.file("link-to-file", "no link")
            tar.directory("again", mode: 0o700)
            tar.file("again/kept", "kept")
            tar.directory("again", mode: 0o711)
        }
        #expect(try text(of: fixture.path(0, "file-to-directory/in")) == "y")
        #expect(try text(of: fixture.path(0, "directory-to-file")) == "now a file")
        #expect(try text(of: fixture.path(0, "twice")) == "second")
        #expect(try text(of: fixture.path(0, "link-to-file")) == "no link")
        #expect(try text(of: fixture.path(0, "again/kept")) == "kept")
        #expect(information(fixture.path(0, "again")).map { $0.st_mode & 0o7777 } == 0o711)
    }

    @Test(
        "set-gid directories and default ACLs change nothing of what is in them", .enabled(if: geteuid() == 0)
    )
    func inheritance() throws {
        let fixture = try LayerFixture()
        // A default ACL of u::rwx,g::r-x,o::---, as the kernel encodes it (version 2; tag, permissions, no identifier).
        let acl: [UInt8] =
            [2, 0, 0, 0] + [1, 0, 7, 0, 255, 255, 255, 255] + [4, 0, 5, 0, 255, 255, 255, 255]
            + [32, 0, 0, 0, 255, 255, 255, 255]
        try fixture.unpack { tar in
            tar.add("s/", type: "5", mode: 0o2775, gid: 50)
            tar.file("s/file", "x")
            tar.directory("s/directory")
            tar.symbolicLink("s/link", to: "file")
            tar.add("acl/", type: "5", mode: 0o755, pax: [("SCHILY.xattr.system.posix_acl_default", acl)])
            tar.file("acl/file", "x", mode: 0o644)
        }
        for name in ["file", "directory", "link"] {
            #expect(information(fixture.path(0, "s/\(name)"))?.st_gid == 0)
        }
        #expect(information(fixture.path(0, "s/directory")).map { $0.st_mode & 0o7777 } == 0o755)
        #expect(information(fixture.path(0, "s")).map { $0.st_mode & 0o7777 } == 0o2775)
        #expect(information(fixture.path(0, "acl/file")).map { $0.st_mode & 0o777 } == 0o644)
        #expect(getxattr(fixture.path(0, "acl"), "system.posix_acl_default", nil, 0) == acl.count)
    }

    @Test("a directory that a link replaced keeps its time to itself")
    func replacedDirectory() throws {
        let fixture = try LayerFixture()
        try fixture.unpack { tar in
            tar.directory("a/b", mtime: 5)
            tar.directory("z/b", mtime: 7)
            tar.directory("a")
            tar.symbolicLink("a", to: "z")
        }
        #expect(information(fixture.path(0, "z/b"))?.st_mtim.tv_sec == 7)
    }

    @Test("renames elsewhere on the machine don't fail a link that goes up")
    func renamesElsewhere() throws {
        let fixture = try LayerFixture()
        let renaming = try RunningCommand(
            "sh",
            [
                "-c", "cd '\(fixture.directory.path)' && : > r0 && while :; do mv r0 r1; mv r1 r0; done",
            ])
        try waitUntil("the other program renames") { Files.exists(fixture.directory.path("r1")) }
        for layer in 0..<20 {
            try fixture.unpack { tar in
                tar.directory("a/x")
                tar.symbolicLink("a/l", to: "../a/x")
                for index in 0..<200 {
                    tar.file("a/l/\(index)", "\(layer)")
                    tar.file("b\(index)", "x")
                }
            }
        }
        withExtendedLifetime(renaming) {}
    }

    @Test("a link in a parent path leads where it leads inside the layer")
    func parentLinks() throws {
        let fixture = try LayerFixture()
        try fixture.unpack { tar in
            tar.directory("usr/lib")
            tar.symbolicLink("lib", to: "usr/lib")
            tar.file("lib/one", "1")
            tar.symbolicLink("absolute", to: "/usr/lib")
            tar.file("absolute/two", "2")
            tar.symbolicLink("dangling", to: "../../made/by/need")
            tar.file("dangling/three", "3")
        }
        #expect(try text(of: fixture.path(0, "usr/lib/one")) == "1")
        #expect(try text(of: fixture.path(0, "usr/lib/two")) == "2")
        #expect(try text(of: fixture.path(0, "made/by/need/three")) == "3")
    }

    @Test("a file with what runs over several chunks is whole", arguments: [Compression.none, .gzip, .zstd])
    func large(compression: Compression) throws {
        let content = (0..<3_000_001).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 7) }
        let fixture = try LayerFixture()
        try fixture.unpack(TarBuilder.archive { $0.add("big", content: content) }, compression: compression)
        #expect(try Files.read(fixture.path(0, "big")) == content)
    }

    @Test("an archive of nothing is a layer of nothing", arguments: [[], [UInt8](repeating: 0, count: 1024)])
    func empty(archive: [UInt8]) throws {
        let fixture = try LayerFixture()
        #expect(try fixture.unpack(archive).entries == 0)
        #expect(try DirectoryEntry.names(in: fixture.path(0)).isEmpty)
    }
}
