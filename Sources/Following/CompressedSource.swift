// What is left to read of a compressed file. It doesn't grow any more: it is read once, from front to back.

import Notifications
import Platform

/// The decompressed bytes of a file, from an offset on.
final class CompressedSource {
    private let stream: any ByteStream
    private let name: String
    /// How much of it was read before, and is passed over.
    private let offset: Int64
    private var passed: Int64 = 0
    private var lastPassed: UInt8 = 0
    /// What of a piece the reader had no room for.
    private var rest = UnsafeRawBufferPointer(start: nil, count: 0)

    /// - Throws: `SystemError`, `ArchiveError`.
    init(_ found: FoundFile, _ descriptor: SharedDescriptor, offset: Int64) throws {
        stream = try StoredBytes.stream(
            descriptor, path: found.path, compression: found.compression, size: found.size)
        name = found.name
        self.offset = offset
    }

    /// Gives the reader more.
    ///
    /// - Returns: false at the end.
    /// - Throws: `SystemError`, `ArchiveError`, `CompressedSource.Shorter`.
    func fill(_ reader: inout NotificationReader) throws -> Bool {
        if passed < offset {
            try passOver()
            reader.begin(behind: lastPassed)
        }
        if rest.isEmpty { rest = try stream.next() }
        guard !rest.isEmpty else { return false }
        rest = UnsafeRawBufferPointer(rebasing: rest[reader.feed(rest)...])
        return true
    }

    private func passOver() throws {
        while passed < offset {
            let chunk = try stream.next()
            guard !chunk.isEmpty else { throw Shorter(name: name, size: passed, read: offset) }
            let count = Int(min(Int64(chunk.count), offset - passed))
            passed += Int64(count)
            lastPassed = chunk[count - 1]
            rest = UnsafeRawBufferPointer(rebasing: chunk[count...])
        }
    }

    /// More of a file was read than it has.
    struct Shorter: Error, CustomStringConvertible {
        let name: String
        let size: Int64
        let read: Int64
        var description: String { "\(name) has \(size) bytes, \(read) of it were read: going on at its end" }
    }
}
