// A line is one flat JSON object of texts. The parser finds where names and values are; nothing is copied.
//
// This is what every reader does with every byte: one parser, with the memory of its spans, serves line after line. A
// line as our own writer makes them is only looked through for its quotation marks, 64 bytes at a time (`parsePlain`);
// whatever is unusual about one, the parser looks at it again, strictly.

import CLinux

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

    /// Without escapes.
    @inline(__always) init(name: UInt32, end nameEnd: UInt32, value: UInt32, end valueEnd: UInt32) {
        nameStart = name
        self.nameEnd = nameEnd
        valueStart = value
        self.valueEnd = valueEnd
    }

    /// Whether the name, which has no escapes, has so many bytes.
    @inline(__always) func hasPlainName(ofLength count: UInt32) -> Bool { nameEnd &- nameStart == count }

    var name: Range<Int> { Range(uncheckedBounds: (Int(nameStart), Int(nameEnd & ~Self.escaped))) }
    var value: Range<Int> { Range(uncheckedBounds: (Int(valueStart), Int(valueEnd & ~Self.escaped))) }
    var nameIsEscaped: Bool { nameEnd & Self.escaped != 0 }
    var valueIsEscaped: Bool { valueEnd & Self.escaped != 0 }
}

/// Fields one after the other, where they stand in a line: valid as long as the parser has no other line.
typealias FieldSpans = UnsafeBufferPointer<FieldSpan>

/// Room for spans, which serves line after line.
private struct SpanBuffer: ~Copyable {
    private var memory = UnsafeMutableBufferPointer<FieldSpan>.allocate(capacity: 64)
    private var count = 0

    deinit { memory.deallocate() }

    var spans: FieldSpans { FieldSpans(rebasing: memory[..<count]) }

    mutating func removeAll() { count = 0 }

    mutating func append(_ span: FieldSpan) {
        if count == memory.count { reserve(2 * count) }
        memory.initializeElement(at: count, to: span)
        count += 1
    }

    /// Has room for so many more.
    private mutating func reserve(_ capacity: Int) {
        let larger = UnsafeMutableBufferPointer<FieldSpan>.allocate(capacity: capacity)
        _ = larger.moveInitialize(fromContentsOf: memory[..<count])
        memory.deallocate()
        memory = larger
    }

    /// So many spans, to be written by the caller, in place of those that were.
    mutating func replaceAll(count: Int) -> UnsafeMutableBufferPointer<FieldSpan> {
        self.count = 0
        if count > memory.count { reserve(count) }
        self.count = count
        return memory
    }
}

/// A JSON string's inside.
struct ParsedText {
    let start: Int
    let end: Int
    let isEscaped: Bool
}

/// Parses objects of texts, strictly by RFC 8259.
struct ObjectParser: ~Copyable {
    /// The longest line that is parsed.
    static let longestLine = 1 << 20

    private var bytes = UnsafeRawBufferPointer(start: nil, count: 0)
    private var origin = 0
    private(set) var position = 0
    /// Where the last line has its object: space around it is allowed.
    private(set) var object = 0..<0
    private var buffer = SpanBuffer()
    /// Where a plain line has its quotation marks, four to a field.
    private var marks = QuotationMarks()

    /// The fields of the last object, relative to where it begins.
    var spans: FieldSpans { buffer.spans }

    /// Parses a line that is one object and nothing else.
    mutating func parseLine(_ line: UnsafeRawBufferPointer) throws(LineProblem) {
        guard line.count <= Self.longestLine else {
            throw LineProblem(reason: "is longer than \(Self.longestLine) bytes", position: 0)
        }
        try parseObject(in: line, from: 0)
        let end = position
        skipSpace()
        guard position == bytes.count else { throw problem("has something behind its object") }
        object = object.lowerBound..<end
    }

    /// How many bytes behind a text `parsePlain` looks at: they have to be there, whatever they are.
    static let readBeyond = Int(ducc_marks_beyond)

    /// Parses the line that a text begins with, where that is one of ASCII without spaces between its texts and without a
    /// backslash in them: an object and nothing else.
    ///
    /// - Returns: its length, the line feed not counted; nil where it is none, and then nothing is said of it.
    mutating func parsePlain(_ text: UnsafeRawBufferPointer) -> Int? {
        guard let length = marks.find(in: text), marks.count % 4 == 0, marks.count > 0,
            text[0] == UInt8(ascii: "{"), text[length - 1] == UInt8(ascii: "}")
        else { return nil }
        let marks = marks.positions
        let count = self.marks.count / 4
        let spans = buffer.replaceAll(count: count)
        // No bit is set as long as all stands where it should.
        var wrong: UInt32 = 0
        var begin: UInt32 = 1
        for index in 0..<count {
            let (name, nameEnd) = (marks[4 &* index], marks[4 &* index &+ 1])
            let (value, valueEnd) = (marks[4 &* index &+ 2], marks[4 &* index &+ 3])
            wrong |= (name ^ begin) | (value ^ (nameEnd &+ 2))
            wrong |= UInt32(text[Int(nameEnd) &+ 1] ^ UInt8(ascii: ":"))
            // Behind the last one is the line's end, which was looked at.
            if index &+ 1 < count { wrong |= UInt32(text[Int(valueEnd) &+ 1] ^ UInt8(ascii: ",")) }
            begin = valueEnd &+ 2
            spans.initializeElement(
                at: index,
                to: FieldSpan(name: name &+ 1, end: nameEnd, value: value &+ 1, end: valueEnd))
        }
        object = 0..<length
        return wrong == 0 && Int(begin) == length && length <= Self.longestLine ? length : nil
    }

    /// Parses an object that begins at an offset; `position` is then behind it, or where it ceases to be one.
    mutating func parseObject(in text: UnsafeRawBufferPointer, from start: Int) throws(LineProblem) {
        bytes = UnsafeRawBufferPointer(rebasing: text[..<min(text.count, start + Self.longestLine)])
        origin = start
        position = start
        buffer.removeAll()
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
            let value = try parseText()
            buffer.append(FieldSpan(name: name, value: value))
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

    /// The same for one byte.
    @inline(__always) static func contains(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == 0x22 || byte == 0x5c || byte >= 0x80
    }
}

/// Where a line has its quotation marks.
private struct QuotationMarks: ~Copyable {
    /// The positions of those that were found.
    var positions: UnsafePointer<UInt32> { UnsafePointer(memory) }
    private(set) var count = 0
    private let memory = UnsafeMutablePointer<UInt32>.allocate(capacity: most + Int(ducc_marks_more))
    private static let most = 256

    deinit { memory.deallocate() }

    /// Finds them in the line that a text begins with.
    ///
    /// - Returns: the line's length; nil where it isn't whole, has anything but plain ASCII, or very many of them.
    mutating func find(in text: UnsafeRawBufferPointer) -> Int? {
        guard let base = text.baseAddress else { return nil }
        let length = ducc_plain_line(
            base.assumingMemoryBound(to: CChar.self), text.count, memory, Self.most, &count)
        return length < 0 ? nil : length
    }
}
