import Testing
import YAML

func parse(_ text: String) throws(YAMLError) -> YAMLNode {
    try YAMLNode.parse(Array(text.utf8), file: "f.yaml")
}

@Suite("YAML documents")
struct YAMLTests {
    @Test("every node knows its line and column")
    func positions() throws {
        let node = try parse(
            """
            # a comment
            name: value
            list:
              - one
              -   "two"
              - {inner: [3, four]}
            """)
        #expect(node.position == YAMLPosition(line: 2, column: 1))
        #expect(node.value("name")?.position == YAMLPosition(line: 2, column: 7))
        guard case .sequence(let elements, let start) = node.value("list") else {
            Issue.record("no list")
            return
        }
        #expect(start == YAMLPosition(line: 4, column: 3))
        #expect(elements.map(\.position.line) == [4, 5, 6])
        #expect(elements.map(\.position.column) == [5, 7, 5])
        #expect(elements[2].value("inner")?.position == YAMLPosition(line: 6, column: 13))
        guard case .mapping(let entries, _) = node else { return }
        #expect(entries.map(\.key.text) == ["name", "list"])
        #expect(entries[1].key.position == YAMLPosition(line: 3, column: 1))
    }

    @Test("columns count characters, and a byte order mark and CRLF count nothing")
    func encodings() throws {
        let node = try parse("\u{feff}a: 1\r\n\"é\": x\r\n")
        #expect(node.value("a")?.position == YAMLPosition(line: 1, column: 4))
        #expect(node.value("é")?.text == "x")
        #expect(node.value("é")?.position == YAMLPosition(line: 2, column: 6))
        let wide = "a: é".utf16.flatMap { [UInt8($0 & 0xff), UInt8($0 >> 8)] }
        #expect(try YAMLNode.parse([0xff, 0xfe] + wide, file: "f").value("a")?.text == "é")
    }

    @Test(
        "what a scalar means",
        arguments: [
            ("12", 12, nil, false), ("\"12\"", nil, nil, false), ("!!str 12", nil, nil, false),
            ("-3", -3, nil, false),
            ("true", nil, true, false), ("'true'", nil, nil, false), ("False", nil, false, false),
            ("yes", nil, nil, false), ("null", nil, nil, true), ("~", nil, nil, true), ("", nil, nil, true),
            ("'null'", nil, nil, false), ("''", nil, nil, false), ("|\n  12", nil, nil, false),
        ] as [(String, Int?, Bool?, Bool)])
    func scalars(text: String, integer: Int?, boolean: Bool?, isNull: Bool) throws {
        guard case .scalar(let scalar) = try parse("a: \(text)").value("a") else {
            Issue.record("no scalar")
            return
        }
        #expect(scalar.integer == integer)
        #expect(scalar.boolean == boolean)
        #expect(scalar.isNull == isNull)
    }

    @Test("an empty text is nothing", arguments: ["", "\n\n", "# only a comment\n", "---\n", "\u{feff}"])
    func empty(text: String) throws {
        #expect(try parse(text).isNull)
    }

    @Test("an alias is what its anchor holds, at the anchor's place")
    func aliases() throws {
        let node = try parse("a: &x [1, 2]\nb: *x\nc: &x 3\nd: *x\n")
        #expect(node.value("b") == node.value("a"))
        #expect(node.value("d")?.text == "3")
        #expect(node.value("d")?.position.line == 3)
    }

    @Test(
        "what is wrong is said in one line, with its place",
        arguments: [
            ("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: the key a is there twice, first in line 1"),
            ("a: {b: 1, b: 2}", "f.yaml:1:11: the key b is there twice, first in line 1"),
            ("\"x\\ny\": 1\n\"x\\ny\": 2", "f.yaml:2:1: the key x\\u{a}y is there twice, first in line 1"),
            ("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document begins; only one is allowed"),
            ("[a]: b", "f.yaml:1:1: a key must be text, this one is a list"),
            ("a: *x", "f.yaml:1:4: the alias *x has no anchor &x before it"),
            ("a: &x [*x]", "f.yaml:1:8: the alias *x stands inside of what it stands for"),
            ("a: !include b", "f.yaml:1:4: the tag !include is not supported"),
            ("a: !!binary YQ==", "f.yaml:1:4: the tag tag:yaml.org,2002:binary is not supported"),
            ("a: !!map [1]", "f.yaml:1:4: the tag tag:yaml.org,2002:map is not supported"),
            (
                "a:\n\t- b",
                "f.yaml:2:1: not YAML: a tab where an indentation is expected; indent with spaces, while scanning for the next token"
            ),
            (
                "é:\n\t- b",
                "f.yaml:2:1: not YAML: a tab where an indentation is expected; indent with spaces, while scanning for the next token"
            ),
            (
                "a: [1, 2",
                "f.yaml:2:1: not YAML: did not find expected ',' or ']', while parsing a flow sequence of line 1"
            ),
            ("a: 'x", "f.yaml:1:6: not YAML: found unexpected end of stream, while scanning a quoted scalar"),
            ("a: 1\n b: 2", "f.yaml:2:3: not YAML: mapping values are not allowed in this context"),
            (
                "- a\nb: 1",
                "f.yaml:2:1: not YAML: did not find expected '-' indicator, while parsing a block collection of line 1"
            ),
            (
                "a: @x",
                "f.yaml:1:4: not YAML: found character that cannot start any token, while scanning for the next token"
            ),
        ])
    func wrong(text: String, line: String) {
        let error = #expect(throws: YAMLError.self) { try parse(text) }
        #expect(error?.description == line)
        #expect(error?.kind == .invalid)
    }

    @Test("bytes that are no text are refused with their place")
    func notText() {
        let error = #expect(throws: YAMLError.self) {
            try YAMLNode.parse(Array("a: é\nb: x".utf8) + [0xff], file: "f.yaml")
        }
        #expect(error?.description == "f.yaml:2:5: no text: invalid leading UTF-8 octet")
        let control = #expect(throws: YAMLError.self) { try parse("a: \u{1b}[31m") }
        #expect(control?.description == "f.yaml:1:4: no text: control characters are not allowed")
    }

    @Test("a file that can't be read says why")
    func unreadable() {
        let missing = #expect(throws: YAMLError.self) { try YAMLNode.read(path: "/nonexistent/x.yaml") }
        #expect(missing?.description == "/nonexistent/x.yaml: cannot be read: No such file or directory")
        #expect(missing?.kind == .unreadable)
        let directory = #expect(throws: YAMLError.self) { try YAMLNode.read(path: "/") }
        #expect(directory?.description == "/: cannot be read: Is a directory")
        let nul = #expect(throws: YAMLError.self) { try YAMLNode.read(path: "/etc/passwd\0x") }
        #expect(nul?.kind == .unreadable)
    }
}
