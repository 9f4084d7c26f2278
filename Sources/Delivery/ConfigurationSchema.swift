// What follow.yaml may look like, for editors and for people, made of the table of its keys.

import Notifications

/// Descriptions of follow.yaml.
package enum ConfigurationSchema {
    /// The JSON Schema, draft 2020-12, ended by a line feed.
    package static let text =
        SchemaValue.object(
            [
                ("$schema", .text("https://json-schema.org/draft/2020-12/schema")),
                ("title", .text("follow.yaml, the configuration of ducc-follow run")),
            ] + mapping(ConfigurationKey.all)
        ).text() + "\n"

    private static func mapping(_ keys: [ConfigurationKey]) -> [(String, SchemaValue)] {
        let required = keys.filter(\.isRequired).map { SchemaValue.text($0.name) }
        return [
            ("type", .text("object")),
            ("properties", .object(keys.map { ($0.name, value($0)) })),
            ("required", .list(required)),
            ("additionalProperties", .boolean(false)),
        ]
    }

    private static func value(_ key: ConfigurationKey) -> SchemaValue {
        let standard = key.standard.map { " Default: \($0)." } ?? ""
        return .object([("description", .text(key.meaning + standard))] + form(key.form))
    }

    private static func form(_ form: ConfigurationKey.Form) -> [(String, SchemaValue)] {
        let text = SchemaValue.object([("type", .list([.text("string"), .text("number")]))])
        switch form {
        case .version: return [("const", .number(1))]
        case .text: return [("type", .text("string")), ("minLength", .number(1))]
        case .name:
            return [
                ("type", .text("string")), ("pattern", .text("^[A-Za-z0-9_-][A-Za-z0-9._-]*$")),
                ("maxLength", .number(200)),
            ]
        case .texts: return oneOrMore(text)
        case .statuses: return oneOrMore(.object([("enum", .list([.text("ok"), .text("error")]))]))
        case .time:
            return [
                ("type", .list([.text("string"), .text("number")])), ("minimum", .number(0)),
                ("pattern", .text("^[0-9]+([.][0-9]+)?(ms|s|m|h|d)?$")),
            ]
        case .number(let range):
            return [
                ("type", .text("integer")), ("minimum", .number(range.lowerBound)),
                ("maximum", .number(range.upperBound)),
            ]
        case .flag: return [("type", .text("boolean"))]
        case .word(let words): return [("enum", .list(words.map { .text($0) }))]
        case .command:
            return [("type", .text("array")), ("minItems", .number(1)), ("items", text)]
        case .variables:
            return [("type", .text("object")), ("additionalProperties", text)]
        case .mapping(let keys): return mapping(keys)
        case .list(let keys):
            let oneTarget = ("oneOf", SchemaValue.list([requires("exec"), requires("pipe")]))
            return [
                ("type", .text("array")), ("minItems", .number(1)),
                ("items", .object(mapping(keys) + [oneTarget])),
            ]
        }
    }

    private static func oneOrMore(_ one: SchemaValue) -> [(String, SchemaValue)] {
        [("anyOf", .list([one, .object([("type", .text("array")), ("items", one)])]))]
    }

    private static func requires(_ key: String) -> SchemaValue {
        .object([("required", .list([.text(key)]))])
    }
}

/// A follow.yaml with every key, what it means, and what it is where nothing is said.
package enum ConfigurationReference {
    /// The file's text: as it is it's a right configuration; the keys that have a default are commented out.
    package static let text =
        lines(
            of: """
                The configuration of ducc-follow run, with every key there is. Those behind a # are as they are where \
                nothing is said; "ducc-follow check FILE" says what is wrong with one's own.
                """, "# ") + "\n" + mapping(ConfigurationKey.all, indentation: "")

    private static func mapping(
        _ keys: [ConfigurationKey], indentation: String, mark: String = ""
    ) -> String {
        keys.map { key in
            let isOptional = key.standard != nil
            let mark = mark.isEmpty && isOptional ? "#" : mark
            let comment = lines(of: key.meaning, indentation + "# ")
            switch key.form {
            case .mapping(let keys):
                return comment + "\(indentation)#\(key.name):\n"
                    + mapping(keys, indentation: indentation + "  ", mark: "#")
            case .list(let keys): return comment + "\(indentation)\(key.name):\n" + hooks(keys)
            default:
                return comment + "\(indentation)\(mark)\(key.name): \(key.standard ?? key.example)\n"
            }
        }.joined(separator: indentation.isEmpty ? "\n" : "")
    }

    /// One with a process for each event, which has all other keys too, and one with a pipe.
    private static func hooks(_ keys: [ConfigurationKey]) -> String {
        let first = mapping(keys.filter { $0.name != "pipe" }, indentation: "    ")
        let second = mapping(keys.filter { $0.name == "pipe" }, indentation: "    ")
        return "  -\n" + first + "\n  - name: audit\n" + second
    }

    /// A comment of lines that aren't too long.
    private static func lines(of text: String, _ beginning: String) -> String {
        var lines: [String] = []
        for word in text.split(separator: " ") {
            if let last = lines.last, beginning.count + last.count + word.count < 110 {
                lines[lines.count - 1] = "\(last) \(word)"
            } else {
                lines.append(String(word))
            }
        }
        return lines.map { "\(beginning)\($0)\n" }.joined()
    }
}
