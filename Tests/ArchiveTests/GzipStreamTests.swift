import Archive
import Platform
import Support
import Testing

@Suite("Decompression by content")
struct DecompressionTests {
    /// A stream that gives what it has in chunks of one size.
    final class Chunks: ByteStream {
        private var rest: ArraySlice<UInt8>
        private let size: Int
        private let lent: UnsafeMutableRawBufferPointer

        init(_ bytes: [UInt8], of size: Int) {
            rest = bytes[...]
            self.size = size
            lent = .allocate(byteCount: size, alignment: 1)
        }

        deinit { lent.deallocate() }

        func next() throws -> UnsafeRawBufferPointer {
            let chunk = rest.prefix(size)
            rest = rest.dropFirst(size)
            // The memory of the chunk before is overwritten, as a real stream's is.
            lent.copyBytes(from: chunk)
            return UnsafeRawBufferPointer(rebasing: lent[..<chunk.count])
        }
    }

    static func inflate(_ bytes: [UInt8], chunk: Int = 4096) throws -> [UInt8]? {
        try Decompression.stream(Chunks(bytes, of: chunk)).collect(limit: 1 << 30)
    }

    static let text = Array(
        String(repeating: "the quick brown fox jumps over the lazy dog\n", count: 3000).utf8)

    @Test(
        "gzip made by gzip is inflated, whatever the size of the chunks", arguments: [1, 2, 3, 7, 100, 65536])
    func chunks(size: Int) throws {
        let packed = try Compression.tool("gzip", ["-c", "-9"], Self.text)
        #expect(try Self.inflate(packed, chunk: size) == Self.text)
    }

    @Test(
        "several members, a name in the header and zeros behind the last are read",
        arguments: [1, 2, 5, 9, 4096])
    func members(size: Int) throws {
        let one = try Compression.tool("gzip", ["-c"], Self.text)
        let two = Compression.storedGzip(Array("second".utf8), name: "a name")
        let empty = Compression.storedGzip([])
        let packed = one + two + empty + one + [UInt8](repeating: 0, count: 1000)
        #expect(try Self.inflate(packed, chunk: size) == Self.text + Array("second".utf8) + Self.text)
    }

    @Test("a header with every optional part is read, in pieces of any size", arguments: 1..<20)
    func header(size: Int) throws {
        var packed = Compression.storedGzip(Array("content".utf8))
        // FHCRC, FEXTRA, FNAME and FCOMMENT: RFC 1952, section 2.3.1.
        packed[3] = 2 | 4 | 8 | 16
        packed.insert(contentsOf: [3, 0, 1, 2, 3] + Array("name\0comment\0".utf8) + [0xaa, 0xbb], at: 10)
        #expect(try Self.inflate(packed + packed, chunk: size) == Array("contentcontent".utf8))
    }

    @Test("members of every length up to 300 bytes are found behind each other", arguments: [1, 13, 4096])
    func seams(size: Int) throws {
        var packed: [UInt8] = []
        var expected: [UInt8] = []
        for length in 0..<300 {
            let piece = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ length) }
            packed += Compression.storedGzip(piece)
            expected += piece
        }
        #expect(try Self.inflate(packed, chunk: size) == expected)
    }

    @Test("gzip cut short at any byte is an error, never a shorter result")
    func cut() throws {
        let packed = try Compression.tool("gzip", ["-c"], Array(Self.text.prefix(2000)))
        for length in 4..<packed.count {
            #expect(throws: ArchiveError.self, "cut after \(length) of \(packed.count)") {
                try Self.inflate(Array(packed.prefix(length)), chunk: 50)
            }
        }
    }

    @Test("a flipped bit and other data behind the end are errors")
    func damaged() throws {
        var packed = Compression.storedGzip(Self.text)
        packed[packed.count / 2] ^= 1
        #expect(throws: ArchiveError("gzip data has a wrong checksum")) { try Self.inflate(packed) }
        let followed = Compression.storedGzip(Self.text) + Array("garbage".utf8)
        #expect(throws: ArchiveError("there is something that isn't gzip behind the gzip data")) {
            try Self.inflate(followed)
        }
    }

    @Test("what lies before the damage in gzip data is given out, and only then the error")
    func beforeDamage() throws {
        let numbers = Array((0..<60_000).map { "\($0 &* 2_654_435_761)\n" }.joined().utf8)
        let packed = try Compression.tool("gzip", ["-c"], numbers)
        for length in [100, 1000, packed.count / 2, packed.count - 8, packed.count - 1] {
            let cut = Array(packed.prefix(length))
            // As much of it as zlib finds.
            let expected = try Compression.tool(
                "/usr/bin/python3",
                [
                    "-c",
                    "import sys, zlib; sys.stdout.buffer.write(zlib.decompressobj(31).decompress(sys.stdin.buffer.read()))",
                ], cut)
            let stream = try Decompression.stream(Chunks(cut, of: 4096))
            var found: [UInt8] = []
            let error = #expect(throws: ArchiveError.self) {
                while true {
                    let piece = try stream.next()
                    if piece.isEmpty { return }
                    found += piece
                }
            }
            #expect(error == ArchiveError("gzip data is cut short"))
            // ISA-L keeps what it can't tell the end of: less than a match is long.
            #expect(
                expected.starts(with: found) && expected.count - found.count < 258,
                "\(found.count) of \(expected.count) bytes of \(length)")
            #expect(try stream.next().isEmpty)
        }
    }

    @Test("zstd, several frames of it, and what is not compressed at all pass too")
    func others() throws {
        let frame = try Compression.zstd.apply(Self.text)
        #expect(try Self.inflate(frame) == Self.text)
        #expect(try Self.inflate(frame + frame, chunk: 100) == Self.text + Self.text)
        #expect(try Self.inflate(Self.text, chunk: 3) == Self.text)
        #expect(try Self.inflate([]) == [])
        #expect(throws: ArchiveError.self) { try Self.inflate(Array(frame.dropLast(5))) }
    }
}
