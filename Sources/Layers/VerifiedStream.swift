// Bytes that prove themselves: whoever reads one of these streams to its end without an error has read exactly what a
// digest named. Nothing read from it may be made visible before that end.

import Images
import Platform

/// A blob, checked against its descriptor while it passes.
package final class VerifiedStream: ByteStream {
    private let source: any ByteStream
    private let descriptor: Descriptor
    private let hash: SHA256
    private let progress: (Int) throws -> Void
    /// How many bytes have passed.
    package private(set) var count: Int64 = 0
    private var verified = false

    /// - Parameters:
    ///   - source: the bytes as they come.
    ///   - descriptor: the digest and size they must have.
    ///   - progress: told of each chunk's length; what it throws ends the stream.
    package init(
        _ source: any ByteStream, _ descriptor: Descriptor,
        progress: @escaping (Int) throws -> Void = { _ in }
    ) throws {
        self.source = source
        self.descriptor = descriptor
        self.progress = progress
        hash = try SHA256()
    }

    package func next() throws -> UnsafeRawBufferPointer {
        let chunk = try source.next()
        if chunk.isEmpty {
            try verify()
            return chunk
        }
        count += Int64(chunk.count)
        guard count <= descriptor.size else {
            throw LayerError(
                "blob \(descriptor.digest) is longer than the \(descriptor.size) bytes the manifest says")
        }
        hash.update(chunk)
        try progress(chunk.count)
        return chunk
    }

    /// Reads what is left, so that the whole is verified, and throws if it isn't what it should be.
    package func drain() throws {
        while try !next().isEmpty {}
    }

    private func verify() throws {
        if verified { return }
        guard count == descriptor.size else {
            throw LayerError(
                "blob \(descriptor.digest) has \(count) bytes, but the manifest says \(descriptor.size)")
        }
        guard hash.finish() == descriptor.digest.hex else {
            throw LayerError(
                "blob \(descriptor.digest) has other bytes: its SHA-256 is \(hash.finish())")
        }
        verified = true
    }
}

/// A blob that is written to a file while it passes.
final class SpooledStream: ByteStream {
    private let source: VerifiedStream
    private let spool: SharedDescriptor
    private let path: String

    init(_ source: VerifiedStream, to spool: SharedDescriptor, path: String) {
        self.source = source
        self.spool = spool
        self.path = path
    }

    /// - Throws: the source's error, `SystemError` where the file takes no more.
    func next() throws -> UnsafeRawBufferPointer {
        let chunk = try source.next()
        if !chunk.isEmpty { try Files.writeAll(chunk, to: spool.raw, path: path) }
        return chunk
    }
}

/// A stream that is hashed and counted while it passes.
final class HashingStream: ByteStream {
    private let source: any ByteStream
    private let hash: SHA256
    private let limit: Int64
    private(set) var count: Int64 = 0

    init(_ source: any ByteStream, limit: Int64) throws {
        self.source = source
        self.limit = limit
        hash = try SHA256()
    }

    func next() throws -> UnsafeRawBufferPointer {
        let chunk = try source.next()
        count += Int64(chunk.count)
        guard count <= limit else {
            throw LayerError("the layer inflates to more than \(limit) bytes")
        }
        hash.update(chunk)
        return chunk
    }

    /// Reads what is left and gives the whole stream's digest, 64 lower-case hex digits.
    func finish() throws -> String {
        while try !next().isEmpty {}
        return hash.finish()
    }
}
