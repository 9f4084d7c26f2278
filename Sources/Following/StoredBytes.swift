// The bytes of a stream's file from its beginning, whether they are compressed or not.

import Archive
import Glibc
import Platform

/// Reads an open file, decompressed.
enum StoredBytes {
    /// The file's bytes up to a size, decompressed.
    ///
    /// - Parameters:
    ///   - compression: `gz`, `xz`, `zst` or `bz2`; nil where it isn't compressed.
    ///   - size: of the file as it lies on the disk.
    /// - Throws: `SystemError`, `ArchiveError`; so does the stream.
    static func stream(
        _ descriptor: SharedDescriptor, path: String, compression: String?, size: Int64
    ) throws -> any ByteStream {
        let raw = DescriptorStream(descriptor, path: path, size: size)
        switch compression {
        case nil: return raw
        case "gz": return GzipStream(raw)
        case "xz": return try LibarchiveFilterStream(raw, .xz)
        case "zst": return try LibarchiveFilterStream(raw, .zstandard)
        case "bz2": return try LibarchiveFilterStream(raw, .bzip2)
        case .some(let other): throw ArchiveError("files compressed as .\(other) are not understood")
        }
    }
}

/// An open file from its beginning to a given size, or to where it ends before.
private final class DescriptorStream: ByteStream {
    private let descriptor: SharedDescriptor
    private let path: String
    private let size: Int64
    private var offset: Int64 = 0
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 64)

    init(_ descriptor: SharedDescriptor, path: String, size: Int64) {
        self.descriptor = descriptor
        self.path = path
        self.size = size
    }

    deinit { buffer.deallocate() }

    func next() throws -> UnsafeRawBufferPointer {
        let wanted = min(Int64(buffer.count), size - offset)
        guard wanted > 0 else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        let count = retrying { pread(descriptor.raw, buffer.baseAddress, Int(wanted), Int(offset)) }
        guard count >= 0 else { throw SystemError("read", path) }
        offset += Int64(count)
        return UnsafeRawBufferPointer(rebasing: buffer[..<count])
    }
}
