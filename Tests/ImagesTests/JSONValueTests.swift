import Images
import Testing

@Suite("JSON that is passed on whole")
struct JSONValueTests {
    @Test("is the same when it is written again, keys sorted")
    func same() throws {
        let text =
            #"{"b":[1,2.5,-3,true,false,null,{}],"a":"\u00fc\n\"/","c":{"d":[[]]},"e":9007199254740993}"#
        let value = try JSONValue.read(Array(text.utf8), limit: 1000)
        #expect(
            String(decoding: try value.line(), as: UTF8.self)
                == #"{"a":"ü\n\"/","b":[1,2.5,-3,true,false,null,{}],"c":{"d":[[]]},"e":9007199254740993}"#)
    }

    @Test(
        "more than any image has is refused at once",
        arguments: [
            String(repeating: "[", count: 33) + String(repeating: "]", count: 33),
            "[" + String(repeating: "[],", count: 700_000) + "[]]", "[1", "", "[] []",
        ])
    func refused(text: String) {
        #expect(throws: (any Error).self) { try JSONValue.read(Array(text.utf8), limit: 8 << 20) }
    }

    @Test("brackets and commas in texts are texts")
    func texts() throws {
        let text = "[\"" + String(repeating: "[,\\\"", count: 30_000) + "\"]"
        #expect(try JSONValue.read(Array(text.utf8), limit: 1 << 20).texts.first?.utf8.count == 90_000)
    }
}
