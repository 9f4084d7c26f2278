// The `check` of a line: the first 32 hex digits of a SHA-256. One libcrypto context for all lines of a writer:
// making one for each line costs more than hashing the line.

import CCrypto
import Glibc

/// Hashes lines and proves them, one after the other.
struct LineHash: ~Copyable {
    private let context: OpaquePointer
    private let digest: UnsafeMutablePointer<UInt8>
    private let digits: UnsafeMutablePointer<UInt8>
    private static let beforeCheck: StaticString = ",\"check\":\""

    /// nil where libcrypto has no memory left, or no SHA-256.
    init?() {
        guard let context = EVP_MD_CTX_new() else { return nil }
        guard EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1 else {
            EVP_MD_CTX_free(context)
            return nil
        }
        self.context = context
        digest = .allocate(capacity: 32)
        digits = .allocate(capacity: 32)
    }

    deinit {
        EVP_MD_CTX_free(context)
        digest.deallocate()
        digits.deallocate()
    }

    /// Whether a line's last field is its `check`, and fits.
    ///
    /// - Parameter spans: the fields of the line, an object that stands alone in it.
    func proves(_ line: UnsafeRawBufferPointer, _ spans: FieldSpans) -> Bool {
        // Nothing may stand behind the check but the end of the object: it would be unproven.
        guard let check = spans.last?.value, check.count == 32, check.upperBound + 2 == line.count,
            let base = line.baseAddress
        else { return false }
        let end = check.lowerBound - Self.beforeCheck.utf8CodeUnitCount
        guard end > 0, memcmp(base + end, Self.beforeCheck.utf8Start, check.lowerBound - end) == 0,
            self.check(of: UnsafeRawBufferPointer(rebasing: line[..<end]), into: digits)
        else { return false }
        return memcmp(base + check.lowerBound, digits, 32) == 0
    }

    /// Writes the check of `bytes` into `result`, which has room for 32 digits.
    ///
    /// - Returns: false where libcrypto failed.
    func check(of bytes: UnsafeRawBufferPointer, into result: UnsafeMutablePointer<UInt8>) -> Bool {
        guard EVP_DigestInit_ex(context, nil, nil) == 1,
            EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1,
            EVP_DigestFinal_ex(context, digest, nil) == 1
        else { return false }
        for index in 0..<16 {
            result[2 * index] = Self.digit(digest[index] >> 4)
            result[2 * index + 1] = Self.digit(digest[index] & 15)
        }
        return true
    }

    /// The digit for a value below 16.
    static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") - 10 + value
    }
}
