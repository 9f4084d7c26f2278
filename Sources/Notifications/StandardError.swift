import Glibc
import Platform

/// What must be said whatever becomes of the notification file.
enum StandardError {
    /// Writes text to standard error; where that fails there is nobody left to tell.
    static func write(_ text: String) {
        var text = text
        text.withUTF8 { try? Files.writeAll(UnsafeRawBufferPointer($0), to: 2, path: "standard error") }
    }
}
