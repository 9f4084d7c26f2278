import Support
import Testing
import YAML

@Suite("Hostile YAML")
struct HostileYAMLTests {
    @Test("aliases that multiply are stopped", .timeLimit(.minutes(40)))
    func bomb() {
        var text = "a0: &a0 lol\n"
        for level in 1...30 {
            let aliases = [String](repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
            text += "a\(level): &a\(level) [\(aliases)]\n"
        }
        let error = #expect(throws: YAMLError.self) { try parse(text) }
        #expect(error?.text == "more than 1000000 values, each alias counted in full")
        #expect(error?.line == 7)
    }

    @Test("aliases that pile up levels are stopped")
    func tower() {
        var text = "a0: &a0 [x]\n"
        for level in 1...200 { text += "a\(level): &a\(level) [*a\(level - 1)]\n" }
        let error = #expect(throws: YAMLError.self) { try parse(text) }
        #expect(error?.text == "more than 100 levels deep")
    }

    @Test(
        "depth is stopped before libyaml has read it all", .timeLimit(.minutes(40)),
        arguments: ["[", "{a: ", "- ", "? ", "a:\n "])
    func depth(opening: String) {
        let error = #expect(throws: YAMLError.self) {
            try parse(String(repeating: opening, count: 1_000_000))
        }
        #expect(error?.kind == .invalid)
    }

    @Test("100 levels are fine, 101 are not")
    func edge() throws {
        func nested(_ levels: Int) -> String {
            String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
        }
        _ = try parse(nested(100))
        #expect(throws: YAMLError.self) { try parse(nested(101)) }
    }

    @Test("16 MiB are the limit")
    func size() {
        let error = #expect(throws: YAMLError.self) {
            try YAMLNode.parse([UInt8](repeating: 0x20, count: 16 << 20 + 1), file: "f.yaml")
        }
        #expect(error?.description == "f.yaml: is bigger than 16 MiB")
        #expect(throws: YAMLError.self) { try YAMLNode.read(path: "/dev/zero") }
    }

    @Test("no random text crashes, and every error has its place in the text")
    func fuzz() {
        let pieces =
            [
                "a", "key: ", "- ", "\n", "  ", "\t", "[", "]", "{", "}", ",", "&x ", "*x", "!", "!!str ",
                "| ", "> ",
            ]
            + [
                "'", "\"", "\\", "#", "---\n", "...\n", "%YAML 1.1\n", "? ", ": ", "~", "<<: ", "\r\n", "é",
                "\u{feff}",
            ]
            + ["\0", "\u{85}", "@", "`", "null", "-", "%TAG ! x\n", "\u{10ffff}"]
        var random = SplitMix(state: 7)
        var accepted = 0
        for _ in 0..<60_000 {
            let count = Int.random(in: 0...14, using: &random)
            var bytes = (0..<count).compactMap { _ in pieces.randomElement(using: &random) }.flatMap(\.utf8)
            if Int.random(in: 0..<4, using: &random) == 0, !bytes.isEmpty {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(
                    in: .min ... .max, using: &random)
            }
            do throws(YAMLError) {
                _ = try YAMLNode.parse(bytes, file: "f.yaml")
                accepted += 1
            } catch {
                #expect(error.line >= 1 && error.line <= bytes.count + 1 && error.column >= 1)
                #expect(!error.description.utf8.contains(10))
            }
        }
        #expect(accepted > 1000)
    }
}
