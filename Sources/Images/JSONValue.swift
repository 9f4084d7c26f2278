// JSON whose keys are not ours to know all of: an image's configuration that is passed on whole, podman's files that
// other programs write too.

import FoundationEssentials

/// Any JSON value, as it is read and written again: nothing of it is lost but the spelling of numbers.
package enum JSONValue: Codable, Hashable, Sendable {
    case null
    case boolean(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    package init(from decoder: any Decoder) throws {
        let single = try decoder.singleValueContainer()
        // The most frequent kinds first: a wrong guess is an error that is thrown.
        if let text = try JSONText.ifOfKind({ try single.decode(String.self) }) {
            self = .string(text)
        } else if single.decodeNil() {
            self = .null
        } else if let container = try JSONText.ifOfKind({ try decoder.container(keyedBy: JSONKey.self) }) {
            var members: [String: JSONValue] = [:]
            for key in container.allKeys {
                members[key.stringValue] = try container.decode(JSONValue.self, forKey: key)
            }
            self = .object(members)
        } else if let list = try JSONText.ifOfKind({ try single.decode([JSONValue].self) }) {
            self = .array(list)
        } else if let flag = try JSONText.ifOfKind({ try single.decode(Bool.self) }) {
            self = .boolean(flag)
        } else if let number = try? single.decode(Int64.self) {
            self = .integer(number)
        } else {
            self = .number(try single.decode(Double.self))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var single = encoder.singleValueContainer()
        switch self {
        case .null: try single.encodeNil()
        case .boolean(let value): try single.encode(value)
        case .integer(let value): try single.encode(value)
        case .number(let value): try single.encode(value)
        case .string(let value): try single.encode(value)
        case .array(let values): try single.encode(values)
        case .object(let members): try single.encode(members)
        }
    }

    /// Reads one JSON text.
    ///
    /// Each wrong guess of a value's kind costs what its depth is, so both are bounded: by more than any image's
    /// configuration has.
    ///
    /// - Parameters:
    ///   - limit: the most bytes to accept.
    ///   - most: the most values to accept, those in others included.
    /// - Throws: `JSONError`.
    package static func read(_ bytes: [UInt8], limit: Int, most: Int = 20_000) throws -> JSONValue {
        let deepest = 32
        var depth = 0
        var values = 1
        var isText = false
        var isEscaped = false
        for byte in bytes {
            if isText {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isText = false
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): isText = true
            case UInt8(ascii: "["), UInt8(ascii: "{"):
                depth += 1
                values += 1
            case UInt8(ascii: "]"), UInt8(ascii: "}"): depth -= 1
            case UInt8(ascii: ","): values += 1
            default: break
            }
            guard depth <= deepest else { throw JSONError("it goes more than \(deepest) levels deep") }
            guard values <= most else { throw JSONError("it has more than \(most) values") }
        }
        return try JSONText.read(bytes, limit: limit) { try JSONValue(from: $0) }
    }

    /// The value as one line of JSON without its end, keys sorted: equal values are equal bytes.
    ///
    /// - Throws: `EncodingError`.
    package func line() throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(self))
    }

    /// The member of an object; nil where it is absent, null or this is no object. Set to nil it goes.
    package subscript(_ key: String) -> JSONValue? {
        get {
            guard case .object(let members) = self, let value = members[key], value != .null else {
                return nil
            }
            return value
        }
        set {
            guard case .object(var members) = self else { return }
            members[key] = newValue
            self = .object(members)
        }
    }

    /// A string's text; nil for anything else.
    package var text: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }

    /// An array's elements; nil for anything else.
    package var elements: [JSONValue]? {
        guard case .array(let elements) = self else { return nil }
        return elements
    }

    /// The strings in an array; none where it is none.
    package var texts: [String] { elements?.compactMap(\.text) ?? [] }
}
