// Printing events to standard output, many in one write; what is written is done, and only then does a cursor move.

import Glibc
import Notifications
import Platform
import Terminal

/// Prints events.
struct EventPrinter {
    private static let limit = 64 << 10

    private let device = TerminalDevice.standardOutput
    private let isHuman: Bool
    private var buffer: [UInt8] = []

    init(format: OutputFormat?) {
        isHuman = format.map { $0 == .human } ?? device.isTerminal
    }

    /// Whether so much is waiting that it should be written.
    var isFull: Bool { buffer.count >= Self.limit }

    /// Whether nothing is waiting.
    var isEmpty: Bool { buffer.isEmpty }

    mutating func add(_ event: Event) {
        if isHuman {
            let line = EventLine(hasColour: device.hasColour).text(event, width: device.width)
            buffer.append(contentsOf: line.utf8)
        } else {
            buffer.append(contentsOf: event.line)
        }
        buffer.append(UInt8(ascii: "\n"))
    }

    /// Writes what is waiting.
    ///
    /// - Throws: `SystemError`, with `EPIPE` where the reader left.
    mutating func flush() throws(SystemError) {
        if buffer.isEmpty { return }
        var failure: SystemError?
        buffer.withUnsafeBytes { bytes in
            do throws(SystemError) {
                try Files.writeAll(bytes, to: device.descriptor, path: "standard output")
            } catch { failure = error }
        }
        if let failure { throw failure }
        buffer.removeAll(keepingCapacity: true)
    }
}
