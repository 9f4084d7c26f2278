// The decoder beside Python's json module, on lines that are nearly events: both take the same ones and read the same
// names and values.

import Notifications
import Platform
import Support
import Testing

@Suite("Random lines")
struct DecoderFuzzTests {
    /// Prints, for each line, `-` where it is no flat object of texts with an action, else a hash of its fields.
    private static let oracle = """
        import hashlib, json, re, sys
        lone = re.compile("[\\ud800-\\udfff]")
        for line in open(sys.argv[1], "rb").read().split(b"\\n")[:-1]:
            try:
                pairs = json.loads(line.decode("utf-8"), object_pairs_hook=list)
                names = [name for name, value in pairs if isinstance(value, str)]
                if len(names) != len(pairs) or "action" not in names or not line.strip().startswith(b"{"):
                    raise ValueError
            except (ValueError, TypeError, RecursionError):
                print("-")
                continue
            digest = hashlib.sha256()
            for text in (text for pair in pairs for text in pair):
                digest.update(lone.sub("\\ufffd", text).encode("utf-8") + b"\\xff")
            print(digest.hexdigest())
        """

    private static func expected(_ event: Event) -> String {
        SHA256.hex(
            of: event.fields.flatMap { Array($0.0.rawValue.utf8) + [0xff] + Array($0.1.utf8) + [0xff] })
    }

    private static let texts = [
        "", "a", "ok", "docker.io/library/alpine:3.20", #"\n"#, #"\""#, #"\\"#, #"\/"#, #"\u0000"#,
        #"\u00e9"#, #"\uD83D"#,
        #"\ude00"#, #"\ud83d\uDE00"#, #"\x"#, #"\u12g4"#, #"\u+123"#, "ä", "日本", "😀", "{", "}", ":", ",",
        "\u{7f}", "\u{2028}",
        "\t", "\u{1}", "[]", "12345678", "1234567", "123456789",
    ]
    /// Those that a line of our own writer may have: the decoder reads such lines at a glance.
    private static let plainTexts = [
        "", "a", "ok", "docker.io/library/alpine:3.20", "{", "}", ":", ",", "},{", "\u{7f}", "12345678",
        "1234567", "123456789", String(repeating: "x", count: 61),
    ]
    private static let spaces = ["", "", "", "", "", " ", "\t", "\r", "  \r ", "\u{b}", "\u{a0}"]
    private static let values = ["1", "null", "true", "{}", "[]", "\"a", "{\"a\":\"b\"}", "-", ""]

    private func text(isPlain: Bool, _ random: inout SplitMix) -> String {
        let parts = (0..<Int.random(in: 0...4, using: &random)).map { _ in
            (isPlain ? Self.plainTexts : Self.texts).randomElement(using: &random) ?? ""
        }
        return "\"" + parts.joined() + "\""
    }

    /// A line that is an event, or nearly one.
    private func line(_ random: inout SplitMix) -> [UInt8] {
        let isPlain = Bool.random(using: &random)
        func space() -> String { isPlain ? "" : Self.spaces.randomElement(using: &random) ?? "" }
        let isLong = isPlain && Int.random(in: 0..<100, using: &random) == 0
        var members = (0..<Int.random(in: 0...(isLong ? 150 : 6), using: &random)).map { _ in
            let isOdd = Int.random(in: 0..<40, using: &random) == 0
            let value =
                isOdd
                ? Self.values.randomElement(using: &random) ?? "" : text(isPlain: isPlain, &random)
            return space() + text(isPlain: isPlain, &random) + space() + ":" + space() + value + space()
        }
        if Int.random(in: 0..<20, using: &random) > 0 {
            members.insert("\"action\":\"x\"", at: Int.random(in: 0...members.count, using: &random))
        }
        var bytes = Array((space() + "{" + members.joined(separator: ",") + "}" + space()).utf8)
        // Half of them are damaged.
        for _ in 0..<max(0, Int.random(in: -2...2, using: &random)) where !bytes.isEmpty {
            let place = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<4, using: &random) {
            case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1: bytes.remove(at: place)
            case 2: bytes.insert(UInt8.random(in: 0...255, using: &random), at: place)
            default: bytes.removeLast(bytes.count - place)
            }
        }
        return bytes.filter { $0 != UInt8(ascii: "\n") }
    }

    @Test("are read as an independent reader of JSON reads them, or refused where it refuses them")
    func differential() throws {
        let directory = try TemporaryDirectory.inMemory()
        let size = 50_000
        var accepted = 0
        for seed in 0..<UInt64(TestScale.count(1, long: 20)) {
            var random = SplitMix(state: seed)
            let lines = (0..<size).map { _ in line(&random) }
            let path = try directory.write("lines", lines.flatMap { $0 + [UInt8(ascii: "\n")] })
            let answers = try runSuccessfully("/usr/bin/python3", ["-c", Self.oracle, path]).split(
                separator: "\n")
            try #require(answers.count == size)
            var reader = NotificationReader()
            for (line, answer) in zip(lines, answers) {
                // The line alone, and as a reader has it: that one looks at a plain line at a glance.
                for found in [try? Event(line: line), read(line, &reader)] {
                    let found = found.map(Self.expected) ?? "-"
                    if found != "-" { accepted += 1 }
                    guard found != answer else { continue }
                    Issue.record(
                        "seed \(seed): \(found) instead of \(answer): \(String(decoding: line, as: UTF8.self)) \(line)"
                    )
                    return
                }
            }
        }
        // Neither refuses everything.
        #expect(accepted > 2 * size / 10)
    }

    /// What a reader makes of a line; what it recovers of one that is no event doesn't count.
    private func read(_ line: [UInt8], _ reader: inout NotificationReader) -> Event? {
        let taken = (line + [UInt8(ascii: "\n")]).withUnsafeBytes { reader.feed($0) }
        precondition(taken == line.count + 1)
        let first = reader.next()
        while reader.next() != nil {}
        if case .event(let event)? = first { return event }
        return nil
    }
}
