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

/// A stream of which bytes can be passed over without being read.
public protocol SkippingStream: ByteStream {
    /// Passes over bytes.
    ///
    /// - Returns: how many, `count` at the most; 0 where the next ones have to be read.
    func skip(_ count: Int64) -> Int64
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
public final class FileStream: SkippingStream {
    private let descriptor: SharedDescriptor
    private let path: String
    private let buffer: UnsafeMutableRawBufferPointer
    /// Where in the file it is; nil for a file that has no places (a pipe).
    private var offset: Int64?

    /// Opens a file.
    ///
    /// - Throws: `SystemError`.
    public convenience init(path: String) throws(SystemError) {
        self.init(SharedDescriptor(try OwnedDescriptor(opening: path, O_RDONLY)), path: path)
    }

    /// Reads an open file from its beginning; several streams may read one file.
    ///
    /// - Parameter path: what errors call it.
    public init(_ descriptor: SharedDescriptor, path: String) {
        self.descriptor = descriptor
        self.path = path
        buffer = .allocate(byteCount: 256 << 10, alignment: 16)
        offset = lseek(descriptor.raw, 0, SEEK_CUR) >= 0 ? 0 : nil
    }

    deinit { buffer.deallocate() }

    /// The file's next bytes.
    ///
    /// - Throws: `SystemError`.
    public func next() throws -> UnsafeRawBufferPointer {
        if offset == nil { try waitForInput() }
        let count = retrying {
            if let offset { return pread(descriptor.raw, buffer.baseAddress, buffer.count, off_t(offset)) }
            return read(descriptor.raw, buffer.baseAddress, buffer.count)
        }
        guard count >= 0 else { throw SystemError("read", path) }
        if let offset { self.offset = offset + Int64(count) }
        return UnsafeRawBufferPointer(rebasing: buffer[..<count])
    }

    /// A pipe's writer may take its time: a signal ends the wait.
    private func waitForInput() throws(Interrupted) {
        var waiting = [
            pollfd(fd: descriptor.raw, events: Int16(POLLIN), revents: 0),
            pollfd(fd: Interruption.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        _ = retrying { poll(&waiting, 2, -1) }
        try Interruption.check()
    }

    /// Passes over bytes of a file that has places, but not over its end.
    public func skip(_ count: Int64) -> Int64 {
        guard let offset else { return 0 }
        var information = stat()
        guard fstat(descriptor.raw, &information) == 0, information.st_mode & S_IFMT == S_IFREG else {
            return 0
        }
        let skipped = max(0, min(count, Int64(information.st_size) - offset))
        self.offset = offset + skipped
        return skipped
    }
}
