// SHA-256 through libcrypto, which uses the processor's own instructions for it: 4 to 5 times a hash in Swift.

import CCrypto
import Glibc

/// A running SHA-256.
public final class SHA256 {
    private let context: OpaquePointer
    private var result: [UInt8]?

    /// An empty hash.
    ///
    /// - Throws: `SystemError` (`ENOMEM`) where libcrypto can't make one.
    public init() throws(SystemError) {
        guard let context = EVP_MD_CTX_new(), EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1 else {
            throw SystemError("start a SHA-256", code: ENOMEM)
        }
        self.context = context
    }

    deinit { EVP_MD_CTX_free(context) }

    /// Adds bytes. Not to be called after `finish`.
    public func update(_ bytes: UnsafeRawBufferPointer) {
        EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
    }

    /// The hash of everything added, as 64 lower-case hex digits; the same again when asked again.
    public func finish() -> String {
        if let result { return Hex.string(result) }
        var bytes = [UInt8](repeating: 0, count: 32)
        EVP_DigestFinal_ex(context, &bytes, nil)
        result = bytes
        return Hex.string(bytes)
    }

    /// The hash of one piece of data, as 64 lower-case hex digits.
    public static func hex(of bytes: [UInt8]) -> String {
        var digest = [UInt8](repeating: 0, count: 32)
        _ = CCrypto.SHA256(bytes, bytes.count, &digest)
        return Hex.string(digest)
    }
}
