// What a descriptor is connected to: a person's terminal with a width, or something that wants plain text.

import CLinux
import Glibc
import Platform

/// A terminal, or what stands in its place.
package struct TerminalDevice: Sendable {
    /// The descriptor that is written to.
    package let descriptor: CInt
    /// Whether a person looks at it.
    package let isTerminal: Bool
    /// Whether colours are wanted: on a terminal that isn't dumb, and without `NO_COLOR`.
    package let hasColour: Bool

    /// Finds out about a descriptor.
    package init(descriptor: CInt) {
        self.descriptor = descriptor
        isTerminal = isatty(descriptor) == 1 && Self.environment("TERM") != "dumb"
        hasColour = isTerminal && Self.environment("NO_COLOR") == nil
    }

    package static let standardOutput = TerminalDevice(descriptor: 1)
    package static let standardError = TerminalDevice(descriptor: 2)

    /// How many columns there are now; nil where lines may be of any length.
    package var width: Int? { isTerminal ? size().columns : nil }

    /// How many rows there are now.
    package var height: Int { size().rows }

    /// Writes text in one piece.
    ///
    /// - Throws: `SystemError`, with `EPIPE` where the reader left.
    package func write(_ text: String) throws(SystemError) {
        try Files.writeAll(Array(text.utf8), to: descriptor, path: "descriptor \(descriptor)")
    }

    private func size() -> (columns: Int, rows: Int) {
        var size = winsize()
        let known = ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0
        let columns =
            known && size.ws_col > 0 ? Int(size.ws_col) : Self.environment("COLUMNS").flatMap { Int($0) }
        let rows = known && size.ws_row > 0 ? Int(size.ws_row) : Self.environment("LINES").flatMap { Int($0) }
        return (max(columns ?? 80, 10), max(rows ?? 24, 2))
    }

    /// An environment variable that is set and not empty.
    static func environment(_ name: String) -> String? {
        guard let value = getenv(name), value.pointee != 0 else { return nil }
        return String(cString: value)
    }
}
