// A layer's three threads: what is fetched, what is inflated and what is unpacked meet only where they should.

import Archive
import Glibc
import Images
import Layers
import Platform
import Support
import Synchronization
import Testing

@Suite("A layer's pipeline")
struct PipelineTests {
    /// A blob that takes its time, and notices when two threads are at it.
    private final class Exclusive: ByteStream {
        let violations = Atomic<Int>(0)
        private let isInUse = Atomic<Bool>(false)
        private let source: any ByteStream

        init(_ source: any ByteStream) { self.source = source }

        func next() throws -> UnsafeRawBufferPointer {
            if isInUse.exchange(true, ordering: .relaxed) { violations.add(1, ordering: .relaxed) }
            defer { isInUse.store(false, ordering: .relaxed) }
            poll(nil, 0, 1)
            return try source.next()
        }
    }

    /// Four megabytes in a file.
    private static let archive = TarBuilder.archive { tar in
        tar.add("large", content: (0..<(4 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 9) })
    }
    private static let garbage = (0..<(8 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 5) }

    private func unpack(_ blob: [UInt8]) throws -> Int {
        let directory = try TemporaryDirectory()
        let digest = try #require(Digest(sha256Hex: SHA256.hex(of: blob)))
        let descriptor = Descriptor(mediaType: MediaType.ociLayer, digest: digest, size: Int64(blob.count))
        try Files.makeDirectories(directory.path("root"))
        let root = SharedDescriptor(
            try OwnedDescriptor(opening: directory.path("root"), O_RDONLY | O_DIRECTORY))
        let source = Exclusive(try FileStream(path: try directory.write("blob", blob)))
        defer { #expect(source.violations.load(ordering: .relaxed) == 0, "two threads read one blob") }
        return try LayerUnpacker.unpack(
            try VerifiedStream(source, descriptor), into: root, diffIdentifier: nil, created: timespec()
        ).entries
    }

    @Test("whatever it is compressed with, and whatever is behind it, one thread at a time reads the blob")
    func exclusive() throws {
        let packed = [
            Self.archive, try Compression.gzip.apply(Self.archive), try Compression.zstd.apply(Self.archive),
        ]
        for blob in packed { #expect(try unpack(blob) == 1) }
        for blob in packed { _ = try? unpack(blob + Self.garbage) }
        _ = try? unpack(Array(packed[2].prefix(packed[2].count / 2)) + Self.garbage)
    }

    @Test("a layer that is compressed twice is none")
    func twice() throws {
        let inner = try Compression.gzip.apply(Self.archive)
        for blob in [inner, inner + Self.garbage] {
            let twice = try Compression.zstd.apply(blob)
            #expect(throws: ArchiveError.self) { try unpack(twice) }
        }
    }
}
