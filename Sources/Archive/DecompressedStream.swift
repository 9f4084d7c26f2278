// What a blob is compressed with is read from its first bytes, never from its media type: registries hold layers that
// are labelled wrongly, and a label is no reason to fail.

import Platform

/// Decompression by content.
package enum Decompression {
    /// The decompressed bytes of a stream: gzip, zstd, or the bytes themselves where they are neither.
    ///
    /// - Throws: the stream's error; `ArchiveError`, now or while the result is read.
    package static func stream(_ source: any ByteStream) throws -> any ByteStream {
        let peeked = PeekedStream(source)
        let magic = try peeked.peek(4)
        if magic.starts(with: gzip) { return GzipStream(peeked) }
        return isCompressed(magic) ? try LibarchiveFilterStream(peeked, .zstandard) : peeked
    }

    /// Whether a stream with these first bytes (four, or fewer where there are no more) is decompressed by `stream`.
    package static func isCompressed(_ magic: [UInt8]) -> Bool {
        magic.starts(with: gzip) || magic == zstandard || isSkippableFrame(magic)
    }

    private static let gzip: [UInt8] = [0x1f, 0x8b]
    private static let zstandard: [UInt8] = [0x28, 0xb5, 0x2f, 0xfd]

    /// zstd allows frames of other data in front (RFC 8878, section 3.1.2), as eStargz' and `zstd:chunked`'s tools write.
    private static func isSkippableFrame(_ magic: [UInt8]) -> Bool {
        magic.count == 4 && magic[0] & 0xf0 == 0x50 && magic[1...] == [0x2a, 0x4d, 0x18]
    }
}

/// A stream whose first bytes can be looked at before it is read.
final class PeekedStream: SkippingStream {
    private let source: any ByteStream
    /// What was read ahead: lent as one chunk first.
    private var front: [UInt8] = []
    private let lent: UnsafeMutableRawBufferPointer
    private var rest = UnsafeRawBufferPointer(start: nil, count: 0)

    init(_ source: any ByteStream) {
        self.source = source
        lent = .allocate(byteCount: 16, alignment: 8)
    }

    deinit { lent.deallocate() }

    /// The first `count` bytes (16 at the most), fewer where the stream is shorter. To be called before `next`.
    func peek(_ count: Int) throws -> [UInt8] {
        while front.count < count {
            let chunk = try source.next()
            if chunk.isEmpty { break }
            let taken = min(count - front.count, chunk.count)
            front.append(contentsOf: chunk[..<taken])
            rest = UnsafeRawBufferPointer(rebasing: chunk[taken...])
        }
        return front
    }

    func next() throws -> UnsafeRawBufferPointer {
        if !front.isEmpty {
            lent.copyBytes(from: front)
            let count = front.count
            front = []
            return UnsafeRawBufferPointer(rebasing: lent[..<count])
        }
        if !rest.isEmpty {
            defer { rest = UnsafeRawBufferPointer(start: nil, count: 0) }
            return rest
        }
        return try source.next()
    }

    func skip(_ count: Int64) -> Int64 {
        guard front.isEmpty, rest.isEmpty, let source = source as? any SkippingStream else { return 0 }
        return source.skip(count)
    }
}
