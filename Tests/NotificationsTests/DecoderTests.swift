// Reading one line: every form that is JSON, and nothing that isn't.

import Notifications
import Support
import Testing

struct DecoderTests {
    private func event(_ line: String) throws -> Event { try Event(line: Array(line.utf8)) }

    @Test(
        "every JSON escape is read as what it stands for",
        arguments: [
            (#"\" \\ \/ \b \f \n \r \t"#, "\" \\ / \u{8} \u{c} \n \r \t"),
            (#"\u0041\u00e9\u20AC"#, "Aé€"), (#"\ud83d\ude00"#, "😀"), (#"\uD83D\uDE00x"#, "😀x"),
            (#"\ud83d"#, "\u{fffd}"), (#"\ude00"#, "\u{fffd}"), (#"\ud83dx"#, "\u{fffd}x"),
            (#"\ud83d\ud83d\ude00"#, "\u{fffd}😀"), (#"\ud83d\n"#, "\u{fffd}\n"), (#"\u0000"#, "\0"),
            (#"\u003cdocker\u003e \u0026"#, "<docker> &"), ("ä日😀", "ä日😀"),
        ])
    func escapes(escaped: String, expected: String) throws {
        let event = try event(#"{"action":"x","error":""# + escaped + #""}"#)
        #expect(event[.error] == expected)
    }

    @Test(
        "what is no flat object of texts is refused with a reason",
        arguments: [
            ("", "too early"), ("x", "not a JSON object"), ("[]", "not a JSON object"), ("{", "too early"),
            (#"{"action""#, "too early"), (#"{"action":"x""#, "too early"), (#"{"action":"x"#, "too early"),
            (#"{"action":"x"}{"#, "behind its object"), (#"{"action":"x"} x"#, "behind its object"),
            (#"{"action":1}"#, "no text"), (#"{"action":null}"#, "no text"), (#"{"action":{}}"#, "no text"),
            (#"{"action":["x"]}"#, "no text"), (#"{action:"x"}"#, "no text"), (#"{"action" "x"}"#, "no :"),
            (#"{"action":"x",}"#, "no text"), (#"{"action":"x" "y":"z"}"#, "neither"),
            (#"{"action":"\x"}"#, "unknown escape"), (#"{"action":"\u12g4"}"#, "hexadecimal"),
            (#"{"action":"\u12"}"#, "hexadecimal"), (#"{"action":"\"#, "too early"),
            ("{\"action\":\"a\tb\"}", "control character"), ("{\"action\":\"a\0b\"}", "control character"),
            ("{}", "no action"), (#"{"status":"ok"}"#, "no action"),
        ])
    func refused(line: String, reason: String) {
        let problem = #expect(throws: LineProblem.self) { try event(line) }
        #expect(problem?.reason.contains(reason) == true, "\(problem?.description ?? "")")
    }

    @Test(
        "bytes that are not UTF-8 are refused",
        arguments: [
            [0x80], [0xc0, 0x80], [0xc1, 0xbf], [0xe0, 0x80, 0x80], [0xed, 0xa0, 0x80],
            [0xf0, 0x80, 0x80, 0x80],
            [0xf4, 0x90, 0x80, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xff], [0xc3], [0xe2, 0x82],
            [0xf0, 0x9f, 0x98],
            [0xe2, 0x28, 0xa1], [0xe2, 0x82, 0x28], [0xf0, 0x9f, 0x28, 0x80],
        ] as [[UInt8]])
    func invalidUTF8(bytes: [UInt8]) {
        let line = Array(#"{"action":"x","error":""#.utf8) + bytes + Array(#""}"#.utf8)
        #expect(throws: LineProblem.self) { try Event(line: line) }
    }

    @Test("space between the parts is allowed, and a carriage return at the end")
    func space() throws {
        let event = try event(" { \"action\" : \"x\" ,\t\"image\":\"y\" } \r\n")
        #expect(event.action.rawValue == "x" && event[.image] == "y")
    }

    @Test("of a name that is there twice the last one counts, as for a reader that makes a map")
    func twice() throws {
        #expect(try event(#"{"action":"x","image":"a","image":"b"}"#)[.image] == "b")
        #expect(try event(#"{"action":"x","im\u0061ge":"b"}"#)[.image] == "b")
    }

    @Test("the original DUCC's lines are events, with an identifier that depends on where they stand")
    func originalLines() throws {
        let line = Array(
            #"{"action":"publish_layer","layer":"16","time":" 3 Nov 2026 - 10:38:57.549"}"#.utf8)
        let event = try Event(line: line, fileFingerprint: "f", offset: 100)
        #expect(event.action == .publishLayer)
        #expect(event.isProven == nil)
        #expect(event.identifier.wholeMatch(of: /line:[0-9a-f]{32}/) != nil)
        #expect(try Event(line: line, fileFingerprint: "f", offset: 100).identifier == event.identifier)
        #expect(try Event(line: line, fileFingerprint: "f", offset: 101).identifier != event.identifier)
        #expect(try Event(line: line, fileFingerprint: "g", offset: 100).identifier != event.identifier)
        let seconds = try runSuccessfully("date", ["-u", "-d", "3 Nov 2026 10:38:57", "+%Y-%m-%dT%H:%M:%S"])
        let local = try runSuccessfully("date", ["-d", "3 Nov 2026 10:38:57", "+%:z"])
        if local.hasPrefix("+00:00") {
            #expect(event.timestamp == seconds.split(separator: "\n")[0] + ".549000000Z")
        }
    }

    @Test("known fields are numbers, a status and a range, where they have that form")
    func typed() throws {
        let good = try event(
            #"{"action":"notification_write_failed","run_id":"r","seq":"18446744073709551615","pid":"7","status":"error","#
                + #""size_bytes":"5","bytes_downloaded":"6","layers":"3","layers_reused":"2","files":"0","#
                + #""time_elapsed_s":"1.500000","lost_first":"3","lost_last":"5","caused_by":"r:1","image":"a/b:1"}"#
        )
        #expect(good.runIdentifier == "r" && good.sequence == .max && good.process == 7)
        #expect(good.status == .error && good.sizeBytes == 5 && good.bytesDownloaded == 6)
        #expect(good.layers == 3 && good.layersReused == 2 && good.files == 0)
        #expect(good.timeElapsedSeconds == 1.5 && good.lost == 3...5)
        #expect(good.causedBy == "r:1" && good.image == "a/b:1" && good.imageRequest == nil)
        let odd = try event(
            #"{"action":"notification_write_failed","seq":"18446744073709551616","pid":"+7","status":"fine","#
                + #""size_bytes":"-5","layers":"","lost_first":"6","lost_last":"5","time_elapsed_s":"-inf"}"#)
        #expect(odd.sequence == nil && odd.process == nil && odd.status == nil && odd.sizeBytes == nil)
        #expect(odd.layers == nil && odd.lost == nil && odd.timeElapsedSeconds == nil)
        #expect(try event(#"{"action":"x","lost_first":"3","lost_last":"5"}"#).lost == nil)
    }

    @Test("a check that isn't the last field, or is empty, proves nothing")
    func oddChecks() throws {
        #expect(try event(#"{"action":"x","check":"0","image":"y"}"#).isProven == false)
        #expect(try event(#"{"action":"x","check":""}"#).isProven == false)
        #expect(try event(#"{"check":"x","action":"x"}"#).isProven == false)
    }
}
