// What a line looks like: every field in its place, every text readable by others, and never too long.

import Glibc
import Notifications
import Platform
import Support
import Testing

struct LineFormatTests {
    let directory: TemporaryDirectory
    let path: String

    init() throws {
        directory = try TemporaryDirectory()
        path = directory.path("notifications.log")
    }

    @Test("an event has the common fields in their order, then its own, and last the check")
    func fieldOrder() throws {
        let writer = try NotificationWriter(path: path)
        let identifier = writer.emit(
            .publishTest,
            [(.image, "docker.io/library/alpine:3.20"), (.publicPath, "x"), (.sizeBytes, "5")])
        let event = try #require(try events(of: path).first)
        #expect(
            event.fields.map(\.0.rawValue) == [
                "time", "timestamp", "action", "event_id", "run_id", "seq", "prev", "host", "pid", "image",
                "public_path", "size_bytes", "check",
            ])
        #expect(event.identifier == identifier)
        #expect(identifier == "\(writer.runIdentifier):1")
        #expect(event[.runIdentifier] == writer.runIdentifier)
        #expect(event[.previous] == String(repeating: "0", count: 32))
        #expect(event[.process] == "\(getpid())")
        #expect(event[.sizeBytes] == "5")
        #expect(event.action == .publishTest)
    }

    @Test("time is DUCC's wall time and timestamp the same instant in UTC with nanoseconds")
    func times() throws {
        let before = time(nil)
        try NotificationWriter(path: path).emit(.startDUCC)
        let event = try #require(try events(of: path).first)
        let wall = try #require(event[.time])
        let stamp = try #require(event[.timestamp])
        #expect(
            wall.wholeMatch(of: /[ 123][0-9] [A-Z][a-z]{2} [0-9]{4} - [0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}/)
                != nil)
        #expect(
            stamp.wholeMatch(of: /[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{9}Z/) != nil)
        // date reads both as a person would.
        let seconds = try runSuccessfully("date", ["-u", "-d", stamp, "+%s"]).split(separator: "\n")[0]
        let local = try runSuccessfully(
            "date", ["-d", stamp, "+%e %b %Y - %H:%M:%S"], environment: ["LC_ALL": "C"])
        #expect(abs((time_t(seconds) ?? 0) - before) < 60)
        #expect(wall.hasPrefix(local.split(separator: "\n")[0]))
        #expect(wall.suffix(3) == stamp.split(separator: ".")[1].prefix(3))
    }

    @Test("seq counts without gaps, prev is the check of the line before, and each line proves itself")
    func chain() throws {
        let writer = try NotificationWriter(path: path)
        for number in 0..<50 { writer.emit(.publishTest, [(.layer, "\(number)")]) }
        var previous = String(repeating: "0", count: 32)
        for (index, line) in try lines(of: path).enumerated() {
            let event = try Event(line: Array(line.utf8))
            #expect(event[.sequence] == "\(index + 1)")
            #expect(event[.previous] == previous)
            #expect(event[.check] == expectedCheck(of: line))
            #expect(event.isProven == true)
            previous = event[.check] ?? ""
        }
        #expect(writer.lostCount == 0)
    }

    @Test("a changed byte anywhere is noticed")
    func tampering() throws {
        try NotificationWriter(path: path).emit(.publishTest, [(.layer, "abc")])
        let line = Array(try #require(try lines(of: path).first).utf8)
        var unnoticed = 0
        for index in line.indices {
            var changed = line
            changed[index] = changed[index] == 0x61 ? 0x62 : 0x61
            if let event = try? Event(line: changed), event.isProven != false { unnoticed += 1 }
        }
        #expect(unnoticed == 0)
    }

    @Test("another program reads every text as it was given")
    func texts() throws {
        let texts = [
            "", "plain", "\"quoted\" \\ back", "line\nfeed\r\ttab", "\0nul", "\u{1f}\u{7f}\u{80}\u{85}\u{a0}",
            "\u{2028}\u{2029}\u{2027}\u{202a}", "äöü ÿ Ā", "日本語", "👩‍👩‍👧‍👦 🇨🇭", "\u{fffd}\u{feff}\u{10ffff}",
            "{\"action\":\"x\"}", "<&>", "12345678", "1234567\"", "12345678\\9", "ééééééééé", "â€™",
        ]
        let writer = try NotificationWriter(path: path)
        for text in texts {
            writer.emit(.publishTest, [(.reason, text), (Field(rawValue: "odd \" name"), text)])
        }
        // One value a line, as hexadecimal UTF-8, by Python's own parser.
        let program = """
            import json, sys
            data = open(sys.argv[1], encoding="utf-8").read()
            assert len(data.splitlines()) == data.count("\\n"), "a line looks like two"
            for line in data.splitlines():
                event = json.loads(line)
                assert event["reason"] == event["odd \\" name"]
                print(event["reason"].encode("utf-8").hex() or "-")
            """
        let read = try runSuccessfully("python3", ["-c", program, path]).split(separator: "\n").map(
            String.init)
        #expect(read == texts.map { $0.isEmpty ? "-" : Hex.string($0.utf8) })
        #expect(try events(of: path).map { $0[.reason] } == texts)
    }

    @Test("a value that is too long is cut at a character boundary and ends with …")
    func longValues() throws {
        let writer = try NotificationWriter(path: path)
        let family = "👩‍👩‍👧‍👦"
        writer.emit(
            .test,
            [(.error, String(repeating: family, count: 9000)), (.status, "error"), (.reason, "short")])
        writer.emit(
            .test, [(.error, String(repeating: "\0", count: 200_000)), (.status, "error")])
        writer.emit(.test, [(.status, "ok")])
        let found = try lines(of: path)
        #expect(found.count == 3)
        #expect(found.allSatisfy { $0.utf8.count < 64 << 10 })
        #expect(found[0].utf8.count > 65_400 && found[1].utf8.count > 65_400)
        let read = try events(of: path)
        let error = try #require(read[0][.error])
        #expect(error.hasSuffix("…"))
        #expect(error.dropLast().allSatisfy { String($0) == family })
        #expect(read[0][.reason] == "short" && read[0][.status] == "error")
        #expect(read[1][.error]?.hasSuffix("\0…") == true)
        #expect(read.allSatisfy { $0.isProven == true })
    }

    @Test("wherever the limit falls, no character is cut in two")
    func characters() throws {
        let family = "👩‍👩‍👧‍👦"
        let writer = try NotificationWriter(path: path, sync: .none)
        for length in 0..<30 {
            writer.emit(
                .test,
                [
                    (.reason, String(repeating: "x", count: length)),
                    (.error, String(repeating: family, count: 4000)),
                ])
        }
        for event in try events(of: path) {
            let error = try #require(event[.error])
            #expect(error.last == "…" && error.dropLast().allSatisfy { String($0) == family })
        }
    }

    @Test("the longest of several values give way first")
    func fairCutting() throws {
        let writer = try NotificationWriter(path: path)
        let long = String(repeating: "a", count: 60_000)
        writer.emit(
            .test, [(.error, long), (.reason, long), (.image, String(long.prefix(9000)))])
        let event = try #require(try events(of: path).first)
        #expect(event[.image]?.utf8.count == 9000)
        #expect(event[.error]?.utf8.count == event[.reason]?.utf8.count)
        #expect(event.isProven == true)
    }

    @Test("a thousand long names still make one valid line")
    func manyFields() throws {
        let writer = try NotificationWriter(path: path)
        writer.emit(
            .publishTest,
            (0..<1000).map { (Field(rawValue: "n\($0)" + String(repeating: "x", count: 200)), "value") })
        writer.emit(Action(rawValue: String(repeating: "a", count: 100_000)), [(.status, "ok")])
        let read = try events(of: path)
        #expect(read.allSatisfy { $0.isProven == true })
        #expect(try lines(of: path).allSatisfy { $0.utf8.count < 64 << 10 })
        #expect(read.last?[.status] == "ok")
    }

    @Test("a field that the writer sets itself is never taken from the caller")
    func ownFields() throws {
        let names = [
            "time", "timestamp", "action", "event_id", "run_id", "seq", "prev", "host", "pid", "check",
        ]
        try NotificationWriter(path: path).emit(.publishTest, names.map { (Field(rawValue: $0), "forged") })
        let line = try #require(try lines(of: path).first)
        #expect(!line.contains("forged"))
        #expect(try events(of: path).first?.isProven == true)
    }

    @Test("what a terminal would obey, or another program take for a line's end, is escaped, and read back")
    func controls() throws {
        let text = "\u{7f}\u{80}\u{85}\u{9b}31m\u{9f}\u{a0}\u{2028}\u{2029}é"
        try NotificationWriter(path: path).emit(.test, [(.text, text)])
        let line = try #require(try lines(of: path).first)
        #expect(
            line.contains(
                "\u{7f}" + #"\u0080\u0085\u009b31m\u009f"# + "\u{a0}" + #"\u2028\u2029é"#), "\(line)")
        #expect(try events(of: path).first?[.text] == text)
    }

    @Test(
        "an action of another form is written in the nearest one",
        arguments: [
            ("", "x"), ("Publish Layer", "x_ublish__ayer"), ("1a", "x1a"), ("a-b\n", "a_b_"), ("ä", "x__"),
            ("_a", "x_a"),
        ])
    func malformedAction(name: String, expected: String) throws {
        try NotificationWriter(path: path).emit(Action(rawValue: name), [(.text, "t")])
        #expect(try events(of: path).map(\.action.rawValue) == [expected])
    }

    @Test("every known action has the form that actions have")
    func actions() {
        #expect(Action.endSingleChainConversion.rawValue == "end_single_chain_convertion")
        #expect(Action.notificationWriteFailed.isWellFormed)
        for name in ["", "_a", "1a", "A", "a-b", "a b", "ä", "a\0"] {
            #expect(!Action(rawValue: name).isWellFormed, "\(name)")
        }
    }
}
