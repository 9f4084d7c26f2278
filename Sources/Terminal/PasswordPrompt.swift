// Asking a person for a secret, without showing it.

import Glibc
import Platform

/// Asks for passwords.
package enum PasswordPrompt {
    /// Asks on standard error, and reads a line of standard input that isn't shown.
    ///
    /// - Returns: nil where nobody is there to be asked: standard input is no terminal, or ended.
    /// - Throws: `SystemError`, `Interrupted` with the terminal as it was.
    package static func ask(_ question: String) throws -> String? {
        var shown = termios()
        guard tcgetattr(0, &shown) == 0 else { return nil }
        var hidden = shown
        hidden.c_lflag &= ~tcflag_t(ECHO)
        // Stopped or quitted from the keyboard, the terminal would stay as it is now, or show what is typed later.
        withUnsafeMutableBytes(of: &hidden.c_cc) { keys in
            for key in [VSUSP, VQUIT] { keys[Int(key)] = 0 }
        }
        guard tcsetattr(0, TCSAFLUSH, &hidden) == 0 else { throw SystemError("set up the terminal") }
        defer {
            tcsetattr(0, TCSAFLUSH, &shown)
            // The line feed that was typed isn't shown either.
            try? TerminalDevice.standardError.write("\n")
        }
        try TerminalDevice.standardError.write(question)
        var line: [UInt8] = []
        while true {
            var waiting = [
                pollfd(fd: 0, events: Int16(POLLIN), revents: 0),
                pollfd(fd: Interruption.descriptor, events: Int16(POLLIN), revents: 0),
            ]
            _ = retrying { poll(&waiting, 2, -1) }
            try Interruption.check()
            var byte: UInt8 = 0
            let count = retrying { read(0, &byte, 1) }
            guard count >= 0 else { throw SystemError("read", "standard input") }
            if count == 0 { return line.isEmpty ? nil : String(decoding: line, as: UTF8.self) }
            if byte == UInt8(ascii: "\n") { return String(decoding: line, as: UTF8.self) }
            line.append(byte)
        }
    }
}
