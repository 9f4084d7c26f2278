// What lines and files are recognised by.

import Platform

/// Hashes that name a line or a file.
public enum LineIdentity {
    /// What a file is recognised by, wherever it was renamed to: the first 32 hex digits of the SHA-256 of its first
    /// complete line, without the line feed.
    public static func fileFingerprint(firstLine: some Sequence<UInt8>) -> String { check(of: firstLine) }

    /// The identifier of a line that has no `event_id`: the same after a rotation and a restart.
    static func identifier(line: [UInt8], fileFingerprint: String, offset: Int64) -> String {
        "line:" + check(of: Array("\(fileFingerprint)\n\(offset)\n".utf8) + line)
    }

    static func check(of bytes: some Sequence<UInt8>) -> String {
        String(SHA256.hex(of: Array(bytes)).prefix(32))
    }
}
