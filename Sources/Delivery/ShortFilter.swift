// The short filters: several patterns of a kind are alternatives, all kinds must match. An event that lacks a field
// doesn't match a filter on it.

import Glibc
import Notifications

/// Shell patterns on fields.
package struct ShortFilter: Equatable, Sendable {
    /// One field's patterns: `*` matches `/` too.
    package struct Kind: Equatable, Sendable {
        package let field: Field
        package fileprivate(set) var patterns: [String] {
            didSet { simple = patterns.map(SimplePattern.init) }
        }
        /// The patterns as bytes, nil for one that takes more to match.
        private(set) var simple: [SimplePattern?]

        fileprivate init(field: Field, patterns: [String]) {
            self.field = field
            self.patterns = patterns
            simple = patterns.map(SimplePattern.init)
        }
    }

    package private(set) var kinds: [Kind] = []

    package init() {}

    /// Asks a field to match one of the patterns, and of those it was asked for before.
    package mutating func add(_ field: Field, _ patterns: [String]) {
        if patterns.isEmpty { return }
        if let index = kinds.firstIndex(where: { $0.field == field }) {
            kinds[index].patterns += patterns
        } else {
            kinds.append(Kind(field: field, patterns: patterns))
        }
    }

    /// Asks as `NAME=PATTERN` says.
    ///
    /// - Returns: whether it has that form; else nothing is asked.
    @discardableResult
    package mutating func add(_ text: String) -> Bool {
        guard let sign = text.firstIndex(of: "="), sign > text.startIndex else { return false }
        add(Field(rawValue: String(text[..<sign])), [String(text[text.index(after: sign)...])])
        return true
    }

    /// Whether an event is wanted.
    package func matches(_ event: Event) -> Bool {
        kinds.allSatisfy { kind in event[kind.field].map { kind.accepts($0) } ?? false }
    }

    /// Whether an event is wanted, where it lies.
    package func matches(_ record: borrowing NotificationRecord) -> Bool {
        for kind in kinds where !kind.accepts(record) { return false }
        return true
    }

    /// Whether a field's value is one that is asked for; false where the field isn't asked about.
    func accepts(_ value: String, for field: Field) -> Bool {
        kinds.contains { $0.field == field && $0.accepts(value) }
    }
}

extension ShortFilter.Kind {
    fileprivate func accepts(_ value: String) -> Bool {
        var value = value
        // A value with a NUL would be matched up to it only.
        guard !value.withUTF8({ $0.contains(0) }) else { return false }
        return patterns.contains { fnmatch($0, value, 0) == 0 }
    }

    fileprivate func accepts(_ record: borrowing NotificationRecord) -> Bool {
        // Most patterns are words or the beginnings of words, and most values have no escapes: nothing is copied then.
        let isDecided: Bool?? = record.withEncodedValue(of: field) { bytes in
            bytes.withUnsafeBytes { bytes in
                guard !bytes.contains(UInt8(ascii: "\\")) else { return nil }
                var isUndecided = false
                for simple in simple {
                    guard let simple else {
                        isUndecided = true
                        continue
                    }
                    if simple.matches(bytes) { return true }
                }
                return isUndecided ? nil : false
            }
        }
        guard let decided = isDecided else { return false }
        return decided ?? record[field].map { accepts($0) } ?? false
    }
}

/// A pattern without special characters, but for a `*` at its end.
struct SimplePattern: Equatable, Sendable {
    private let bytes: [UInt8]
    private let isBeginning: Bool

    /// Nil where it takes more to match.
    init?(_ pattern: String) {
        isBeginning = pattern.utf8.last == UInt8(ascii: "*")
        bytes = Array(isBeginning ? pattern.utf8.dropLast() : pattern.utf8[...])
        guard !bytes.contains(where: { "*?[]\\".utf8.contains($0) }) else { return nil }
    }

    func matches(_ value: UnsafeRawBufferPointer) -> Bool {
        guard value.count == bytes.count || isBeginning && value.count > bytes.count else { return false }
        guard let base = value.baseAddress else { return bytes.isEmpty }
        return memcmp(base, bytes, bytes.count) == 0
    }
}
