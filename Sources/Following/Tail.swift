// Where the last lines of a file begin, without reading all of it.

import Glibc
import Notifications
import Platform

/// Offsets near the end of a file.
enum Tail {
    private static let window: Int64 = 64 << 10

    /// Behind the last complete line.
    ///
    /// - Throws: `SystemError`.
    static func end(of file: FoundFile) throws(SystemError) -> Int64 {
        if file.compression != nil { return try lastOffsets(0, in: file) { _ in false }.end }
        let descriptor = try file.open()
        return end(of: descriptor.raw, size: RegularFile.size(of: descriptor.raw))
    }

    /// Behind the last complete line within a size.
    private static func end(of descriptor: CInt, size: Int64) -> Int64 {
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
        if file.compression != nil {
            let (offsets, end) = try lastOffsets(count, in: file, matching: matching)
            return count > 0 ? offsets.oldest ?? 0 : end
        }
        let descriptor = try file.open()
        let end = end(of: descriptor.raw, size: RegularFile.size(of: descriptor.raw))
        guard count > 0 else { return end }
        var window = window
        while true {
            // A line that begins before the window is cut off at its end: `end(of:)` finds where that is.
            let start = end - window <= 0 ? 0 : Self.end(of: descriptor.raw, size: end - window)
            var offsets = LastOffsets(count)
            var reader = NotificationReader(offset: start, fileFingerprint: file.fingerprint)
            reading: while try reader.fill(from: descriptor.raw, path: file.path) {
                while reader.offset < end {
                    let offset = reader.offset
                    guard let item = reader.next() else { continue reading }
                    if case .event(let event) = item, matching(event) { offsets.add(offset) }
                }
                break
            }
            if let oldest = offsets.oldest { return oldest }
            if start == 0 { return 0 }
            window *= 8
        }
    }

    /// A compressed file has no end that one could begin with: all of it is read.
    private static func lastOffsets(
        _ count: Int, in file: FoundFile, matching: (Event) -> Bool
    ) throws(SystemError) -> (offsets: LastOffsets, end: Int64) {
        let stream = try OpenStream(file, offset: 0)
        var offsets = LastOffsets(count)
        repeat {
            while true {
                let offset = stream.offset
                guard let item = stream.next() else { break }
                if case .event(let event) = item, matching(event) { offsets.add(offset) }
            }
        } while try stream.fill(after: try stream.judge())
        return (offsets, stream.offset)
    }
}

/// The last offsets of many.
private struct LastOffsets {
    private let count: Int
    private var offsets: [Int64] = []
    /// Where the next one goes, once there are as many as are kept.
    private var next = 0

    init(_ count: Int) { self.count = count }

    /// The first one that is kept; nil as long as there are fewer than asked for.
    var oldest: Int64? { count > 0 && offsets.count == count ? offsets[next] : nil }

    mutating func add(_ offset: Int64) {
        guard count > 0 else { return }
        if offsets.count < count {
            offsets.append(offset)
        } else {
            offsets[next] = offset
            next = (next + 1) % count
        }
    }
}
