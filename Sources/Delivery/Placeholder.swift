// `{field}` in a hook's arguments: the event's value. Other braces mean nothing, so that a program in another language
// can be an argument.

import Notifications
import YAML

/// What stands in braces.
enum Placeholder {
    /// Whether a name has the form `[a-z][a-z0-9_]*`.
    static func isField(_ name: Substring) -> Bool { Action(rawValue: String(name)).isWellFormed }

    /// Puts values in, once: what they contain is not looked at again.
    static func fill(_ text: String, _ value: (Field) -> String) -> String {
        var result = ""
        for part in parts(of: text) {
            switch part {
            case .text(let text): result += text
            case .braces(let name) where isField(name): result += value(Field(rawValue: String(name)))
            case .braces(let name): result += "{\(name)}"
            }
        }
        return result
    }

    /// What is wrong with an argument of a hook that has this filter: it names a field that no event can have.
    static func mistakes(in text: String, _ filter: ShortFilter) -> [String] {
        let actions = filter.kinds.first { $0.field == .action }?.patterns ?? []
        let known = actions.compactMap { ActionFields.of(Action(rawValue: $0)) }
        // An event of another action has whatever its author gave it.
        let fields: [String]? =
            known.isEmpty || known.count < actions.count
            ? nil
            : known.flatMap(\.everything).map(\.rawValue)
                + [Field.lostFirst, .lostLast, .reason].map(\.rawValue)
        return parts(of: text).compactMap { part in
            guard case .braces(let name) = part, looksMeant(name) else { return nil }
            if isField(name), fields?.contains(String(name)) ?? true { return nil }
            let usual = ActionFields.all.flatMap(\.everything).map(\.rawValue)
            let near = Suggestion.nearest(to: String(name), in: fields ?? usual)
            let whose = isField(name) ? "no event \(actions.joined(separator: ", "))" : "no event"
            return "\(whose) has a field '\(name)'" + (near.map { ", did you mean \($0)?" } ?? "")
        }
    }

    /// Letters, digits, `_` and `-`: a word.
    private static func looksMeant(_ name: Substring) -> Bool {
        !name.isEmpty
            && name.utf8.allSatisfy {
                switch $0 {
                case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x5f: true
                default: false
                }
            }
    }

    private enum Part {
        case text(Substring)
        case braces(Substring)
    }

    /// The innermost pairs of braces, and what is between them.
    private static func parts(of text: String) -> [Part] {
        var parts: [Part] = []
        var rest = text[...]
        while let open = rest.firstIndex(of: "{") {
            parts.append(.text(rest[..<open]))
            let inside = rest[rest.index(after: open)...]
            if let close = inside.firstIndex(where: { $0 == "}" || $0 == "{" }), inside[close] == "}" {
                parts.append(.braces(inside[..<close]))
                rest = inside[inside.index(after: close)...]
            } else {
                parts.append(.text("{"))
                rest = inside
            }
        }
        return parts + [.text(rest)]
    }
}
