// What was written for the original DUCC goes on working: programs that read its notifications, and files that it and
// this one append to together.

import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("What the original DUCC's users have")
struct OriginalConsumerTests {
    let converting: Converting

    init() throws { converting = try Converting() }

    /// A conversion's events, and one of `notify`.
    private func fill() throws {
        try ConvertTests.image().write(to: converting.layout, tag: "1.0")
        #expect(try converting.convert("oci:\(converting.layout):1.0").code == 0)
        let odd = "text=quote \" back \\ line\nfeed tab\t nul-free \u{1} é 日本 👩‍👩‍👧‍👦"
        #expect(try converting.ducc("notify", "--action", "site_scan", odd, "number=1", "empty=").code == 0)
    }

    @Test("a program that parses each line into a map of strings reads every event", .onBothRepositories)
    func mapOfStrings() throws {
        try fill()
        let count = try text(of: converting.log).split(separator: "\n").count
        // As Go's json.Unmarshal into a map[string]string: flat, no value but strings, no name twice.
        let program = """
            import json, sys
            def unique(pairs):
                assert len(dict(pairs)) == len(pairs), pairs
                return dict(pairs)
            count = 0
            with open(sys.argv[1], encoding="utf-8", newline="\\n") as lines:
                for line in lines:
                    event = json.loads(line, object_pairs_hook=unique)
                    assert type(event) is dict and all(type(value) is str for value in event.values()), line
                    assert event["action"] and event["time"]
                    count += 1
            print(count)
            """
        #expect(
            try runSuccessfully("/usr/bin/python3", ["-c", program, converting.log]) == "\(count)\n")
        let flat = "[type == \"object\"] + [.[] | type == \"string\"] | all"
        let verdicts = try runSuccessfully("jq", [flat, converting.log]).split(separator: "\n")
        #expect(verdicts == Array(repeating: "true", count: count)[...].map { $0[...] })
        let found = try runSuccessfully(
            "jq", ["-j", "select(.action == \"site_scan\") | .text", converting.log])
        #expect(found == "quote \" back \\ line\nfeed tab\t nul-free \u{1} é 日本 👩‍👩‍👧‍👦")
    }

    @Test(
        "a program that looks at action and public_path only finds each published flat image",
        .onBothRepositories)
    func actionAndPath() throws {
        try fill()
        let filter = "select(.action == \"publish_flat_image\") | .public_path"
        #expect(try runSuccessfully("jq", ["-r", filter, converting.log]) == "localhost/layout:1.0\n")
        // And one that is no JSON parser at all, as site scripts are.
        let grep = try runSuccessfully(
            "grep",
            ["-cE", #""action":"publish_flat_image".*"public_path":"localhost/layout:1\.0""#, converting.log])
        #expect(grep == "1\n")
    }

    /// Writes lines as the original DUCC does: its fields in the order of their names, one write for each.
    private static let original = """
        import os, sys, time
        file = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        for number in range(int(sys.argv[2])):
            digest = f"{number:064x}"
            line = ('{"action":"end_layer_conversion","id":"f1cec170-cfe9-40ed-8c57-0a733cc918ae",'
                '"image":"registry.example.org/group/image:1","layer":"' + digest + '","size_bytes":"2048",'
                '"status":"ok","time":"24 Nov 2026 - 10:38:52.126","time_elapsed_s":"0.585205"}\\n').encode()
            assert os.write(file, line) == len(line)
            if number % 10 == 0:
                time.sleep(0.001)
        """

    @Test(
        "a file that the original DUCC and four of our writers append to at once is whole for both's readers",
        .onBothRepositories)
    func together() throws {
        let theirs = TestScale.count(2000, long: 20_000)
        let ours = TestScale.count(500, long: 5000)
        // Not the fixture's own: the original's lines are not what our schema says.
        let path = converting.directory.path("both.log")
        let writers = try (0..<4).map { _ in
            try RunningCommand(Programs.emitter, [path, "--count", "\(ours)", "--rate", "\(ours * 2)"])
        }
        let original = try RunningCommand("/usr/bin/python3", ["-c", Self.original, path, "\(theirs)"])
        for one in writers + [original] {
            let result = try one.wait()
            #expect(result.code == 0, "\(result.errors)")
        }
        let content = try text(of: path)
        // Empty lines mean nothing: a writer that begins while half of another's line is there begins with one.
        let lines = content.split(separator: "\n")
        #expect(content.last == "\n" && lines.count == theirs + 4 * ours)
        let isTheirs = lines.map { $0.hasPrefix("{\"action\"") }
        let changes = zip(isTheirs, isTheirs.dropFirst()).count { $0 != $1 }
        #expect(changes > 20, "they hardly wrote at the same time")
        let sequences = try Set(
            lines.map { try Event(line: Array($0.utf8)) }.filter { $0[.sequence] != nil }
                .map(\.identifier))
        #expect(sequences.count == 4 * ours)

        let read = try run(
            Programs.follow, [path, "--no-follow"],
            environment: ["XDG_STATE_HOME": converting.directory.path("state")])
        #expect(read.code == 0 && read.output == lines.map { $0 + "\n" }.joined())
        let verified = try run(Programs.follow, ["verify", path])
        let counts = "1 file, \(theirs + 4 * ours) events of 4 runs, \(theirs) unchained"
        #expect(verified.output == "\(path): \(counts): nothing is wrong\n")
        #expect(verified.code == 0)
    }
}
