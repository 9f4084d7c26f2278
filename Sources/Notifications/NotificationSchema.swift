// The JSON Schema of the lines that the writer writes, made of the tables in `ActionFields` and `FieldFormat`.

/// The JSON Schema, draft 2020-12, of one event's line.
///
/// It is strict on the known actions, whose events have exactly the fields that are named, and open for all others,
/// whose events have any further fields of texts. Lines of the original DUCC are no matter of it.
public enum NotificationSchema {
    /// The schema as JSON text that ends with a line feed.
    public static let text = schema.text() + "\n"

    private static let schema = SchemaValue.object([
        ("$schema", .text("https://json-schema.org/draft/2020-12/schema")),
        ("title", .text("An event of DUCC's notification stream")),
        (
            "description",
            .text(
                "One line of the stream. Every value is a string. Known actions have the fields listed here and"
                    + " no others; other actions have any further fields.")
        ),
        ("type", .text("object")),
        ("required", names(FieldFormat.common.map(\.field))),
        ("properties", .object(FieldFormat.common.map { ($0.field.rawValue, value($0)) })),
        ("additionalProperties", .object([("type", .text("string"))])),
        ("allOf", .list(ActionFields.all.map(branch))),
        (
            "$defs",
            .object(
                FieldFormat.own.map { (definition($0.field), value($0)) }
                    + ActionFields.all.map { (definition($0.action), event($0)) })
        ),
    ])

    /// The schema of a field's value.
    private static func value(_ format: FieldFormat) -> SchemaValue {
        .object([
            ("description", .text(format.meaning)), ("type", .text("string")),
            format.pattern.map { ("pattern", .text($0)) } ?? ("minLength", .number(1)),
        ])
    }

    /// "If it is this action, then it looks like this."
    private static func branch(_ fields: ActionFields) -> SchemaValue {
        let name = fields.action.rawValue
        return .object([
            (
                "if",
                .object([
                    ("properties", .object([("action", .object([("const", .text(name))]))])),
                    ("required", names([.action])),
                ])
            ),
            ("then", reference(definition(fields.action))),
        ])
    }

    /// The schema of a known action's events.
    private static func event(_ fields: ActionFields) -> SchemaValue {
        let properties =
            FieldFormat.common.map { ($0.field.rawValue, SchemaValue.boolean(true)) }
            + fields.allowed.map { ($0.rawValue, reference(definition($0))) }
        var members: [(String, SchemaValue)] = [
            ("required", names(fields.required)), ("properties", .object(properties)),
            ("additionalProperties", .boolean(false)),
        ]
        if fields.isEnd {
            let failed = SchemaValue.object([("status", .object([("const", .text("error"))]))])
            members += [
                ("if", .object([("properties", failed)])),
                ("then", .object([("required", names([.error]))])),
                (
                    "else",
                    .object([
                        ("required", names(fields.requiredOnSuccess)),
                        ("properties", .object([("error", .boolean(false))])),
                    ])
                ),
            ]
        }
        return .object(members)
    }

    private static func names(_ fields: [Field]) -> SchemaValue { .list(fields.map { .text($0.rawValue) }) }

    private static func definition(_ field: Field) -> String { "field-\(field)" }

    private static func definition(_ action: Action) -> String { "action-\(action)" }

    private static func reference(_ name: String) -> SchemaValue {
        .object([("$ref", .text("#/$defs/\(name)"))])
    }
}
