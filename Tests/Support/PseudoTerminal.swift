// Real terminals, and what a person would see on them.

import Glibc
import Platform

/// A terminal of a given size, and what was written to it.
package final class PseudoTerminal {
    private let ours: OwnedDescriptor
    private let theirs: OwnedDescriptor
    /// The terminal, for a program's standard input.
    package let path: String

    package init(columns: UInt16, rows: UInt16 = 24) throws {
        ours = try OwnedDescriptor(opening: "/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK)
        var number: CUnsignedInt = 0
        var isLocked: CInt = 0
        // TIOCSPTLCK and TIOCGPTN, which the C library hides behind _XOPEN_SOURCE functions.
        guard ioctl(ours.raw, 0x4004_5431, &isLocked) == 0, ioctl(ours.raw, 0x8004_5430, &number) == 0 else {
            throw SystemError("make a terminal")
        }
        path = "/dev/pts/\(number)"
        theirs = try OwnedDescriptor(opening: path, O_RDWR | O_NOCTTY)
        var size = winsize(ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
        guard ioctl(theirs.raw, UInt(TIOCSWINSZ), &size) == 0 else { throw SystemError("size a terminal") }
    }

    /// What a program writes to.
    package var descriptor: CInt { theirs.raw }

    /// Whether it shows what is typed.
    package var echoes: Bool {
        var settings = termios()
        return tcgetattr(theirs.raw, &settings) == 0 && settings.c_lflag & tcflag_t(ECHO) != 0
    }

    /// Types text.
    package func type(_ text: String) throws {
        try Files.writeAll(Array(text.utf8), to: ours.raw, path: path)
    }

    /// What was written since the last time.
    package func written() -> String {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = read(ours.raw, &chunk, chunk.count)
            guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
            bytes += chunk[..<count]
        }
    }
}

/// What a terminal shows after it was written to: the few commands that a progress display uses, and wrapping.
package struct Screen {
    package let columns: Int
    package private(set) var lines: [[Character]] = [[]]
    private var row = 0
    private var column = 0
    /// Whether any line was wider than the terminal.
    package private(set) var hasWrapped = false

    package init(columns: Int) { self.columns = columns }

    package var text: String { lines.map { String($0) }.joined(separator: "\n") }

    package mutating func write(_ text: String) {
        var rest = text[...]
        while let character = rest.popFirst() {
            switch character {
            case "\r\n", "\n":
                row += 1
                column = 0
                if row == lines.count { lines.append([]) }
            case "\r": column = 0
            case "\u{1b}":
                let command = rest.prefix { !$0.isLetter }
                rest = rest.dropFirst(command.count)
                let number = Int(command.dropFirst()) ?? 1
                switch rest.popFirst() {
                case "A": row = max(0, row - number)
                case "J":
                    lines.removeLast(lines.count - row - 1)
                    lines[row] = Array(lines[row].prefix(column))
                default: break
                }
            default:
                if column >= columns { hasWrapped = true }
                if column < lines[row].count {
                    lines[row][column] = character
                } else {
                    lines[row].append(character)
                }
                column += 1
            }
        }
    }
}
