// The text that the inside of a JSON string stands for.

/// Resolves escapes in what `ObjectParser` has accepted.
enum TextDecoder {
    static func text(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, isEscaped: Bool) -> String {
        let source = UnsafeRawBufferPointer(rebasing: bytes[range])
        guard isEscaped else { return String(decoding: source, as: UTF8.self) }
        var result: [UInt8] = []
        result.reserveCapacity(source.count)
        var index = 0
        while index < source.count {
            let byte = source[index]
            guard byte == UInt8(ascii: "\\") else {
                result.append(byte)
                index += 1
                continue
            }
            if source[index + 1] == UInt8(ascii: "u") {
                let (scalar, length) = scalar(source, index)
                result.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
                index += length
            } else {
                result.append(single(source[index + 1]))
                index += 2
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// The value of 4 hexadecimal digits.
    static func hexadecimal(_ bytes: UnsafeRawBufferPointer, _ start: Int) -> UInt32? {
        guard start + 4 <= bytes.count else { return nil }
        var value: UInt32 = 0
        for byte in bytes[start..<start + 4] {
            switch byte {
            case 0x30...0x39: value = value << 4 | UInt32(byte - 0x30)
            case 0x41...0x46: value = value << 4 | UInt32(byte - 0x41 + 10)
            case 0x61...0x66: value = value << 4 | UInt32(byte - 0x61 + 10)
            default: return nil
            }
        }
        return value
    }

    /// One `\uXXXX`, or two that are a surrogate pair; half a pair becomes U+FFFD, as Go and browsers have it.
    private static func scalar(_ source: UnsafeRawBufferPointer, _ index: Int) -> (Unicode.Scalar, Int) {
        let replacement: Unicode.Scalar = "\u{fffd}"
        let unit = hexadecimal(source, index + 2) ?? 0xfffd
        guard (0xd800..<0xdc00).contains(unit) else { return (Unicode.Scalar(unit) ?? replacement, 6) }
        guard index + 12 <= source.count, source[index + 6] == UInt8(ascii: "\\"),
            source[index + 7] == UInt8(ascii: "u"), let low = hexadecimal(source, index + 8),
            (0xdc00..<0xe000).contains(low)
        else { return (replacement, 6) }
        return (Unicode.Scalar(0x10000 + (unit - 0xd800) << 10 + (low - 0xdc00)) ?? replacement, 12)
    }

    private static func single(_ byte: UInt8) -> UInt8 {
        switch byte {
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0c
        case UInt8(ascii: "n"): 0x0a
        case UInt8(ascii: "r"): 0x0d
        case UInt8(ascii: "t"): 0x09
        default: byte
        }
    }
}
