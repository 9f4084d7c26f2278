import Images

/// A layer that is not what it claims to be, or that no one may unpack.
package struct LayerError: Error, CustomStringConvertible, Sendable, Equatable {
    /// One line: what is wrong, and with which entry.
    package let description: String

    init(_ description: String) { self.description = description }

    static func refused(_ text: String, entry: [UInt8]) -> LayerError {
        // Only the beginning: a name may be as long as the archive likes.
        LayerError("\(text): \(quoted(String(decoding: entry.prefix(400), as: UTF8.self)))")
    }
}
