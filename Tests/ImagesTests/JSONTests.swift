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
                        .integer(1), .integer(-25), .string("x\né😀/"), .boolean(true), .boolean(false), .null,
                    ]),
                    "b": .object([:]),
                ]))
        #expect(try parse(#""a\u0000b""#) == .string("a\0b"))
        for (text, kind) in [("[]", JSONValue.array([])), ("\"x\"", .string("x")), ("null", .null)] {
            #expect(try parse(text) == kind)
        }
    }

    @Test("numbers: whole ones are whole however they are spelled, large ones lose digits, not their kind")
    func numbers() throws {
        #expect(try parse("9223372036854775807") == .integer(.max))
        #expect(try parse("-9223372036854775808") == .integer(.min))
        #expect(try parse("9223372036854775808") == .number(9_223_372_036_854_775_808))
        #expect(try parse("1.0") == .integer(1))
        #expect(try parse("1.5") == .number(1.5))
    }

    @Test(
        "what is no JSON is refused in one line",
        arguments: [
            "{", "{\"a\"}", "{\"a\":1 \"b\":2}", "[1 2]", "[01]", "-", "1.", "1e", "1e400", "nul", "\"a",
            "\"a\nb\"", #""\x""#, #""\u12g4""#, #"{"\x":1}"#, "{} {}", "{a:1}", "// \n{}", "NaN", " ",
        ])
    func refused(text: String) {
        let error = #expect(throws: JSONError.self) { try parse(text) }
        let line = error?.description ?? ""
        #expect(line.hasPrefix("no JSON that can be read; it begins with '"), "\(line)")
        #expect(!line.contains("\n"))
    }

    @Test("half of a surrogate pair is refused", arguments: [#""\ud800x""#, #""\udc00""#, #"{"\ud800":1}"#])
    func surrogates(text: String) {
        #expect(throws: JSONError.self) { try parse(text) }
    }

    @Test("an error shows how the text begins, and nothing of it can act on a terminal")
    func beginning() throws {
        let page = "<html>\u{1b}[2J" + String(repeating: "x", count: 1000)
        let error = try #require(throws: JSONError.self) { try parse(page) }
        #expect(error.description.hasPrefix("no JSON that can be read; it begins with '<html>\\u{1b}[2Jx"))
        #expect(error.description.utf8.count < 120)
        #expect(throws: JSONError.self) { try parse("") }
    }

    @Test("bytes that are no UTF-8 are refused, UTF-16 too; a mark of their order is none of ours")
    func notText() throws {
        #expect(throws: JSONError.self) { try JSONValue.parse([0x22, 0xff, 0x22]) }
        #expect(throws: JSONError.self) { try JSONValue.parse([0x22, 0xed, 0xa0, 0x80, 0x22]) }
        #expect(throws: JSONError.self) { try JSONValue.parse([0x7b, 0, 0x7d, 0]) }
        #expect(throws: JSONError.self) { try JSONValue.parse([0, 0x7b, 0, 0x7d]) }
        #expect(throws: JSONError.self) { try parse("{}\0") }
        #expect(try parse("\u{feff}{}") == .object([:]))
    }

    @Test("what the parser takes beyond the standard: a comma behind the last element")
    func lenient() throws {
        #expect(try parse("[1,]") == .array([.integer(1)]))
        #expect(try parse(#"{"a":1,}"#) == .object(["a": .integer(1)]))
    }

    @Test("depth and size have limits", arguments: [("[", "]"), ("{\"a\":", "}")])
    func limits(opening: String, closing: String) throws {
        func nested(_ depth: Int) -> String {
            String(repeating: opening, count: depth) + "1" + String(repeating: closing, count: depth)
        }
        _ = try parse(nested(JSONValue.deepest))
        for depth in [JSONValue.deepest + 1, 511] {
            let error = #expect(throws: JSONError.self) { try parse(nested(depth)) }
            #expect(error?.description == "it is more than 16 levels deep")
        }
        #expect(throws: JSONError.self) { try parse(nested(600)) }
        #expect(throws: JSONError.self) { try parse(String(repeating: opening, count: 50_000)) }
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

    @Test("of a key that is there twice, exactly as spelled, the first counts: no parser of ours could tell")
    func twice() throws {
        #expect(try parse(#"{"a":1,"a":2,"b":3,"a":4}"#) == .object(["a": .integer(1), "b": .integer(3)]))
        #expect(try parse(#"{"\u0061":1,"a":2}"#).value("a") == .integer(1))
        #expect(try Documents.image(Documents.manifest(more: #","layers":[]"#)).layers.count == 1)
    }
}

@Suite("Documents that are hostile as JSON")
struct HostileDocumentTests {
    @Test("a text in a field that is read must be one")
    func texts() {
        let error = #expect(throws: ManifestError.self) {
            try Documents.decode(Documents.manifest(more: #","mediaType":"\ud800""#))
        }
        #expect(error?.description == "the manifest's mediaType is a string that JSON doesn't allow")
        let key = #expect(throws: ManifestError.self) {
            try Documents.decode(#"{"schemaVersion":2,"layers":[],"config":{"\ud800":1}}"#)
        }
        #expect(key?.description == "the manifest's config is an object that JSON doesn't allow")
    }

    @Test("null among the layers is no layer")
    func nullLayer() {
        let error = #expect(throws: ManifestError.self) {
            try Documents.decode(Documents.manifest(layers: ["null"]))
        }
        #expect(error?.description == "the manifest's layers[0] is null, not an object")
    }

    @Test("numbers that no size is", arguments: ["1e400", "1e30", "18446744073709551616", "0.5"])
    func numbers(size: String) {
        let error = #expect(throws: ManifestError.self) {
            try Documents.decode(
                Documents.manifest(layers: [Documents.descriptor(MediaType.ociLayer, size: size)]))
        }
        #expect(error?.description == "the manifest's layers[0].size is a number, not a whole number")
    }

    // Each wrong guess at a value's kind costs what its depth is: the quadratic trap of decoding JSON of any form.
    @Test(
        "megabytes of deep nonsense cost what their length does", .timeLimit(.minutes(1)),
        arguments: [1, 510])
    func deep(depth: Int) throws {
        let nonsense =
            String(repeating: "[", count: depth)
            + [String](repeating: "[]", count: 1_390_000).joined(separator: ",")
            + String(repeating: "]", count: depth)
        #expect(try Documents.image(Documents.manifest(more: #","x":\#(nonsense)"#)).layers.count == 1)
    }

    @Test("deeper than the parser goes is refused, not a crash")
    func tooDeep() {
        let nested = String(repeating: "[", count: 600) + String(repeating: "]", count: 600)
        let error = #expect(throws: ManifestError.self) {
            try Documents.decode(Documents.manifest(more: #","x":\#(nested)"#))
        }
        #expect(
            error?.description.hasPrefix("the manifest is not readable: no JSON that can be read") == true)
    }
}
