import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("notify")
struct NotifyTests {
    let converting: Converting

    init() throws { converting = try Converting() }

    private func notify(
        _ arguments: [String], environment: [String: String] = [:]
    ) throws -> CommandResult {
        try run(
            Programs.ducc, ["notify"] + arguments,
            environment: converting.environment.merging(environment) { $1 })
    }

    @Test("writes one event alone, its fields in the order in which they were given, and prints nothing")
    func event() throws {
        let result = try notify([
            "-n", converting.log, "--action", "site_scan", "image=a/b:1", "verdict=x=\"y\"\n…", "empty=",
        ])
        #expect(result.code == 0 && result.output.isEmpty && result.errors.isEmpty, "\(result.errors)")
        let events = try converting.events()
        let event = try #require(events.first)
        #expect(events.count == 1 && event.isProven == true && event[.sequence] == "1")
        #expect(event.action.rawValue == "site_scan")
        #expect(
            event.fields.dropFirst(9).dropLast().map { "\($0.0)=\($0.1)" } == [
                "image=a/b:1", "verdict=x=\"y\"\n…", "empty=",
            ])
    }

    @Test("without fields, with flags anywhere, and into standard output")
    func elsewhere() throws {
        let result = try run(
            Programs.ducc, ["--action", "ping", "-n", "-", "--notification-sync=none", "notify"])
        #expect(result.code == 0 && result.errors.isEmpty, "\(result.errors)")
        #expect(try Event(line: Array(result.output.utf8)).action.rawValue == "ping")
    }

    @Test("in a hook, the event that led to it is in caused_by, unless another one is named")
    func cause() throws {
        let environment = ["DUCC_EVENT_ID": "2d02da46-7782-4a58-b2d0-adae79f4d426:7"]
        for (fields, expected) in [
            (["a=b"], environment["DUCC_EVENT_ID"]), (["caused_by=line:00", "a=b"], "line:00"),
        ] {
            #expect(
                try notify(["-n", converting.log, "--action", "x"] + fields, environment: environment).code
                    == 0)
            #expect(try converting.events().last?[.causedBy] == expected)
        }
        #expect(try notify(["-n", converting.log, "--action", "x"]).code == 0)
        #expect(try converting.events().last?[.causedBy] == nil)
        #expect(
            try notify(["-n", converting.log, "--action", "x"], environment: ["DUCC_EVENT_ID": ""]).code == 0)
        #expect(try converting.events().last?[.causedBy] == nil)
    }

    @Test(
        "each wrong command line is exit code 2 and writes nothing",
        arguments: [
            ["a=b"], ["--action", "", "a=b"], ["--action", "Upper"], ["--action", "1a"],
            ["--action", "a-b"], ["--action", String(repeating: "a", count: 257)],
            ["--action", "x", "a"], ["--action", "x", "=b"], ["--action", "x", "A=b"],
            ["--action", "x", "a b=c"], ["--action", "x", "a=1", "a=2"], ["--action", "x", "--no-such=1"],
            ["--action", "x", "time=1"], ["--action", "x", "timestamp=1"], ["--action", "x", "action=y"],
            ["--action", "x", "event_id=1"], ["--action", "x", "run_id=1"], ["--action", "x", "seq=1"],
            ["--action", "x", "prev=1"], ["--action", "x", "host=h"], ["--action", "x", "pid=1"],
            ["--action", "x", "check=1"],
        ])
    func usage(arguments: [String]) throws {
        let result = try notify(["-n", converting.log] + arguments)
        #expect(result.code == 2 && !result.errors.isEmpty, "\(result.code)")
        #expect(!Files.exists(converting.log))
    }

    @Test("without a file it is exit code 2, with one that can't be opened 105 and one line")
    func file() throws {
        let without = try notify(["--action", "x", "a=b"])
        #expect(without.code == 2 && without.errors.contains("-n FILE"), "\(without.errors)")
        let missing = try notify(["--action", "x", "-n", converting.directory.path("missing/log")])
        #expect(missing.code == 105)
        #expect(missing.errors.split(separator: "\n").count == 1 && missing.errors.contains("missing/log"))
    }

    @Test("an event that can't be written is exit code 1, and standard error has it in full")
    func lost() throws {
        let fifo = converting.directory.path("fifo")
        #expect(mkfifo(fifo, 0o600) == 0)
        for path in [fifo, "/dev/full"] {
            let result = try notify(["-n", path, "--action", "x", "what=lost"])
            #expect(result.code == 1, "\(path): \(result.errors)")
            #expect(result.errors.contains("\"what\":\"lost\""))
        }
    }

    @Test("a known action that lacks what readers expect of it is written, with a warning that says what")
    func knownAction() throws {
        let directory = try TemporaryDirectory(keepsEvents: false)
        let path = directory.path("odd.log")
        let result = try notify(["-n", path, "--action", "publish_layer", "image=a/b:1", "colour=red"])
        #expect(result.code == 0)
        for text in ["lacks image_request", "lacks repository", "lacks layer_digest", "has colour"] {
            #expect(result.errors.contains(text), "\(result.errors)")
        }
        #expect(try SchemaValidation.problems(in: path).count == 4)
        let good = try notify([
            "-n", converting.log, "--action", "skip_image", "image=a/b:1", "image_request=https://a/b:1",
            "repository=/srv", "reason=by hand",
        ])
        #expect(good.code == 0 && good.errors.isEmpty, "\(good.errors)")
    }

    @Test("any number at once write whole lines, each once")
    func together() throws {
        let count = TestScale.count(16, long: 200)
        let results = try (0..<count).map { number in
            try RunningCommand(
                Programs.ducc, ["notify", "-n", converting.log, "--action", "x", "number=\(number)"])
        }
        for result in results { #expect(try result.wait().code == 0) }
        let events = try converting.events()
        #expect(events.allSatisfy { $0.isProven == true })
        #expect(
            Set(events.map { $0[Field(rawValue: "number")] ?? "" }) == Set((0..<count).map(String.init)))
        #expect(events.count == count)
    }
}
