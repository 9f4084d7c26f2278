// Bytes that are pulled, a chunk at a time, so that whoever is slowest sets the pace and memory stays bounded. A chunk
// is lent, not copied: a chain of streams passes the same memory from the network to the file.

import Glibc

/// A source of bytes, read by one thread at a time.
public protocol ByteStream: AnyObject {
    /// The next bytes; empty at the end, and from then on.
    ///
    /// The memory belongs to the stream and is valid until the next call.
    /// - Throws: whatever the source is unable to do; after an error the stream is at its end.
    func next() throws -> UnsafeRawBufferPointer
}

extension ByteStream {
    /// Reads to the end.
    ///
    /// - Returns: the bytes, or nil where there are more than `limit`.
    /// - Throws: the stream's error.
    public func collect(limit: Int) throws -> [UInt8]? {
        var bytes: [UInt8] = []
        while true {
            let chunk = try next()
            if chunk.isEmpty { return bytes }
            guard bytes.count + chunk.count <= limit else { return nil }
            bytes.append(contentsOf: chunk)
        }
    }
}

/// A file as a stream.
public final class FileStream: ByteStream {
    private let descriptor: OwnedDescriptor
    private let path: String
    private let buffer: UnsafeMutableRawBufferPointer

    /// Opens a file.
    ///
    /// - Throws: `SystemError`.
    public init(path: String) throws(SystemError) {
        descriptor = try OwnedDescriptor(opening: path, O_RDONLY)
        self.path = path
        buffer = .allocate(byteCount: 256 << 10, alignment: 16)
    }

    deinit { buffer.deallocate() }

    /// The file's next bytes.
    ///
    /// - Throws: `SystemError`.
    public func next() throws -> UnsafeRawBufferPointer {
        let count = retrying { read(descriptor.raw, buffer.baseAddress, buffer.count) }
        guard count >= 0 else { throw SystemError("read", path) }
        return UnsafeRawBufferPointer(rebasing: buffer[..<count])
    }
}
