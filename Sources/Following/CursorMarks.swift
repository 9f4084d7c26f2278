// What a file has before a cursor's offset. A log that was appended to just before a power failure may come back without
// its end, and others write to it before anybody looks: it begins as it did, and has other events where the cursor is.
// With the ends of the last lines that were read it is known which of its lines are still the same.

import Glibc
import Notifications
import Platform

extension Cursor {
    /// What a file has before an offset, as text: `OFFSET:HASH`, the greatest offset first, with a blank between them; each
    /// hash is of the last bytes before its offset.
    public struct Marks: Codable, Equatable, Sendable {
        private let text: String

        /// How many bytes make a hash: with the `check` in them they are no other line's.
        private static let length: Int64 = 64
        /// So far back each line's end is marked, up to so many of them, and then one after twice as far each time.
        private static let window: Int64 = 32 << 10
        private static let mostLines = 32

        public init(from decoder: any Decoder) throws {
            text = try decoder.singleValueContainer().decode(String.self)
        }

        public func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            try container.encode(text)
        }

        /// The marks of an open file.
        ///
        /// - Throws: `SystemError`.
        init(in descriptor: CInt, before offset: Int64) throws(SystemError) {
            let begin = max(0, offset - Self.window)
            let bytes = try FileBytes.read(from: descriptor, at: begin, count: Int(offset - begin))
            var marks = ["\(offset):\(Self.hash(bytes[...]))"]
            var end = bytes.count
            while marks.count < Self.mostLines,
                let feed = bytes[..<max(0, end - 1)].lastIndex(of: UInt8(ascii: "\n"))
            {
                end = feed + 1
                // Near the window's beginning there is too little before it.
                if end < Self.length, begin > 0 { break }
                marks.append("\(begin + Int64(end)):\(Self.hash(bytes[..<end]))")
            }
            var distance = max(Self.length, 2 * (offset - begin - Int64(end)))
            while offset > distance {
                let place = offset - distance
                marks.append("\(place):\(try Self.hash(in: descriptor, before: place))")
                distance *= 2
            }
            text = marks.joined(separator: " ")
        }

        /// The greatest offset that a file still has before it what was there.
        ///
        /// - Returns: 0 where there is none.
        /// - Throws: `SystemError`.
        func known(in descriptor: CInt) throws(SystemError) -> Int64 {
            for mark in text.split(separator: " ") {
                let parts = mark.split(separator: ":")
                guard parts.count == 2, let offset = Int64(parts[0]), offset > 0 else { continue }
                if try Self.hash(in: descriptor, before: offset) == parts[1] { return offset }
            }
            return 0
        }

        private static func hash(in descriptor: CInt, before offset: Int64) throws(SystemError) -> String {
            let count = min(offset, length)
            let bytes = try FileBytes.read(from: descriptor, at: offset - count, count: Int(count))
            return bytes.count == count ? hash(bytes[...]) : ""
        }

        /// FNV-1a of the last bytes.
        private static func hash(_ bytes: ArraySlice<UInt8>) -> String {
            var hash: UInt64 = 0xcbf2_9ce4_8422_2325
            for byte in bytes.suffix(Int(length)) { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
            return String(hash, radix: 16)
        }
    }
}

extension Cursor.File {
    /// How far the file is still what was read: the offset, or the end of the last line that it still has.
    ///
    /// - Throws: `SystemError`; `isMoved` where the file has another name by now.
    func knownOffset(in found: FoundFile) throws(SystemError) -> Int64 {
        guard let marks else { return min(offset, found.size) }
        let descriptor = try found.open()
        let known = try marks.known(in: descriptor.raw)
        return known == offset || known == 0 ? known : try Self.lineEnd(in: descriptor.raw, from: known)
    }

    /// The offset itself behind a line feed, or else behind the next one; where there is none for long, the offset too: the
    /// rest of a line is no event.
    private static func lineEnd(in descriptor: CInt, from offset: Int64) throws(SystemError) -> Int64 {
        let bytes = try FileBytes.read(
            from: descriptor, at: offset - 1, count: NotificationReader.longestLine + 1)
        return bytes.firstIndex(of: UInt8(ascii: "\n")).map { offset + Int64($0) } ?? offset
    }
}
