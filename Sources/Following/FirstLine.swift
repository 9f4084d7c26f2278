import Glibc
import Notifications
import Platform

/// A file's first complete line: what it is recognised by under any name.
struct FirstLine: Equatable {
    /// Without the line feed.
    let bytes: [UInt8]
    let fingerprint: String

    /// nil as long as there is no complete first line, or one too long to be an event.
    init?(of descriptor: CInt) {
        var size = 4 << 10
        while true {
            var bytes = [UInt8](repeating: 0, count: size)
            let count = bytes.withUnsafeMutableBytes { buffer in
                retrying { pread(descriptor, buffer.baseAddress, buffer.count, 0) }
            }
            guard count > 0 else { return nil }
            if let end = bytes[..<count].firstIndex(of: UInt8(ascii: "\n")) {
                self.bytes = Array(bytes[..<end])
                fingerprint = LineIdentity.fileFingerprint(firstLine: self.bytes)
                return
            }
            guard count == size, size <= NotificationReader.longestLine else { return nil }
            size *= 4
        }
    }

    /// Whether the file still begins with this line.
    func isStill(in descriptor: CInt) -> Bool {
        var now = [UInt8](repeating: 0, count: bytes.count + 1)
        let count = now.withUnsafeMutableBytes { buffer in
            retrying { pread(descriptor, buffer.baseAddress, buffer.count, 0) }
        }
        return count == now.count && now.last == UInt8(ascii: "\n") && now.dropLast().elementsEqual(bytes)
    }
}
