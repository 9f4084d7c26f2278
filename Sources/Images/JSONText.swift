// JSON from outside, read by `JSONDecoder`: one parser for everything, a maintained one, and none of ours.
//
// What that decoder does, and what follows from it:
//  - Of a key that is there twice, exactly as spelled, it takes the first and doesn't tell; other programs take the
//    last. That is safe: the bytes are the ones that their digest names, everything here reads them with this one
//    parser, and every blob is checked against the digest that this reading gave. What it names is what is published.
//  - Two keys that differ in letter case alone are two keys to it. We look keys up in any letter case (the original
//    DUCC wrote `SchemaVersion`), so such a pair is refused: there, one program alone could read two images.
//  - It takes a comma behind the last element, and 1.0 for a whole number. Half of a surrogate pair, a control
//    character or an unknown escape is an error in a text that is read, and unnoticed in one that isn't.
//  - It takes UTF-16 and UTF-32 too; `read` doesn't, as RFC 8259 has it.
//  - It goes 512 levels deep. An error that it throws holds its whole path, so guessing what a value is, where each
//    wrong guess is an error, would cost minutes for a hostile text of some hundred kilobytes that is as deep.
//    So documents are read by asking for what they must hold (`DocumentReader`), and what nobody asks for is free.

import FoundationEssentials

/// Reads JSON texts.
enum JSONText {
    /// Reads one text (RFC 8259, UTF-8).
    ///
    /// - Parameters:
    ///   - limit: the most bytes to accept.
    ///   - body: makes the result; it is called only for a text that is JSON to its end.
    /// - Throws: `JSONError`, or what `body` throws.
    static func read<Content>(
        _ bytes: [UInt8], limit: Int, _ body: @escaping (any Decoder) throws -> Content
    ) throws -> Content {
        guard bytes.count <= limit else {
            throw JSONError("it has \(bytes.count) bytes, more than \(limit) are not accepted")
        }
        guard !bytes.isEmpty else { throw JSONError("it is empty") }
        // In UTF-16 and UTF-32 every brace has a NUL beside it, which JSON never has.
        guard !bytes.contains(0), let text = String(validating: bytes, as: UTF8.self) else {
            throw JSONError("it is no JSON: its bytes are not UTF-8")
        }
        do {
            return try JSONDecoder().decode(Document<Content>.self, from: Data(bytes), configuration: body)
                .content
        } catch is DecodingError {
            // The decoder doesn't say where. The beginning shows the usual cause: a page of a proxy's.
            let cut = text.unicodeScalars.count > 40 ? "…" : ""
            throw JSONError(
                "no JSON that can be read; it begins with \(quoted(String(text.unicodeScalars.prefix(40))))\(cut)"
            )
        }
    }

    /// The key that is spelled like another, letter case aside; nil where there is none.
    ///
    /// - Throws: `JSONError` where there are two.
    static func find(_ wanted: String, in keys: some Sequence<String>) throws(JSONError) -> String? {
        let lowered = wanted.lowercased()
        var found: String?
        for key in keys where key.utf8.count == wanted.utf8.count && key.lowercased() == lowered {
            if let found {
                let pair = [found, key].sorted()
                throw JSONError(
                    "the keys \(quoted(pair[0])) and \(quoted(pair[1])) differ only in letter case")
            }
            found = key
        }
        return found
    }

    /// A reading that is nil where the value is of another kind, or null.
    static func ifOfKind<Value>(_ read: () throws -> Value) throws -> Value? {
        do {
            return try read()
        } catch DecodingError.typeMismatch {
            return nil
        } catch DecodingError.valueNotFound {
            return nil
        }
    }

    private struct Document<Content>: DecodableWithConfiguration {
        let content: Content

        init(from decoder: any Decoder, configuration: (any Decoder) throws -> Content) throws {
            content = try configuration(decoder)
        }
    }
}

/// Any key of an object.
struct JSONKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

/// What kind of value there is, for error messages.
struct JSONKind: Decodable {
    let text: String

    init(from decoder: any Decoder) throws {
        let single = try decoder.singleValueContainer()
        text =
            if single.decodeNil() {
                "null"
            } else if Self.fits({ try decoder.container(keyedBy: JSONKey.self) }) {
                "an object"
            } else if Self.fits({ try decoder.unkeyedContainer() }) {
                "a list"
            } else if Self.fits({ try single.decode(String.self) }) {
                "a string"
            } else if Self.fits({ try single.decode(Bool.self) }) {
                "a boolean"
            } else {
                "a number"
            }
    }

    /// An object or a string with something wrong inside is one all the same.
    private static func fits(_ read: () throws -> some Any) -> Bool {
        do { return try JSONText.ifOfKind(read) != nil } catch { return true }
    }
}

/// A text that is no JSON, or none that is accepted.
package struct JSONError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What is wrong, and where.
    package let description: String

    init(_ description: String) { self.description = description }
}
