// JSON from outside. Keys are looked up in any letter case (the original DUCC wrote `SchemaVersion`), but two keys
// that differ only in case are an error: otherwise two programs could read two different images from one text.

/// A JSON value.
package enum JSONValue: Equatable, Sendable {
    /// `null`.
    case null
    /// `true` or `false`.
    case boolean(Bool)
    /// A number without fraction or exponent that fits 64 bits.
    case integer(Int64)
    /// Any other number.
    case number(Double)
    /// A string.
    case string(String)
    /// A list.
    case array([JSONValue])
    /// An object; its keys are as spelled.
    case object([String: JSONValue])

    /// Reads one JSON text (RFC 8259, UTF-8, an object's keys all different).
    ///
    /// - Parameters:
    ///   - limit: the most bytes to accept; the limit on depth is 100.
    /// - Throws: `JSONError`.
    package static func parse(_ bytes: [UInt8], limit: Int = 4 << 20) throws(JSONError) -> JSONValue {
        guard bytes.count <= limit else {
            throw JSONError("it has \(bytes.count) bytes, more than \(limit) are not accepted")
        }
        var parser = JSONParser(bytes)
        return try parser.document()
    }

    /// The value of an object's key in any letter case; nil where it is absent, `null`, or this is no object.
    ///
    /// - Throws: `JSONError` where two keys differ in nothing but letter case.
    package func value(_ key: String) throws(JSONError) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        let wanted = key.lowercased()
        var found: (key: String, value: JSONValue)?
        for (candidate, value) in members
        where candidate.utf8.count == key.utf8.count && candidate.lowercased() == wanted {
            if let found {
                let pair = [found.key, candidate].sorted()
                throw JSONError(
                    "the keys \(quoted(pair[0])) and \(quoted(pair[1])) differ only in letter case")
            }
            found = (candidate, value)
        }
        return found?.value == .null ? nil : found?.value
    }

    /// Whether this is an object that has the key, in any letter case, `null` or not.
    package func has(_ key: String) -> Bool {
        guard case .object(let members) = self else { return false }
        return members.keys.contains { $0.lowercased() == key.lowercased() }
    }

    /// What kind of value this is, for error messages.
    package var kind: String {
        switch self {
        case .null: "null"
        case .boolean: "a boolean"
        case .integer, .number: "a number"
        case .string: "a string"
        case .array: "a list"
        case .object: "an object"
        }
    }
}

/// A text that is no JSON, or none that is accepted.
package struct JSONError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What is wrong, and where.
    package let description: String

    init(_ description: String) { self.description = description }
}
