// What a file has before a cursor's offset. A log that was appended to just before a power failure may come back without its
// end, and grow beyond the cursor before anybody looks: it begins as it did, and has another event where the cursor is.

import Glibc
import Notifications
import Platform

extension Cursor.Mark {
    /// How many bytes are looked at.
    private static let length: Int64 = 64
    /// How far before a cursor's offset the marks are. What a machine has not yet written to its disk is the work of
    /// seconds; whatever is between the last mark that holds and the cursor is read again.
    private static let distances: [Int64] = [0, 4 << 10, 256 << 10, 16 << 20]

    /// The marks of an open file for a cursor at an offset.
    ///
    /// - Throws: `SystemError`.
    static func all(in descriptor: CInt, before offset: Int64) throws(SystemError) -> [Cursor.Mark] {
        var marks: [Cursor.Mark] = []
        for distance in distances where offset > distance {
            marks.append(try Cursor.Mark(in: descriptor, before: offset - distance))
        }
        return marks
    }

    private init(in descriptor: CInt, before offset: Int64) throws(SystemError) {
        let count = min(offset, Self.length)
        let bytes = try FileBytes.read(from: descriptor, at: offset - count, count: Int(count))
        self.offset = offset
        hash = String(SHA256.hex(of: bytes).prefix(16))
    }

    fileprivate func holds(in descriptor: CInt) throws(SystemError) -> Bool {
        try Cursor.Mark(in: descriptor, before: offset).hash == hash
    }
}

extension Cursor.File {
    /// How far the file is still what was read: the offset, or the end of the line at the last mark that holds.
    ///
    /// - Throws: `SystemError`; `isMoved` where the file has another name by now.
    func knownOffset(in found: FoundFile) throws(SystemError) -> Int64 {
        guard let marks, !marks.isEmpty else { return offset }
        let descriptor = try found.open()
        var known: Int64 = 0
        for mark in marks where mark.offset > known {
            if try mark.holds(in: descriptor.raw) { known = mark.offset }
        }
        if known == marks[0].offset { return offset }
        return known == 0 ? 0 : try Self.lineEnd(in: descriptor.raw, from: known)
    }

    /// Behind the next line feed; where there is none for long, the offset itself: the rest of a line is no event.
    private static func lineEnd(in descriptor: CInt, from offset: Int64) throws(SystemError) -> Int64 {
        let bytes = try FileBytes.read(
            from: descriptor, at: offset - 1, count: NotificationReader.longestLine + 1)
        return bytes.firstIndex(of: UInt8(ascii: "\n")).map { offset + Int64($0) } ?? offset
    }
}
