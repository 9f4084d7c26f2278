import Archive
import Glibc
import Platform
import Support
import Testing

@Suite("Writing tar archives")
struct TarWriterTests {
    private final class Memory: ByteSink {
        var bytes: [UInt8] = []
        func write(_ bytes: UnsafeRawBufferPointer) { self.bytes += bytes }
    }

    /// What Python's tarfile reads of an archive: an entry a line.
    private func read(_ bytes: [UInt8]) throws -> [String] {
        let directory = try TemporaryDirectory()
        let archive = try directory.write("archive.tar", bytes)
        let program = try directory.write(
            "list.py",
            """
            import sys, tarfile
            with tarfile.open(sys.argv[1], "r:", errors="surrogateescape", encoding="utf-8") as archive:
                for entry in archive:
                    content = archive.extractfile(entry) if entry.isreg() else None
                    print(entry.type.decode(), "%o" % entry.mode, entry.uid, entry.gid, entry.mtime, entry.size,
                          entry.devmajor, entry.devminor, ascii(entry.name), ascii(entry.linkname),
                          content.read(20) if content else "")
            """)
        return try runSuccessfully("python3", [program, archive]).split(separator: "\n").map(String.init)
    }

    private func write(_ body: (TarWriter) throws -> Void) throws -> [UInt8] {
        let sink = Memory()
        let writer = try TarWriter(sink)
        try body(writer)
        try writer.finish()
        return sink.bytes
    }

    private func add(_ text: String, _ path: [UInt8], _ attributes: TarAttributes, to writer: TarWriter)
        throws
    {
        try writer.add(path.map { CChar(bitPattern: $0) } + [0], .file(Int64(text.utf8.count)), attributes)
        try Array(text.utf8).withUnsafeBytes { try writer.write($0) }
    }

    @Test("devices have any number that Linux knows, under long names too")
    func devices() throws {
        let plain = TarAttributes(permissions: 0o600, modified: 0)
        let long = String(repeating: "d/", count: 100) + "4"
        let bytes = try write { writer in
            try writer.add("large", .special(S_IFCHR, major: 4095, minor: 1_048_575), plain)
            try writer.add("most", .special(S_IFBLK, major: 0o777777, minor: 0o777777), plain)
            try writer.add(long, .special(S_IFBLK, major: 1, minor: 0o1000000), plain)
            try writer.add("small", .special(S_IFCHR, major: 1, minor: 3), plain)
        }
        #expect(
            try read(bytes) == [
                "3 600 0 0 0 0 4095 1048575 'large' '' ", "4 600 0 0 0 0 262143 262143 'most' '' ",
                "4 600 0 0 0 0 1 262144 '\(long)' '' ", "3 600 0 0 0 0 1 3 'small' '' ",
            ])
        let directory = try TemporaryDirectory()
        let reader = try TarReader(try FileStream(path: try directory.write("archive", bytes)))
        #expect(try reader.next()?.device.minor == 1_048_575)
    }

    @Test("every kind of entry is what another reader takes it for")
    func kinds() throws {
        let plain = TarAttributes(permissions: 0o6755, user: 1000, group: 100, modified: 1_700_000_000)
        let bytes = try write { writer in
            try writer.add("dir", .directory, plain)
            try add("text", Array("dir/file".utf8), plain, to: writer)
            try writer.add("dir/link", .symbolicLink(Array("../else where".utf8CString)), plain)
            try writer.add("dir/hard", .hardLink(Array("dir/file".utf8CString)), plain)
            try writer.add("dir/gone", .special(S_IFCHR, major: 0, minor: 0), plain)
            try writer.add("dir/disk", .special(S_IFBLK, major: 259, minor: 70_000), plain)
            try writer.add("dir/fifo", .special(S_IFIFO, major: 0, minor: 0), plain)
        }
        #expect(
            try read(bytes) == [
                "5 6755 1000 100 1700000000 0 0 0 'dir' '' ",
                "0 6755 1000 100 1700000000 4 0 0 'dir/file' '' b'text'",
                "2 6755 1000 100 1700000000 0 0 0 'dir/link' '../else where' ",
                "1 6755 1000 100 1700000000 0 0 0 'dir/hard' 'dir/file' ",
                "3 6755 1000 100 1700000000 0 0 0 'dir/gone' '' ",
                "4 6755 1000 100 1700000000 0 259 70000 'dir/disk' '' ",
                "6 6755 1000 100 1700000000 0 0 0 'dir/fifo' '' ",
            ])
    }

    @Test("names and links of any length and bytes, and numbers of any size, arrive as they are")
    func odd() throws {
        let owner = TarAttributes(permissions: 0o400, user: 4_000_000_000, group: 2_100_000, modified: 5)
        let names: [[UInt8]] =
            [1, 99, 100, 101, 154, 155, 156, 255, 256, 257, 511, 512, 513, 3000].map { length in
                (0..<length).map { UInt8(ascii: "a") + UInt8($0 % 26) }
            } + [[0xff, 0xfe, 0x41], Array("né\n\"\\".utf8), Array("日本".utf8)]
        let bytes = try write { writer in
            for name in names {
                try add("x", name, owner, to: writer)
                try writer.add(
                    "link", .symbolicLink(name.map { CChar(bitPattern: $0) } + [0]), owner)
            }
        }
        let lines = try read(bytes)
        let expected = names.flatMap { name in
            let text = pythonText(of: name)
            return [
                "0 400 4000000000 2100000 5 1 0 0 \(text) '' b'x'",
                "2 400 4000000000 2100000 5 0 0 0 'link' \(text) ",
            ]
        }
        #expect(lines == expected)
        // And as GNU tar, for which the form is named, does.
        let directory = try TemporaryDirectory()
        let archive = try directory.write("archive.tar", bytes)
        #expect(try run("tar", ["-tf", archive]).code == 0)
    }

    private func pythonText(of bytes: [UInt8]) -> String {
        (try? runSuccessfully(
            "python3",
            [
                "-c",
                "import sys; print(ascii(bytes.fromhex(sys.argv[1]).decode('utf-8', 'surrogateescape')), end='')",
            ]
                + [bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()])) ?? ""
    }

    @Test("a file that grew or shrank while it was written is an error, and no archive that looks whole")
    func changed() throws {
        let owner = TarAttributes(permissions: 0o400, modified: 5)
        #expect(throws: ArchiveError.self) {
            try write { writer in
                try writer.add("file", .file(3), owner)
                try Array("four".utf8).withUnsafeBytes { try writer.write($0) }
            }
        }
        let sink = Memory()
        var writer: TarWriter? = try TarWriter(sink)
        try writer?.add("file", .file(3), owner)
        writer = nil
        #expect(throws: (any Error).self) { try read(sink.bytes) }
    }

    @Test("what keeps the sink from writing is the error")
    func failingSink() throws {
        struct Full: Error {}
        final class Sink: ByteSink {
            func write(_ bytes: UnsafeRawBufferPointer) throws { throw Full() }
        }
        let writer = try TarWriter(Sink())
        #expect(throws: Full.self) {
            try writer.add("file", .directory, TarAttributes(permissions: 0o400, modified: 5))
            try writer.finish()
        }
    }
}
