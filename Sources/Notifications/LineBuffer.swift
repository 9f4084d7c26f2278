// One line is put together here, in memory that is reused for every event of a writer.

import Glibc

/// The bytes of one line, with room in front for the line feed that a repaired file needs.
///
/// It is as large as the longest line could become before it is cut, so that encoding needs no check per byte:
/// `fits` is asked once per event.
struct LineBuffer: ~Copyable {
    /// One byte before the line's first.
    private let memory: UnsafeMutablePointer<UInt8>
    private let capacity: Int
    private(set) var count = 0

    init(capacity: Int) {
        self.capacity = capacity
        memory = .allocate(capacity: capacity + 1)
        memory.pointee = UInt8(ascii: "\n")
    }

    deinit { memory.deallocate() }

    /// The line.
    var line: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: memory + 1, count: count) }

    /// The line with a line feed before it.
    var lineAfterLineFeed: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: memory, count: count + 1)
    }

    mutating func clear() { count = 0 }

    /// Whether text of this many bytes fits even where each byte becomes a `\u0000`.
    func fits(_ textBytes: Int) -> Bool { count + textBytes * 6 <= capacity }

    mutating func append(_ byte: UInt8) {
        memory[1 + count] = byte
        count += 1
    }

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard let start = bytes.baseAddress else { return }
        memcpy(memory + 1 + count, start, bytes.count)
        count += bytes.count
    }

    mutating func append(_ bytes: [UInt8]) { bytes.withUnsafeBytes { append($0) } }

    mutating func append(text: StaticString) {
        append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// A number in decimal.
    mutating func append(number: UInt64) {
        var digits = 1
        var rest = number / 10
        while rest > 0 {
            digits += 1
            rest /= 10
        }
        appendDigits(number, width: digits)
    }

    /// The last `width` digits of a number, zeros in front.
    mutating func appendDigits(_ number: UInt64, width: Int) {
        var rest = number
        var position = 1 + count + width
        for _ in 0..<width {
            position -= 1
            memory[position] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
        count += width
    }

    /// Text as the inside of a JSON string.
    ///
    /// Beyond what JSON demands, U+2028 and U+2029 are escaped, which programs other than ours take for the end of a
    /// line, and the control characters from U+0080 to U+009F, which terminals obey: a line stays one line for
    /// everybody, and text.
    mutating func appendEscaped(_ text: String) {
        // Through a span: nothing is retained or copied, of short texts neither.
        text.utf8Span.span.withUnsafeBufferPointer { appendEscaped($0) }
    }

    private mutating func appendEscaped(_ source: UnsafeBufferPointer<UInt8>) {
        guard let base = source.baseAddress else { return }
        var index = 0
        let end = source.count
        while index < end {
            // Eight at a time, as long as none of them is special or beyond ASCII.
            let start = index
            let target = UnsafeMutableRawPointer(memory + 1 + count)
            while index + 8 <= end {
                let word = UnsafeRawPointer(base + index).loadUnaligned(as: UInt64.self)
                if SpecialBytes.mask(word) != 0 { break }
                target.storeBytes(of: word, toByteOffset: index - start, as: UInt64.self)
                index += 8
            }
            count += index - start
            if index == end { break }
            let byte = base[index]
            if byte >= 0x20 && byte != 0x22 && byte != 0x5c && byte != 0xc2 && byte != 0xe2 {
                memory[1 + count] = byte
                count += 1
                index += 1
                continue
            }
            index += appendSpecial(source, index)
        }
    }

    /// - Returns: how many source bytes were used up.
    private mutating func appendSpecial(_ source: UnsafeBufferPointer<UInt8>, _ index: Int) -> Int {
        let byte = source[index]
        switch byte {
        case 0x22, 0x5c:
            append(0x5c)
            append(byte)
        case 0x0a: append(text: "\\n")
        case 0x0d: append(text: "\\r")
        case 0x09: append(text: "\\t")
        case 0xc2 where source[index + 1] < 0xa0:
            appendControl(source[index + 1])
            return 2
        case 0xe2 where source[index + 1] == 0x80 && source[index + 2] & 0xfe == 0xa8:
            append(text: source[index + 2] == 0xa8 ? "\\u2028" : "\\u2029")
            return 3
        case 0xc2, 0xe2: append(byte)
        default: appendControl(byte)
        }
        return 1
    }

    private mutating func appendControl(_ code: UInt8) {
        append(text: "\\u00")
        append(LineHash.digit(code >> 4))
        append(LineHash.digit(code & 15))
    }
}
