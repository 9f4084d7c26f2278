import Images
import Testing

private let hex = String(repeating: "0123456789abcdef", count: 4)

@Suite("Digests")
struct DigestTests {
    @Test("sha256: and 64 lower-case hex digits are one")
    func good() throws {
        let digest = try Digest("sha256:\(hex)")
        #expect(digest.hex == hex)
        #expect(digest.description == "sha256:\(hex)")
        #expect(Digest(sha256Hex: hex) == digest)
    }

    @Test(
        "anything else is refused with its reason",
        arguments: [
            ("", "bad digest '': has no algorithm; write sha256:HEX"),
            (hex, "bad digest '\(hex)': has no algorithm; write sha256:HEX"),
            ("sha256:", "bad digest 'sha256:': sha256: is followed by 64 hex digits, these are 0"),
            ("sha512:ab", "bad digest 'sha512:ab': only sha256 is supported, not 'sha512'"),
            ("SHA256:\(hex)", "bad digest 'SHA256:\(hex)': only sha256 is supported, not 'SHA256'"),
            (" sha256:\(hex)", "bad digest ' sha256:\(hex)': only sha256 is supported, not ' sha256'"),
            (
                "sha256:ABCDEF",
                "bad digest 'sha256:ABCDEF': sha256: is followed by lower-case hex digits only"
            ),
            (
                "sha256:\(hex)\n",
                "bad digest 'sha256:\(hex)\\u{a}': sha256: is followed by lower-case hex digits only"
            ),
            ("sha256:../x", "bad digest 'sha256:../x': sha256: is followed by lower-case hex digits only"),
            (
                "sha256:\(hex)0",
                "bad digest 'sha256:\(hex)0': sha256: is followed by 64 hex digits, these are 65"
            ),
        ])
    func bad(text: String, line: String) {
        let error = #expect(throws: DigestError.self) { try Digest(text) }
        #expect(error?.description == line)
    }

    @Test("bare hex digits are checked the same", arguments: ["", "ab", hex + "0", hex.uppercased()])
    func badHex(text: String) {
        #expect(Digest(sha256Hex: text) == nil)
    }
}
