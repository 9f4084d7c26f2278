// Where the last lines of a file begin, without reading all of it.

import Glibc
import Notifications
import Platform

/// Offsets near the end of a file.
enum Tail {
    private static let window: Int64 = 64 << 10

    /// Behind the last complete line.
    static func end(of descriptor: CInt, size: Int64) -> Int64 {
        var end = size
        var chunk = [UInt8](repeating: 0, count: Int(window))
        while end > 0 {
            let start = max(0, end - window)
            let count = chunk.withUnsafeMutableBytes { buffer in
                retrying { pread(descriptor, buffer.baseAddress, Int(end - start), Int(start)) }
            }
            guard count > 0 else { return 0 }
            if let last = chunk[..<count].lastIndex(of: UInt8(ascii: "\n")) { return start + Int64(last) + 1 }
            end = start
        }
        return 0
    }

    /// Where the last `count` events that match begin, or 0 where there are fewer.
    ///
    /// - Throws: `SystemError`.
    static func offset(
        of count: Int, in file: FoundFile, matching: (Event) -> Bool
    ) throws(SystemError) -> Int64 {
        let end = end(of: file.descriptor.raw, size: file.size)
        guard count > 0 else { return end }
        var window = window
        while true {
            // A line that begins before the window is cut off at its end: `end(of:)` finds where that is.
            let start = end - window <= 0 ? 0 : Self.end(of: file.descriptor.raw, size: end - window)
            var offsets: [Int64] = []
            var reader = NotificationReader(offset: start, fileFingerprint: file.firstLine?.fingerprint ?? "")
            reading: while try reader.fill(from: file.descriptor.raw, path: file.path) {
                while reader.offset < end {
                    let offset = reader.offset
                    guard let item = reader.next() else { continue reading }
                    guard case .event(let event) = item, matching(event) else { continue }
                    if offsets.count == count { offsets.removeFirst() }
                    offsets.append(offset)
                }
                break
            }
            if offsets.count == count || start == 0 { return offsets.count == count ? offsets[0] : 0 }
            window *= 8
        }
    }
}
