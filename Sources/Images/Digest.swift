// Digests: the names of content. Only SHA-256 is used, because every published path and every check is made of it.

/// The SHA-256 digest of a manifest, a configuration or a blob.
///
/// A value of this type is always well formed, so its hex digits may become part of a path.
package struct Digest: Hashable, Sendable, CustomStringConvertible {
    /// 64 lower-case hex digits.
    package let hex: String

    /// Reads `sha256:` and 64 lower-case hex digits, and nothing else.
    ///
    /// - Throws: `DigestError`, which says what is wrong with the text.
    package init(_ text: String) throws(DigestError) {
        guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else {
            throw DigestError(text, "has no algorithm; write sha256:HEX")
        }
        let algorithm = text[..<colon]
        guard algorithm == "sha256" else {
            throw DigestError(text, "only sha256 is supported, not \(quoted(String(algorithm)))")
        }
        let hex = text[text.utf8.index(after: colon)...]
        guard hex.utf8.allSatisfy(isHexDigit) else {
            throw DigestError(text, "sha256: is followed by lower-case hex digits only")
        }
        guard hex.utf8.count == 64 else {
            throw DigestError(text, "sha256: is followed by 64 hex digits, these are \(hex.utf8.count)")
        }
        self.hex = String(hex)
    }

    /// Takes 64 lower-case hex digits; nil for anything else.
    package init?(sha256Hex hex: String) {
        guard hex.utf8.count == 64, hex.utf8.allSatisfy(isHexDigit) else { return nil }
        self.hex = hex
    }

    /// `sha256:` and the hex digits.
    package var description: String { "sha256:\(hex)" }
}

/// Text that is no digest.
package struct DigestError: Error, Equatable, Sendable, CustomStringConvertible {
    /// One line: the text and what is wrong with it.
    package let description: String

    init(_ text: String, _ problem: String) {
        description = "bad digest \(quoted(text)): \(problem)"
    }
}

private func isHexDigit(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
}
