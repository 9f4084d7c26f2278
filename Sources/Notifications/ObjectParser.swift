// A line is one flat JSON object of texts. The parser finds where names and values are; nothing is copied.
//
// This is what every reader does with every byte: eight bytes are looked at at a time, and one parser, with the memory
// of its spans, serves line after line. A line as our own writer makes them is only looked through for its quotation
// marks (`parsePlain`); whatever is unusual about one, the parser looks at it again, strictly.

/// Where a field's name and value stand in the line, without their quotation marks.
struct FieldSpan: Equatable {
    // 16 bytes instead of 40: an event keeps one for each field. The highest bit says that there is a backslash in it,
    // so that the bytes are not the text; `ObjectParser.longestLine` leaves it free.
    private let nameStart: UInt32
    private let nameEnd: UInt32
    private let valueStart: UInt32
    private let valueEnd: UInt32
    private static let escaped: UInt32 = 1 << 31

    init(name: ParsedText, value: ParsedText) {
        nameStart = UInt32(truncatingIfNeeded: name.start)
        nameEnd = UInt32(truncatingIfNeeded: name.end) | (name.isEscaped ? Self.escaped : 0)
        valueStart = UInt32(truncatingIfNeeded: value.start)
        valueEnd = UInt32(truncatingIfNeeded: value.end) | (value.isEscaped ? Self.escaped : 0)
    }

    var name: Range<Int> { Range(uncheckedBounds: (Int(nameStart), Int(nameEnd & ~Self.escaped))) }
    var value: Range<Int> { Range(uncheckedBounds: (Int(valueStart), Int(valueEnd & ~Self.escaped))) }
    var nameIsEscaped: Bool { nameEnd & Self.escaped != 0 }
    var valueIsEscaped: Bool { valueEnd & Self.escaped != 0 }
}

/// A JSON string's inside.
struct ParsedText {
    let start: Int
    let end: Int
    let isEscaped: Bool
}

/// Parses objects of texts, strictly by RFC 8259.
struct ObjectParser {
    /// The longest line that is parsed.
    static let longestLine = 1 << 20

    private var bytes = UnsafeRawBufferPointer(start: nil, count: 0)
    private var origin = 0
    private(set) var position = 0
    /// Where the last line has its object: space around it is allowed.
    private(set) var object = 0..<0
    /// The fields of the last object, relative to where it begins.
    private(set) var spans: [FieldSpan] = []
    /// Where a plain line has its quotation marks, four to a field.
    private var marks = QuotationMarks()

    init() { spans.reserveCapacity(32) }

    /// Parses a line that is one object and nothing else.
    mutating func parseLine(_ line: UnsafeRawBufferPointer) throws(LineProblem) {
        guard line.count <= Self.longestLine else {
            throw LineProblem(reason: "is longer than \(Self.longestLine) bytes", position: 0)
        }
        if parsePlain(line) { return }
        try parseObject(in: line, from: 0)
        let end = position
        skipSpace()
        guard position == bytes.count else { throw problem("has something behind its object") }
        object = object.lowerBound..<end
    }

    /// Parses a line of ASCII without spaces between its texts and without a backslash in them.
    ///
    /// - Returns: whether it is one; if not, nothing is said of it.
    private mutating func parsePlain(_ line: UnsafeRawBufferPointer) -> Bool {
        guard let count = marks.find(in: line), count % 4 == 0, count > 0 else { return false }
        spans.removeAll(keepingCapacity: true)
        let isPlain = marks.positions.withUnsafeBufferPointer { marks in
            // Where the last text ended: its quotation mark, and the comma behind it.
            var behind = 1
            var first = UInt8(ascii: "{")
            for index in stride(from: 0, to: count, by: 4) {
                let name = (Int(marks[index]), Int(marks[index + 1]))
                let value = (Int(marks[index + 2]), Int(marks[index + 3]))
                guard name.0 == behind, line[behind - 1] == first, value.0 == name.1 + 2,
                    line[name.1 + 1] == UInt8(ascii: ":")
                else { return false }
                spans.append(
                    FieldSpan(
                        name: ParsedText(start: name.0 + 1, end: name.1, isEscaped: false),
                        value: ParsedText(start: value.0 + 1, end: value.1, isEscaped: false)))
                behind = value.1 + 2
                first = UInt8(ascii: ",")
            }
            return behind == line.count && line[behind - 1] == UInt8(ascii: "}")
        }
        object = 0..<line.count
        return isPlain
    }

