import Glibc
import Terminal

/// What the program itself has to say, on standard error.
enum Report {
    /// One line. Where standard error is gone there is nobody to tell.
    static func say(_ text: String) { write("ducc-follow: \(TextLayout.printable(text))") }

    static func write(_ text: String) { try? TerminalDevice.standardError.write(text + "\n") }
}
