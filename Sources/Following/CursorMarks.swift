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

        /// What was encoded: a text.
        ///
        /// - Throws: `DecodingError` for anything else.
        public init(from decoder: any Decoder) throws {
            text = try decoder.singleValueContainer().decode(String.self)
        }

        /// Encodes it as a text.
        ///
        /// - Throws: the encoder's error.
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
            // No marks are better than wrong ones.
            guard bytes.count == Int(offset - begin) else { throw SystemError("read", code: ESTALE) }
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

        /// The greatest of the offsets that a file still has before it what was there.
        ///
        /// - Returns: 0 where there is none; nil where all that was read is still there, or that can't be told.
        func known(in descriptor: CInt) -> Int64? {
            for (index, mark) in text.split(separator: " ").enumerated() {
                let parts = mark.split(separator: ":")
                guard parts.count == 2, let offset = Int64(parts[0]),
                    let hash = try? Self.hash(in: descriptor, before: offset)
                else { return nil }
                if hash == parts[1] { return index == 0 ? nil : offset }
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
    /// Up to where the file is still what was read of it: the end of the last line that it still has.
    ///
    /// - Returns: nil where all of it is still there, as far as can be told.
    /// - Throws: `SystemError`; `isMoved` where the file has another name by now.
    func knownEnd(in found: FoundFile) throws(SystemError) -> Int64? {
        guard let marks else { return found.size < offset ? found.size : nil }
        let descriptor = try found.open()
        guard let known = marks.known(in: descriptor.raw) else { return nil }
        if known == 0 { return 0 }
        // Its line, where it lies in one; where that has no end for long, the rest of it is no event.
        let bytes = try FileBytes.read(
            from: descriptor.raw, at: known - 1, count: NotificationReader.longestLine + 1)
        return bytes.firstIndex(of: UInt8(ascii: "\n")).map { known + Int64($0) } ?? known
    }
}
