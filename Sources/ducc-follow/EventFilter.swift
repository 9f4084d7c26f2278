// The short filters: several of a kind are alternatives, all kinds must match. An event that lacks a field doesn't
// match a filter on it.

import Glibc
import Notifications

/// `NAME=GLOB`.
enum FieldPattern {
    static func isValid(_ text: String) -> Bool {
        text.firstIndex(of: "=").map { $0 > text.startIndex } ?? false
    }
}

/// Which events are wanted.
struct EventFilter {
    private struct Kind {
        let field: Field
        var patterns: [String]
    }

    private var kinds: [Kind] = []

    init(_ command: FollowCommand) {
        add(.action, command.action)
        add(.image, command.image)
        add(.status, command.status.map(\.rawValue))
        for text in command.field {
            guard let sign = text.firstIndex(of: "=") else { continue }
            add(Field(rawValue: String(text[..<sign])), [String(text[text.index(after: sign)...])])
        }
    }

    private mutating func add(_ field: Field, _ patterns: [String]) {
        if patterns.isEmpty { return }
        if let index = kinds.firstIndex(where: { $0.field == field }) {
            kinds[index].patterns += patterns
        } else {
            kinds.append(Kind(field: field, patterns: patterns))
        }
    }

    func matches(_ event: Event) -> Bool {
        kinds.allSatisfy { kind in
            // A value with a NUL would be matched up to it only.
            guard var value = event[kind.field], !value.withUTF8({ $0.contains(0) }) else { return false }
            return kind.patterns.contains { fnmatch($0, value, 0) == 0 }
        }
    }
}
