// JSON text with its members in the order in which they were given: what a person reads from top to bottom.

/// A JSON value of a schema.
package indirect enum SchemaValue {
    case text(String)
    case number(Int)
    case boolean(Bool)
    case list([SchemaValue])
    case object([(String, SchemaValue)])

    /// The value as JSON: what fits on a line of 100 characters is one.
    package func text(indentation: Int = 0) -> String {
        let short = line
        guard indentation + short.utf8.count > 100 else { return short }
        let inner = String(repeating: " ", count: indentation + 2)
        let outer = String(repeating: " ", count: indentation)
        switch self {
        case .list(let values):
            let lines = values.map { inner + $0.text(indentation: indentation + 2) }
            return "[\n" + lines.joined(separator: ",\n") + "\n\(outer)]"
        case .object(let members):
            let lines = members.map { name, value in
                "\(inner)\(Self.quoted(name)): \(value.text(indentation: indentation + 2))"
            }
            return "{\n" + lines.joined(separator: ",\n") + "\n\(outer)}"
        case .text, .number, .boolean: return short
        }
    }

    /// The value on one line.
    private var line: String {
        switch self {
        case .text(let text): Self.quoted(text)
        case .number(let number): "\(number)"
        case .boolean(let isTrue): isTrue ? "true" : "false"
        case .list(let values): "[" + values.map(\.line).joined(separator: ", ") + "]"
        case .object(let members):
            "{" + members.map { "\(Self.quoted($0)): \($1.line)" }.joined(separator: ", ") + "}"
        }
    }

    private static func quoted(_ text: String) -> String {
        var buffer = LineBuffer(capacity: 6 * text.utf8.count + 1)
        buffer.appendEscaped(text)
        return "\"" + String(decoding: buffer.line, as: UTF8.self) + "\""
    }
}
