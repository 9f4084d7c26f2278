import Images
import Testing

@Suite("JSON from outside")
struct JSONTests {
    private func parse(_ text: String) throws -> JSONValue { try JSONValue.parse(Array(text.utf8)) }

    @Test("every kind of value")
    func values() throws {
        let value = try parse(#" {"a":[1,-2.5e1,"x\n\u00e9\ud83d\ude00\/",true,false,null],"b":{}} "#)
        #expect(
            value
                == .object([
                    "a": .array([
                        .integer(1), .number(-25), .string("x\né😀/"), .boolean(true), .boolean(false), .null,
                    ]),
                    "b": .object([:]),
                ]))
        #expect(try parse("9223372036854775807") == .integer(.max))
        #expect(try parse("9223372036854775808") == .number(9_223_372_036_854_775_808))
        #expect(try parse(#""\ud800x""#) == .string("\u{fffd}x"))
        #expect(try parse(#""\ud800\u0041""#) == .string("\u{fffd}A"))
    }

    @Test(
        "what is no JSON is refused with its place",
        arguments: [
            ("", "no JSON, at byte 1: the text ends too early"),
            ("{", "no JSON, at byte 2: a key in double quotes is missing"),
            ("{\"a\"}", "no JSON, at byte 5: a colon is missing"),
            ("{\"a\":1,}", "no JSON, at byte 8: a key in double quotes is missing"),
            ("{\"a\":1 \"b\":2}", "no JSON, at byte 8: a comma or a closing brace is missing"),
            ("{\"a\":1,\"a\":2}", "no JSON, at byte 8: the key 'a' is there twice"),
            ("[1,]", "no JSON, at byte 4: here no value begins"),
            ("[1 2]", "no JSON, at byte 4: a comma or a closing bracket is missing"),
            ("[01]", "no JSON, at byte 4: this is no number"),
            ("-", "no JSON, at byte 2: this is no number"),
            ("1.", "no JSON, at byte 3: digits are missing"),
            ("1e", "no JSON, at byte 3: digits are missing"),
            ("nul", "no JSON, at byte 1: here no value begins"),
            ("\"a", "no JSON, at byte 3: a string is not closed"),
            ("\"a\nb\"", "no JSON, at byte 3: a control character stands in a string"),
            ("\"\\x\"", "no JSON, at byte 4: this escape is unknown"),
            ("\"\\u12g4\"", "no JSON, at byte 4: \\u is followed by four hex digits"),
            ("{} {}", "no JSON, at byte 4: something follows the JSON value"),
            ("\u{feff}{}", "no JSON, at byte 1: here no value begins"),
        ])
    func refused(text: String, problem: String) {
        let error = #expect(throws: JSONError.self) { try parse(text) }
        #expect(error?.description == problem)
    }

    @Test("bytes that are no UTF-8 are refused")
    func notText() {
        #expect(throws: JSONError.self) { try JSONValue.parse([0x22, 0xff, 0x22]) }
        #expect(throws: JSONError.self) { try JSONValue.parse([0x22, 0xed, 0xa0, 0x80, 0x22]) }
    }

    @Test("depth and size have limits", arguments: ["[", "{\"a\":"])
    func limits(opening: String) throws {
        let error = #expect(throws: JSONError.self) {
            try parse(String(repeating: opening, count: 500_000))
        }
        #expect(error?.description.hasSuffix("more than 100 levels deep") == true)
        _ = try parse(String(repeating: "[", count: 100) + String(repeating: "]", count: 100))
        #expect(throws: JSONError.self) {
            try parse(String(repeating: "[", count: 101) + String(repeating: "]", count: 101))
        }
        #expect(throws: JSONError.self) {
            try JSONValue.parse([UInt8](repeating: 0x20, count: 11), limit: 10)
        }
    }

    @Test("a key is found in any letter case, unless two differ in nothing else")
    func letterCase() throws {
        #expect(try parse(#"{"SchemaVersion":2}"#).value("schemaVersion") == .integer(2))
        #expect(try parse(#"{"a":null}"#).value("a") == nil)
        let error = #expect(throws: JSONError.self) { try parse(#"{"size":1,"Size":2}"#).value("size") }
        #expect(error?.description == "the keys 'Size' and 'size' differ only in letter case")
    }
}
