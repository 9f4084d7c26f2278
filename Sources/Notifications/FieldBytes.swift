// Values where they lie in a line, read without a copy.

import Glibc

/// What bytes of a value mean.
enum FieldBytes {
    static func equal(_ bytes: UnsafeRawBufferPointer, _ text: StaticString) -> Bool {
        guard bytes.count == text.utf8CodeUnitCount, let base = bytes.baseAddress else { return false }
        return memcmp(base, text.utf8Start, bytes.count) == 0
    }

    /// Whether a few bytes stand at an offset, where so many bytes are: for those that a call takes longer than to compare.
    @inline(__always) static func equal(
        _ bytes: UnsafeRawBufferPointer, from offset: Int, _ wanted: UnsafeRawBufferPointer
    ) -> Bool {
        var index = 0
        while index &+ 8 <= wanted.count {
            if bytes.loadUnaligned(fromByteOffset: offset &+ index, as: UInt64.self)
                != wanted.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            {
                return false
            }
            index &+= 8
        }
        while index < wanted.count {
            if bytes[offset &+ index] != wanted[index] { return false }
            index &+= 1
        }
        return true
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
        func eight(_ offset: Int) -> UInt64 { bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self) }
        func four(_ offset: Int) -> UInt64 {
            UInt64(bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
        }
        var words: (UInt64, UInt64, UInt64, UInt64)
        if dashes {
            let dash = UInt8(ascii: "-")
            guard bytes[8] == dash, bytes[13] == dash, bytes[18] == dash, bytes[23] == dash else {
                return nil
            }
            words = (eight(0), four(9) | four(14) << 32, four(19) | four(24) << 32, eight(28))
        } else {
            words = (eight(0), eight(8), eight(16), eight(24))
        }
        guard let first = digits(words.0), let second = digits(words.1), let third = digits(words.2),
            let fourth = digits(words.3)
        else { return nil }
        return UInt128(first << 32 | second) << 64 | UInt128(third << 32 | fourth)
    }

    /// What eight hexadecimal digits say, the first one in the lowest byte; nil where not all are (lowercase) digits.
    private static func digits(_ word: UInt64) -> UInt64? {
        let ones: UInt64 = 0x0101_0101_0101_0101
        // A letter has this bit, a decimal digit hasn't.
        let letters = (word >> 6) & ones
        var values = (word & (ones &* 0x0f)) &+ letters &* 9
        // Ten and more is said by a letter and by nothing else; above 15 there is nothing.
        let tens = ((values &+ ones &* 6) >> 4) & ones
        let spelled = values &+ ones &* 0x30 &+ letters &* 0x27
        guard tens == letters, values & (ones &* 0xf0) == 0, spelled == word else { return nil }
        values = (values << 4 | values >> 8) & 0x00ff_00ff_00ff_00ff
        values = (values << 8 | values >> 16) & 0x0000_ffff_0000_ffff
        return (values << 16 | values >> 32) & 0xffff_ffff
    }
}