    /// Parses an object that begins at an offset; `position` is then behind it, or where it ceases to be one.
    mutating func parseObject(in text: UnsafeRawBufferPointer, from start: Int) throws(LineProblem) {
        bytes = UnsafeRawBufferPointer(rebasing: text[..<min(text.count, start + Self.longestLine)])
        origin = start
        position = start
        spans.removeAll(keepingCapacity: true)
        skipSpace()
        object = position - origin..<position - origin
        try expect(UInt8(ascii: "{"), "is not a JSON object")
        skipSpace()
        if take(UInt8(ascii: "}")) { return }
        while true {
            let name = try parseText()
            skipSpace()
            try expect(UInt8(ascii: ":"), "has no : behind a name")
            skipSpace()
            spans.append(FieldSpan(name: name, value: try parseText()))
            skipSpace()
            if take(UInt8(ascii: ",")) {
                skipSpace()
                continue
            }
            try expect(UInt8(ascii: "}"), "has neither , nor } behind a value")
            return
        }
    }

    private func problem(_ reason: String) -> LineProblem {
        LineProblem(reason: position >= bytes.count ? "ends too early" : reason, position: position - origin)
    }

    @inline(__always) private mutating func skipSpace() {
        while position < bytes.count, bytes[position] <= 0x20 {
            guard bytes[position] == 0x20 || bytes[position] == 0x09 || bytes[position] == 0x0d else {
                return
            }
            position += 1
        }
    }

    @inline(__always) private mutating func take(_ byte: UInt8) -> Bool {
        guard position < bytes.count, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    @inline(__always) private mutating func expect(_ byte: UInt8, _ reason: StaticString) throws(LineProblem)
    {
        guard take(byte) else { throw problem("\(reason)") }
    }

    @inline(__always) private mutating func parseText() throws(LineProblem) -> ParsedText {
        try expect(UInt8(ascii: "\""), "has something that is no text")
        let start = position
        var isEscaped = false
        while true {
            skipPlain()
            guard position < bytes.count else { throw problem("ends too early") }
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") {
                position += 1
                return ParsedText(start: start - origin, end: position - 1 - origin, isEscaped: isEscaped)
            }
            if byte == UInt8(ascii: "\\") {
                isEscaped = true
                try parseEscape()
            } else if byte < 0x20 {
                throw problem("has a control character in a text")
            } else {
                try parseCharacter(byte)
            }
        }
    }

    /// Up to the next byte that needs a look: a quotation mark, a backslash, a control character or not ASCII.
    @inline(__always) private mutating func skipPlain() {
        while position + 8 <= bytes.count {
            let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self))
            let special = SpecialBytes.mask(word)
            if special != 0 {
                position += special.trailingZeroBitCount >> 3
                return
            }
            position += 8
        }
        while position < bytes.count, !SpecialBytes.contains(bytes[position]) { position += 1 }
    }

    private mutating func parseEscape() throws(LineProblem) {
        guard position + 1 < bytes.count else {
            position = bytes.count
            throw problem("ends too early")
        }
        switch bytes[position + 1] {
        case UInt8(ascii: "u"):
            guard TextDecoder.hexadecimal(bytes, position + 2) != nil else {
                // Digits that are cut off may still come; others than digits stay wrong.
                if bytes[(position + 2)...].count < 4 { position = bytes.count }
                throw problem("has \\u without 4 hexadecimal digits")
            }
            position += 6
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            position += 2
        default: throw problem("has an unknown escape")
        }
    }

    /// One character of more than one byte: the shortest form only, no surrogates, nothing above U+10FFFF.
    private mutating func parseCharacter(_ first: UInt8) throws(LineProblem) {
        let length: Int
        let range: ClosedRange<UInt8>
        switch first {
        case 0xc2...0xdf: (length, range) = (2, 0x80...0xbf)
        case 0xe0: (length, range) = (3, 0xa0...0xbf)
        case 0xed: (length, range) = (3, 0x80...0x9f)
        case 0xe1...0xef: (length, range) = (3, 0x80...0xbf)
        case 0xf0: (length, range) = (4, 0x90...0xbf)
        case 0xf1...0xf3: (length, range) = (4, 0x80...0xbf)
        case 0xf4: (length, range) = (4, 0x80...0x8f)
        default: throw problem("is not UTF-8")
        }
        for offset in 1..<length {
            guard position + offset < bytes.count else {
                position = bytes.count
                throw problem("ends too early")
            }
            let allowed = offset == 1 ? range : 0x80...0xbf
            guard allowed.contains(bytes[position + offset]) else { throw problem("is not UTF-8") }
        }
        position += length
    }
}

