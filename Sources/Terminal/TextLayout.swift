// How wide text is, and how it is made to fit: nothing that is shown ever wraps, or does something to the terminal.

/// Fitting text into columns.
package enum TextLayout {
    /// The text without anything that a terminal would obey: control characters become spaces or `?`.
    package static func printable(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isControl) else { return text }
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            if !isControl(scalar) {
                result.append(scalar)
            } else {
                result.append(scalar == "\n" || scalar == "\t" ? " " : "?")
            }
        }
        return String(result)
    }

    /// How many columns the text takes.
    package static func width(of text: String) -> Int {
        if text.utf8.allSatisfy({ $0 < 0x80 }) { return text.utf8.count }
        return text.reduce(0) { $0 + width(of: $1) }
    }

    /// The text, or its beginning and its end with `…` between, in at most `width` columns: the ends are what tells
    /// long names apart.
    package static func fit(_ text: String, _ width: Int) -> String {
        guard self.width(of: text) > width else { return text }
        guard width > 1 else { return width == 1 ? "…" : "" }
        let tail = (width - 1) / 2
        let end = take(text.reversed(), tail)
        let start = take(text, width - 1 - tail)
        return String(start) + "…" + String(end.reversed())
    }

    /// The text, or its beginning with `…` behind, in at most `width` columns: for sentences.
    package static func cut(_ text: String, _ width: Int) -> String {
        guard self.width(of: text) > width else { return text }
        guard width > 1 else { return width == 1 ? "…" : "" }
        return String(take(text, width - 1)) + "…"
    }

    /// The text with spaces up to `width` columns.
    package static func pad(_ text: String, _ width: Int, alignRight: Bool = false) -> String {
        let space = String(repeating: " ", count: max(0, width - self.width(of: text)))
        return alignRight ? space + text : text + space
    }

    private static func take(_ text: some Sequence<Character>, _ width: Int) -> [Character] {
        var left = width
        var result: [Character] = []
        for character in text {
            left -= self.width(of: character)
            if left < 0 { break }
            result.append(character)
        }
        return result
    }

    private static func width(of character: Character) -> Int {
        guard let scalar = character.unicodeScalars.first else { return 0 }
        if character.unicodeScalars.contains(where: { $0.properties.isEmojiPresentation }) { return 2 }
        switch scalar.value {
        case 0x1100...0x115f, 0x2e80...0x303e, 0x3041...0xa4cf, 0xac00...0xd7a3, 0xf900...0xfaff,
            0xfe30...0xfe6f, 0xff00...0xff60, 0xffe0...0xffe6, 0x20000...0x3fffd:
            return 2
        default:
            switch scalar.properties.generalCategory {
            case .nonspacingMark, .enclosingMark, .format: return 0
            default: return 1
            }
        }
    }

    /// C0, DEL, C1, line separators, and what turns the direction of the text around.
    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7f..<0xa0, 0x2028...0x202e, 0x2066...0x2069: true
        default: false
        }
    }
}
