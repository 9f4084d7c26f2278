// Patterns of tags and of references. No regular expression: `.` means a dot, and matching takes no more than
// pattern times text steps whatever the pattern is.

/// A pattern with `*` (any characters), `?` (one character) and `[…]` (one of these; `a-z` a range; `!` or `^` first:
/// none of these). A `/` in the text is matched only by a `/` in the pattern.
package struct Glob: Hashable, Sendable {
    private enum Element: Hashable, Sendable {
        case any
        case one
        case scalar(UInt32)
        case set([ClosedRange<UInt32>], inverted: Bool)
    }

    /// The pattern's text.
    package let pattern: String
    private let elements: [Element]

    /// Whether a text holds a wildcard at all.
    package static func hasWildcard(_ text: String) -> Bool {
        text.utf8.contains { $0 == UInt8(ascii: "*") || $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "[") }
    }

    /// Reads a pattern. Any text is one: a `[` that nothing closes stands for itself.
    package init(_ pattern: String) {
        self.pattern = pattern
        let scalars = pattern.unicodeScalars.map(\.value)
        var elements: [Element] = []
        var position = 0
        while position < scalars.count {
            let scalar = scalars[position]
            position += 1
            switch scalar {
            case 0x2a:
                if elements.last != .any { elements.append(.any) }
            case 0x3f:
                elements.append(.one)
            case 0x5b:
                guard let (set, next) = Self.set(scalars, from: position) else {
                    elements.append(.scalar(scalar))
                    break
                }
                elements.append(set)
                position = next
            default:
                elements.append(.scalar(scalar))
            }
        }
        self.elements = elements
    }

    private static func set(_ scalars: [UInt32], from start: Int) -> (Element, next: Int)? {
        var position = start
        var inverted = false
        if position < scalars.count, scalars[position] == 0x21 || scalars[position] == 0x5e {
            inverted = true
            position += 1
        }
        var ranges: [ClosedRange<UInt32>] = []
        let first = position
        while position < scalars.count {
            let low = scalars[position]
            if low == 0x5d, position > first { return (.set(ranges, inverted: inverted), position + 1) }
            if position + 2 < scalars.count, scalars[position + 1] == 0x2d, scalars[position + 2] != 0x5d {
                // An upside-down range such as z-a holds nothing.
                if low <= scalars[position + 2] { ranges.append(low...scalars[position + 2]) }
                position += 3
            } else {
                ranges.append(low...low)
                position += 1
            }
        }
        return nil
    }

    /// Whether the pattern fits the whole text.
    package func matches(_ text: String) -> Bool {
        let scalars = text.unicodeScalars.map(\.value)
        var element = 0
        var position = 0
        // Where to go on when a guess at the last `*` fails: it takes one character more. An earlier `*` never needs
        // another guess, except that none may swallow a `/`.
        var star: (element: Int, position: Int)?
        while position < scalars.count {
            if element < elements.count, elements[element] == .any {
                star = (element + 1, position)
                element += 1
            } else if element < elements.count, fits(elements[element], scalars[position]) {
                element += 1
                position += 1
            } else if let guess = star, scalars[guess.position] != 0x2f {
                star = (guess.element, guess.position + 1)
                element = guess.element
                position = guess.position + 1
            } else {
                return false
            }
        }
        return elements[element...].allSatisfy { $0 == .any }
    }

    private func fits(_ element: Element, _ scalar: UInt32) -> Bool {
        switch element {
        case .any: false
        case .one: scalar != 0x2f
        case .scalar(let expected): scalar == expected
        case .set(let ranges, let inverted):
            scalar != 0x2f && ranges.contains { $0.contains(scalar) } != inverted
        }
    }
}
