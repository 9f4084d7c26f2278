// The short filters: several patterns of a kind are alternatives, all kinds must match. An event that lacks a field
// doesn't match a filter on it.

import Glibc
import Notifications

/// Shell patterns on fields.
package struct ShortFilter: Equatable, Sendable {
    /// One field's patterns: `*` matches `/` too.
    package struct Kind: Equatable, Sendable {
        package let field: Field
        package fileprivate(set) var patterns: [String]
    }

    package private(set) var kinds: [Kind] = [] {
        didSet { needles = Needles(kinds) }
    }
    private var needles = Needles([])

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
        for index in 0..<needles.count {
            guard needles.decide(index, record) ?? kinds[index].accepts(record) else { return false }
        }
        return true
    }

    package static func == (one: ShortFilter, other: ShortFilter) -> Bool { one.kinds == other.kinds }

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
        record[field].map { accepts($0) } ?? false
    }
}

/// Of each kind the patterns that have no special characters, but for a `*` at their end: most are, and most values have
/// no escapes. They are compared where the event lies, and nothing is copied, or held in memory, for that.
private final class Needles: Sendable {
    private struct Pattern {
        let bytes: UnsafeRawBufferPointer
        let isBeginning: Bool
    }

    private struct Kind {
        let name: UnsafeRawBufferPointer
        let patterns: UnsafeBufferPointer<Pattern>
        /// Whether there are others, that take more to match.
        let hasOthers: Bool
    }

    // Written here, and never again.
    nonisolated(unsafe) private let kinds: UnsafeBufferPointer<Kind>
    var count: Int { kinds.count }

    init(_ kinds: [ShortFilter.Kind]) {
        self.kinds = Self.copy(
            kinds.map { kind in
                let simple = kind.patterns.compactMap(Self.simple)
                return Kind(
                    name: UnsafeRawBufferPointer(Self.copy(Array(kind.field.rawValue.utf8))),
                    patterns: Self.copy(simple), hasOthers: simple.count < kind.patterns.count)
            })
    }

    deinit {
        for kind in kinds {
            for pattern in kind.patterns { pattern.bytes.deallocate() }
            kind.patterns.deallocate()
            kind.name.deallocate()
        }
        kinds.deallocate()
    }

    private static func simple(_ pattern: String) -> Pattern? {
        let isBeginning = pattern.utf8.last == UInt8(ascii: "*")
        let text = isBeginning ? pattern.utf8.dropLast() : pattern.utf8[...]
        guard !text.contains(where: { "*?[]\\".utf8.contains($0) }) else { return nil }
        return Pattern(bytes: UnsafeRawBufferPointer(copy(Array(text))), isBeginning: isBeginning)
    }

    private static func copy<Element>(_ elements: [Element]) -> UnsafeBufferPointer<Element> {
        let memory = UnsafeMutableBufferPointer<Element>.allocate(capacity: elements.count)
        _ = memory.initialize(from: elements)
        return UnsafeBufferPointer(memory)
    }

    /// Whether an event has a kind's field, and one of the patterns matches it; nil where another pattern may, or the value
    /// has escapes.
    func decide(_ index: Int, _ record: borrowing NotificationRecord) -> Bool? {
        let kind = kinds[index]
        guard let value = record.encodedValue(named: kind.name) else { return false }
        guard let start = value.bytes.baseAddress, !value.isEscaped else { return nil }
        for pattern in kind.patterns {
            guard let wanted = pattern.bytes.baseAddress else { continue }
            let count = pattern.bytes.count
            if value.bytes.count == count || pattern.isBeginning && value.bytes.count > count,
                memcmp(start, wanted, count) == 0
            {
                return true
            }
        }
        return kind.hasOthers ? nil : false
    }
}
