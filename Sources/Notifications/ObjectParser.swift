// A line is one flat JSON object of texts. The parser finds where names and values are; nothing is copied.

/// Where a field's name and value stand in the line, without their quotation marks.
struct FieldSpan: Equatable {
    let name: Range<Int>
    let value: Range<Int>
    /// Whether there is a backslash in it, so that the bytes are not the text.
    let nameIsEscaped: Bool
    let valueIsEscaped: Bool
}

/// Parses one object of texts, strictly by RFC 8259.
struct ObjectParser {
    private let bytes: UnsafeRawBufferPointer
    private(set) var position: Int
    private(set) var spans: [FieldSpan] = []

    init(_ bytes: UnsafeRawBufferPointer, from position: Int = 0) {
        self.bytes = bytes
        self.position = position
        spans.reserveCapacity(20)
    }

    /// Parses an object that begins here; `position` is then behind it.
    mutating func parseObject() throws(LineProblem) {
        skipSpace()
        try expect(UInt8(ascii: "{"), "is not a JSON object")
        skipSpace()
        if take(UInt8(ascii: "}")) { return }
        while true {
            let (name, nameIsEscaped) = try parseText()
            skipSpace()
            try expect(UInt8(ascii: ":"), "has no : behind a name")
            skipSpace()
            let (value, valueIsEscaped) = try parseText()
            spans.append(
                FieldSpan(
                    name: name, value: value, nameIsEscaped: nameIsEscaped, valueIsEscaped: valueIsEscaped))
            skipSpace()
            if take(UInt8(ascii: "}")) { return }
            try expect(UInt8(ascii: ","), "has neither , nor } behind a value")
            skipSpace()
        }
    }

    /// Demands that nothing but space is left.
    mutating func parseEnd() throws(LineProblem) {
        skipSpace()
        guard position == bytes.count else { throw problem("has something behind its object") }
    }

    private func problem(_ reason: String) -> LineProblem {
        LineProblem(reason: position >= bytes.count ? "ends too early" : reason, position: position)
    }

    private mutating func skipSpace() {
        while position < bytes.count, [0x20, 0x09, 0x0d].contains(bytes[position]) { position += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard position < bytes.count, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    private mutating func expect(_ byte: UInt8, _ reason: String) throws(LineProblem) {
        guard take(byte) else { throw problem(reason) }
    }

    private mutating func parseText() throws(LineProblem) -> (Range<Int>, isEscaped: Bool) {
        try expect(UInt8(ascii: "\""), "has something that is no text")
        let start = position
        var isEscaped = false
        while position < bytes.count {
            let byte = bytes[position]
            switch byte {
            case UInt8(ascii: "\""):
                position += 1
                return (start..<position - 1, isEscaped)
            case UInt8(ascii: "\\"):
                isEscaped = true
                try parseEscape()
            case 0..<0x20: throw problem("has a control character in a text")
            case 0x20..<0x80: position += 1
            default: try parseCharacter(byte)
            }
        }
        throw problem("ends too early")
    }

    private mutating func parseEscape() throws(LineProblem) {
        guard position + 1 < bytes.count else {
            position = bytes.count
            throw problem("ends too early")
        }
        switch bytes[position + 1] {
        case UInt8(ascii: "u"):
            guard position + 6 <= bytes.count, TextDecoder.hexadecimal(bytes, position + 2) != nil else {
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
        let second = position + 1 < bytes.count ? bytes[position + 1] : 0
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
        guard position + length <= bytes.count, range.contains(second) else { throw problem("is not UTF-8") }
        for offset in 2..<max(length, 2) where bytes[position + offset] & 0xc0 != 0x80 {
            throw problem("is not UTF-8")
        }
        position += length
    }
}
