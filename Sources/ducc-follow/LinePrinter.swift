// Lines for standard output, gathered into large writes.

import Glibc
import Platform
import Terminal

/// Prints lines. A reader that leaves ends the printing, not the work whose exit code counts.
final class LinePrinter {
    private static let limit = 64 << 10

    private var waiting = ""
    private var isBroken = false

    /// One line; nothing in it reaches a terminal as a command.
    func add(_ line: String) {
        if isBroken { return }
        waiting += TextLayout.printable(line) + "\n"
        if waiting.utf8.count >= Self.limit { flush() }
    }

    /// Writes what is waiting.
    func flush() {
        defer { waiting = "" }
        if isBroken || waiting.isEmpty { return }
        do throws(SystemError) {
            try TerminalDevice.standardOutput.write(waiting)
        } catch {
            isBroken = true
            if error.code != EPIPE { Report.say(error.description) }
        }
    }
}
