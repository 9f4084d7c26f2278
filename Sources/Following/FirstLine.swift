import Glibc
import Notifications
import Platform

/// A file's first complete line that isn't empty (empty lines mean nothing): what it is recognised by under any name.
struct FirstLine: Equatable {
    /// Without the line feed.
    let bytes: [UInt8]
    let fingerprint: String
    /// How many line feeds are before it.
    private let emptyLines: Int

    /// nil as long as there is no complete first line, or one too long to be an event, or the file can't be read.
    init?(of descriptor: CInt) {
        var size = 4 << 10
        while true {
            var bytes = [UInt8](repeating: 0, count: size)
            let count = bytes.withUnsafeMutableBytes { buffer in
                retrying { pread(descriptor, buffer.baseAddress, buffer.count, 0) }
            }
            guard count > 0 else { return nil }
            let start = bytes[..<count].firstIndex { $0 != UInt8(ascii: "\n") } ?? count
            if let end = bytes[start..<count].firstIndex(of: UInt8(ascii: "\n")) {
                self.bytes = Array(bytes[start..<end])
                emptyLines = start
                fingerprint = LineIdentity.fileFingerprint(firstLine: self.bytes)
                return
            }
            guard count == size, size <= NotificationReader.longestLine else { return nil }
            size = min(size * 4, NotificationReader.longestLine + 1)
        }
    }

    /// Likewise of a stream of bytes.
    init?(of stream: any ByteStream) {
        var bytes: [UInt8] = []
        var start = 0
        while let chunk = try? stream.next(), !chunk.isEmpty {
            let known = bytes.count
            bytes.append(contentsOf: chunk)
            if start == known {
                start = bytes[start...].firstIndex { $0 != UInt8(ascii: "\n") } ?? bytes.count
            }
            if let end = bytes[max(start, known)...].firstIndex(of: UInt8(ascii: "\n")) {
                self.bytes = Array(bytes[start..<end])
                emptyLines = start
                fingerprint = LineIdentity.fileFingerprint(firstLine: self.bytes)
                return
            }
            if bytes.count > NotificationReader.longestLine { return nil }
        }
        return nil
    }

    /// When the event that it is happened; empty where that isn't known.
    var timestamp: String { (try? Event(line: bytes))?.timestamp ?? "" }

    /// Whether the file still begins with this line.
    ///
    /// - Throws: `SystemError` where it can't be read, which says nothing about what it holds.
    func isStill(in descriptor: CInt) throws(SystemError) -> Bool {
        let expected =
            [UInt8](repeating: UInt8(ascii: "\n"), count: emptyLines) + bytes + [UInt8(ascii: "\n")]
        return try FileBytes.read(from: descriptor, at: 0, count: expected.count) == expected
    }
}

/// A piece of an open file, wherever it was read to.
enum FileBytes {
    /// The bytes at an offset, fewer at the file's end.
    ///
    /// - Throws: `SystemError`.
    static func read(from descriptor: CInt, at offset: Int64, count: Int) throws(SystemError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let found = bytes.withUnsafeMutableBytes { buffer in
            retrying { pread(descriptor, buffer.baseAddress, buffer.count, off_t(offset)) }
        }
        guard found >= 0 else { throw SystemError("read") }
        return Array(bytes[..<found])
    }
}
