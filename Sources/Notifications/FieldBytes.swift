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
        var high: UInt64 = 0
        var low: UInt64 = 0
        var count = 0
        for (index, byte) in bytes.enumerated() {
            let digit: UInt64
            switch byte {
            case 0x30...0x39: digit = UInt64(byte - 0x30)
            case 0x61...0x66: digit = UInt64(byte - 0x61 + 10)
            case UInt8(ascii: "-") where dashes && [8, 13, 18, 23].contains(index): continue
            default: return nil
            }
            if count < 16 { high = high << 4 | digit } else { low = low << 4 | digit }
            count += 1
        }
        return count == 32 ? UInt128(high) << 64 | UInt128(low) : nil
    }
}
