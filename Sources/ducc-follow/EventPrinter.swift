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

    /// Writes what is waiting. A reader that is slow is waited for, also where the other end made the pipe non-blocking.
    ///
    /// - Throws: `OutputError`.
    mutating func flush() throws(OutputError) {
        var written = 0
        while written < buffer.count {
            let count = buffer[written...].withUnsafeBytes { bytes in
                retrying { write(device.descriptor, bytes.baseAddress, bytes.count) }
            }
            if count < 0 {
                guard errno == EAGAIN else { throw OutputError(code: errno) }
                var descriptor = pollfd(fd: device.descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&descriptor, 1, -1)
                continue
            }
            written += count
        }
        buffer.removeAll(keepingCapacity: true)
    }
}

/// Standard output can't be written.
struct OutputError: Error, CustomStringConvertible {
    let code: CInt

    /// Whether the reader left, which ends the program quietly.
    var isReaderGone: Bool { code == EPIPE }

    var description: String { "cannot write to standard output: \(SystemError.reason(code))" }
}
