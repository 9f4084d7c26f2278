// The short filters: several patterns of a kind are alternatives, all kinds must match. An event that lacks a field
// doesn't match a filter on it.

import Glibc
import Notifications

/// Shell patterns on fields.
package struct ShortFilter: Equatable, Sendable {
    /// One field's patterns: `*` matches `/` too.
    package struct Kind: Equatable, Sendable {
        package let field: Field
        package fileprivate(set) var patterns: [Pattern]
    }

    /// One shell pattern.
    package struct Pattern: Equatable, Sendable {
        package let text: String
        /// Whether it has nothing special in it: that is most common, and compared much faster.
        let isPlain: Bool

        init(_ text: String) {
            self.text = text
            isPlain = !text.contains { "*?[\\".contains($0) }
        }

        func matches(_ value: String) -> Bool {
            isPlain ? text.utf8.elementsEqual(value.utf8) : fnmatch(text, value, 0) == 0
        }
    }

    package private(set) var kinds: [Kind] = []

    package init() {}

    /// Asks a field to match one of the patterns, and of those it was asked for before.
    package mutating func add(_ field: Field, _ patterns: [String]) {
        if patterns.isEmpty { return }
        if let index = kinds.firstIndex(where: { $0.field == field }) {
            kinds[index].patterns += patterns.map(Pattern.init)
        } else {
            kinds.append(Kind(field: field, patterns: patterns.map(Pattern.init)))
        }
    }

    /// Whether an event is wanted.
    package func matches(_ event: Event) -> Bool {
        kinds.allSatisfy { kind in event[kind.field].map { Self.matches(kind.patterns, $0) } ?? false }
    }

    /// Likewise, before it is copied.
    package func matches(_ record: borrowing NotificationRecord) -> Bool {
        for kind in kinds {
            guard let value = record[kind.field], Self.matches(kind.patterns, value) else { return false }
        }
        return true
    }

    /// Whether a field's value is one that is asked for; false where the field isn't asked about.
    func accepts(_ value: String, for field: Field) -> Bool {
        kinds.contains { $0.field == field && Self.matches($0.patterns, value) }
    }

    private static func matches(_ patterns: [Pattern], _ value: String) -> Bool {
        var value = value
        // A value with a NUL would be matched up to it only.
        guard !value.withUTF8({ $0.contains(0) }) else { return false }
        return patterns.contains { $0.matches(value) }
    }
}
