/// A file that can't be read, or that is no YAML or none that is accepted.
package struct YAMLError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What went wrong.
    package enum Kind: Hashable, Sendable {
        /// The file can't be read at all.
        case unreadable
        /// What is in it is wrong.
        case invalid
    }

    /// What went wrong.
    package let kind: Kind
    /// The file as it was named.
    package let file: String
    /// The line, from 1; 0 where the file as a whole is meant.
    package let line: Int
    /// The character in the line, from 1; 0 where the file as a whole is meant.
    package let column: Int
    /// What is wrong.
    package let text: String

    /// An error at a place in a file; without a place, of the whole file.
    package init(_ kind: Kind = .invalid, file: String, at position: YAMLPosition? = nil, _ text: String) {
        self.kind = kind
        self.file = Self.printable(file)
        line = position?.line ?? 0
        column = position?.column ?? 0
        self.text = Self.printable(text)
    }

    /// The text with its control characters written out, so that it stays one line and commands no terminal; cut
    /// after 300 characters.
    package static func printable(_ text: String) -> String {
        var result = ""
        for (count, scalar) in text.unicodeScalars.enumerated() {
            guard count < 300 else { return result + "…" }
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .unassigned:
                result += "\\u{\(String(scalar.value, radix: 16))}"
            default:
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// `FILE:LINE:COLUMN: TEXT`, one line.
    package var description: String {
        line == 0 ? "\(file): \(text)" : "\(file):\(line):\(column): \(text)"
    }
}
