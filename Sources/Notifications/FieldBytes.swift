// Values where they lie in a line, read without a copy.

import Glibc

/// What bytes of a value mean.
enum FieldBytes {
    static func equal(_ bytes: UnsafeRawBufferPointer, _ text: StaticString) -> Bool {
        guard bytes.count == text.utf8CodeUnitCount, let base = bytes.baseAddress else { return false }
        return memcmp(base, text.utf8Start, bytes.count) == 0
    }

    static func number(_ bytes: UnsafeRawBufferPointer) -> UInt64? {
        guard (1...19).contains(bytes.count) else { return nil }
        var value: UInt64 = 0
        for byte in bytes {
            guard (0x30...0x39).contains(byte) else { return nil }
            value = value * 10 + UInt64(byte - 0x30)
        }
        return value
    }

    /// 32 hexadecimal digits, or a UUID.
    static func hexadecimal(_ bytes: UnsafeRawBufferPointer, dashes: Bool = false) -> UInt128? {
        guard bytes.count == (dashes ? 36 : 32) else { return nil }
        var halves: (high: UInt64, low: UInt64) = (0, 0)
        guard dashes else {
            guard digits(bytes, 0..<16, &halves.high), digits(bytes, 16..<32, &halves.low) else { return nil }
            return UInt128(halves.high) << 64 | UInt128(halves.low)
        }
        let dash = UInt8(ascii: "-")
        guard bytes[8] == dash, bytes[13] == dash, bytes[18] == dash, bytes[23] == dash,
            digits(bytes, 0..<8, &halves.high), digits(bytes, 9..<13, &halves.high),
            digits(bytes, 14..<18, &halves.high), digits(bytes, 19..<23, &halves.low),
            digits(bytes, 24..<36, &halves.low)
        else { return nil }
        return UInt128(halves.high) << 64 | UInt128(halves.low)
    }

    /// Adds digits to a value.
    ///
    /// - Returns: whether they are digits.
    private static func digits(
        _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, _ value: inout UInt64
    ) -> Bool {
        for index in range {
            let byte = bytes[index]
            switch byte {
            case 0x30...0x39: value = value << 4 | UInt64(byte &- 0x30)
            case 0x61...0x66: value = value << 4 | UInt64(byte &- 0x61 &+ 10)
            default: return false
            }
        }
        return true
    }
}
