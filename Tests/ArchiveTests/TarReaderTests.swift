import Archive
import Platform
import Support
import Testing

@Suite("Reading tar archives")
struct TarReaderTests {
    /// A file that counts what is read of it.
    private final class Counted: SkippingStream {
        private(set) var count = 0
        private let file: FileStream
        init(_ path: String) throws { file = try FileStream(path: path) }

        func next() throws -> UnsafeRawBufferPointer {
            let chunk = try file.next()
            count += chunk.count
            return chunk
        }

        func skip(_ count: Int64) -> Int64 { file.skip(count) }
    }

    private func large() throws -> [UInt8] {
        TarBuilder.archive { tar in
            tar.add("large", content: [UInt8](repeating: 1, count: 20 << 20))
            tar.file("small", "here")
        }
    }

    @Test("data that nobody asks for is passed over, not read")
    func skipping() throws {
        let directory = try TemporaryDirectory()
        let stream = try Counted(try directory.write("archive.tar", try large()))
        let reader = try TarReader(stream)
        #expect(try reader.next()?.size == 20 << 20)
        #expect(try reader.next()?.size == 4)
        let block = try #require(try reader.nextBlock())
        #expect(Array(block.bytes) == Array("here".utf8))
        #expect(stream.count < 2 << 20)
    }

    @Test("an archive that ends in what is passed over is cut short, not at its end")
    func cutShort() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.write("archive.tar", Array(try large().prefix(10 << 20)))
        let reader = try TarReader(try FileStream(path: path))
        #expect(try reader.next()?.size == 20 << 20)
        #expect(throws: ArchiveError.self) { try reader.next() }
    }
}
