// Random names and UUIDs from the kernel's generator.

import Glibc

/// Identifiers that nobody else has.
public enum RandomIdentifier {
    /// `count` random bytes.
    static func bytes(_ count: Int) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    }

    /// `count` random bytes as twice as many lower-case hex digits.
    public static func hex(_ count: Int) -> String { Hex.string(bytes(count)) }

    /// A version 4 UUID, RFC 9562, in lower case.
    public static func uuid() -> String {
        var value = bytes(16)
        value[6] = value[6] & 0x0f | 0x40
        value[8] = value[8] & 0x3f | 0x80
        let text = Array(Hex.string(value))
        return [0..<8, 8..<12, 12..<16, 16..<20, 20..<32].map { String(text[$0]) }.joined(separator: "-")
    }
}

/// Lower-case hexadecimal text.
public enum Hex {
    @usableFromInline static let digits = Array("0123456789abcdef".utf8)

    /// Two digits a byte.
    public static func string(_ bytes: some Sequence<UInt8>) -> String {
        var text: [UInt8] = []
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}
