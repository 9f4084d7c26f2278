// Reads a notification file line by line, from any offset, while others append to it. Memory is bounded whatever is
// in the file; a line that is no event is reported and never stops the reading.

import Glibc
import Platform

/// What a reader found, in the file's order.
public enum NotificationItem: Sendable {
    /// An event.
    case event(Event)
    /// Something that is no event: torn by a crash, or foreign. What could be recovered of its line comes as events.
    case unreadable(LineProblem, excerpt: String)
}

/// Reads events from a file, as far as it is complete.
///
/// A last line without a line feed is not yet an event: it is read again once there is more.
public struct NotificationReader: ~Copyable {
    /// The longest line that is held in memory; a longer one is reported and skipped.
    public static let longestLine = 1 << 20
    private static let chunk = 256 << 10

    /// Where to go on after the items returned so far: behind the line of the last one, or at that line where more
    /// of it is to come.
    public private(set) var offset: Int64
    /// Where `fill` reads next: what is before it was given out or is held here.
    public var readOffset: Int64 { startOffset + Int64(end - start) }
    /// What the file is recognised by; empty as long as nobody knows.
    public var fileFingerprint: String

    private let buffer = UnsafeMutableRawBufferPointer.allocate(
        byteCount: longestLine + chunk, alignment: 16)
    /// The unread part of `buffer`.
    private var start = 0
    private var end = 0
    /// How far the unread part is known to have no line feed.
    private var scanned = 0
    /// The file offset of `start`.
    private var startOffset: Int64
    private var isSkipping = false
    private var pending: [NotificationItem] = []

    /// A reader that begins at an offset, which is the beginning of a line.
    public init(offset: Int64 = 0, fileFingerprint: String = "") {
        self.offset = offset
        self.fileFingerprint = fileFingerprint
        startOffset = offset
    }

    deinit { buffer.deallocate() }

    /// Goes on somewhere else in the file, or in another one.
    public mutating func move(to offset: Int64, fileFingerprint: String) {
        self.offset = offset
        self.fileFingerprint = fileFingerprint
        startOffset = offset
        start = 0
        end = 0
        scanned = 0
        isSkipping = false
        pending = []
    }

    /// The next item of what was read, or nil where `fill` must read more first.
    public mutating func next() -> NotificationItem? {
        while pending.isEmpty {
            guard let length = lineLength() else { return nil }
            let line = UnsafeRawBufferPointer(rebasing: buffer[start..<start + length])
            if isSkipping {
                isSkipping = false
            } else if length > 0 {
                if startOffset == 0 && fileFingerprint.isEmpty {
                    fileFingerprint = LineIdentity.fileFingerprint(firstLine: line)
                }
                pending = LineRecovery.items(in: line, fileFingerprint: fileFingerprint, offset: startOffset)
                pending.reverse()
            }
            start += length + 1
            startOffset += Int64(length + 1)
            scanned = start
            if pending.isEmpty { offset = startOffset }
        }
        let item = pending.removeLast()
        if pending.isEmpty { offset = startOffset }
        return item
    }

    /// Reads more of the file.
    ///
    /// - Returns: false at the end of what the file has now.
    /// - Throws: `SystemError`.
    public mutating func fill(from descriptor: CInt, path: String) throws(SystemError) -> Bool {
        if start > 0 {
            buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[start..<end]))
            end -= start
            scanned -= start
            start = 0
        }
        if end > Self.longestLine { skipLongLine() }
        let position = Int(startOffset) + end
        let count = retrying {
            pread(
                descriptor, buffer.baseAddress.map { $0 + end }, min(Self.chunk, buffer.count - end), position
            )
        }
        guard count >= 0 else { throw SystemError("read", path) }
        end += count
        return count > 0
    }

    /// The length of the complete line at `start`.
    private mutating func lineLength() -> Int? {
        guard scanned < end, let base = buffer.baseAddress,
            let found = memchr(base + scanned, CInt(UInt8(ascii: "\n")), end - scanned)
        else {
            scanned = end
            return nil
        }
        return found - UnsafeMutableRawPointer(base) - start
    }

    private mutating func skipLongLine() {
        if !isSkipping {
            let problem = LineProblem(reason: "is longer than \(Self.longestLine) bytes", position: 0)
            let excerpt = LineRecovery.excerpt(UnsafeRawBufferPointer(buffer))
            pending = [.unreadable(problem, excerpt: excerpt)]
        }
        isSkipping = true
        startOffset += Int64(end)
        start = 0
        end = 0
        scanned = 0
    }
}