/// Eight bytes at a time: which of them are not plain text inside a JSON string.
enum SpecialBytes {
    private static let ones: UInt64 = 0x0101_0101_0101_0101

    /// The high bit of each byte that is a control character, a quotation mark, a backslash or not ASCII.
    ///
    /// A byte borrows from its high bit where it is smaller than what is taken away; that spreads upwards only, so the
    /// lowest bit is always a true one.
    @inline(__always) static func mask(_ word: UInt64) -> UInt64 {
        let control = word &- ones &* 0x20
        let quotation = (word ^ ones &* 0x22) &- ones
        let backslash = (word ^ ones &* 0x5c) &- ones
        return (control | quotation | backslash | word) & (ones &* 0x80)
    }

    static let spaces = ones &* 0x20
    static let highs = ones &* 0x80

    /// A high bit where any byte is a control character, a backslash or not ASCII.
    @inline(__always) static func unquoted(_ word: UInt64) -> UInt64 {
        (word &- ones &* 0x20) | ((word ^ ones &* 0x5c) &- ones) | word
    }

    /// A bit for each byte that is a quotation mark, the first byte's lowest, where all bytes are ASCII.
    @inline(__always) static func quotations(_ word: UInt64) -> UInt64 {
        // No byte borrows from the next one: none is greater than 0x80.
        let found = (highs &- (word ^ ones &* 0x22)) & highs
        // Gathers the eight high bits in the highest byte.
        return ((found >> 7) &* 0x0102_0408_1020_4080) >> 56
    }

    /// The same for one byte.
    @inline(__always) static func contains(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == 0x22 || byte == 0x5c || byte >= 0x80
    }
}

/// Where a line has its quotation marks.
struct QuotationMarks {
    /// The first of them, as many as were found.
    private(set) var positions: [UInt32]
    /// With room for what a block may have more.
    private static let most = 256

    init() { positions = [UInt32](repeating: 0, count: Self.most + 64) }

    /// Finds them.
    ///
    /// - Returns: how many there are; nil where the line has anything but plain ASCII, or very many.
    mutating func find(in line: UnsafeRawBufferPointer) -> Int? {
        positions.withUnsafeMutableBufferPointer { positions in
            var found = 0
            var special: UInt64 = 0
            var begin = 0
            while begin < line.count {
                guard found <= Self.most else { return nil }
                var block: UInt64 = 0
                var offset = 0
                while offset < 64, begin + offset + 8 <= line.count {
                    let word = UInt64(
                        littleEndian: line.loadUnaligned(fromByteOffset: begin + offset, as: UInt64.self))
                    special |= SpecialBytes.unquoted(word)
                    block |= SpecialBytes.quotations(word) << UInt64(offset)
                    offset += 8
                }
                if offset < 64 {
                    var word = SpecialBytes.spaces
                    for index in (begin + offset..<line.count).reversed() {
                        word = word << 8 | UInt64(line[index])
                    }
                    special |= SpecialBytes.unquoted(word)
                    block |= SpecialBytes.quotations(word) << UInt64(offset)
                }
                while block != 0 {
                    positions[found] = UInt32(truncatingIfNeeded: begin &+ block.trailingZeroBitCount)
                    found &+= 1
                    block &= block &- 1
                }
                begin += 64
            }
            return special & SpecialBytes.highs == 0 ? found : nil
        }
    }
}
