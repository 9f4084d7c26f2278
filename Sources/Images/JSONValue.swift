// Short answers whose form nobody promises: a registry's errors, a token. Reading a value without knowing its kind
// means guessing, so size and depth have tighter limits here than those of the documents an image is made of.

/// A JSON value.
package enum JSONValue: Equatable, Sendable {
    /// `null`.
    case null
    /// `true` or `false`.
    case boolean(Bool)
    /// A whole number that fits 64 bits.
    case integer(Int64)
    /// Any other number.
    case number(Double)
    /// A string.
    case string(String)
    /// A list.
    case array([JSONValue])
    /// An object; its keys are as spelled.
    case object([String: JSONValue])

    /// The deepest that values may be inside each other.
    package static let deepest = 16

    /// Reads one JSON text (RFC 8259, UTF-8). Of a key that is there twice the first counts.
    ///
    /// - Parameter limit: the most bytes to accept.
    /// - Throws: `JSONError`.
    package static func parse(_ bytes: [UInt8], limit: Int = 256 << 10) throws(JSONError) -> JSONValue {
        do {
            return try JSONText.read(bytes, limit: limit) { try JSONValue(from: $0) }
        } catch let error as JSONError {
            throw error
        } catch { throw JSONError("no JSON that can be read") }
    }

    /// The value of an object's key in any letter case; nil where it is absent, `null`, or this is no object.
    ///
    /// - Throws: `JSONError` where two keys differ in nothing but letter case.
    package func value(_ key: String) throws(JSONError) -> JSONValue? {
        guard case .object(let members) = self, let found = try JSONText.find(key, in: members.keys) else {
            return nil
        }
        return members[found] == .null ? nil : members[found]
    }
}

extension JSONValue: Decodable {
    /// Reads whatever value there is.
    package init(from decoder: any Decoder) throws {
        let single = try decoder.singleValueContainer()
        if single.decodeNil() {
            self = .null
        } else if let text = try JSONText.ifOfKind({ try single.decode(String.self) }) {
            self = .string(text)
        } else if let object = try JSONText.ifOfKind({ try decoder.container(keyedBy: JSONKey.self) }) {
            try Self.checkDepth(decoder)
            var members: [String: JSONValue] = [:]
            for key in object.allKeys {
                members[key.stringValue] = try object.decode(JSONValue.self, forKey: key)
            }
            self = .object(members)
        } else if var list = try JSONText.ifOfKind({ try decoder.unkeyedContainer() }) {
            try Self.checkDepth(decoder)
            var elements: [JSONValue] = []
            while !list.isAtEnd { elements.append(try list.decode(JSONValue.self)) }
            self = .array(elements)
        } else if let truth = try JSONText.ifOfKind({ try single.decode(Bool.self) }) {
            self = .boolean(truth)
        } else if let number = try? single.decode(Int64.self) {
            self = .integer(number)
        } else {
            self = .number(try single.decode(Double.self))
        }
    }

    private static func checkDepth(_ decoder: any Decoder) throws(JSONError) {
        guard decoder.codingPath.count < deepest else {
            throw JSONError("it is more than \(deepest) levels deep")
        }
    }
}
