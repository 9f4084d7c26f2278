// Losses that a writer declared are no finding; what is missing beside them is.

import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("The verifier and declared losses")
struct DeclaredLossTests {
    /// A run of 1…8 whose events 5 to 7 its writer holds for lost, and declares in 8; then 9.
    let lines: [String]

    init() throws {
        var previous = String(repeating: "0", count: 32)
        var lines: [String] = []
        for number in 1...9 {
            let declares = number == 8
            let body =
                "{\"action\":\"\(declares ? "notification_write_failed" : "publish_layer")\","
                + "\"event_id\":\"11111111-2222-3333-4444-555555555555:\(number)\","
                + "\"run_id\":\"11111111-2222-3333-4444-555555555555\",\"seq\":\"\(number)\","
                + "\"prev\":\"\(previous)\""
                + (declares ? ",\"lost_first\":\"5\",\"lost_last\":\"7\",\"error\":\"full\"" : "")
            let check = expectedCheck(of: body + ",\"check\":\"\"}")
            lines.append(body + ",\"check\":\"\(check)\"}")
            if !(5...7).contains(number) { previous = check }
        }
        self.lines = lines
    }

    @Test(
        "accept lines of the declared range that are there nevertheless",
        arguments: [[], [5], [6], [7], [5, 6], [5, 7], [6, 7], [5, 6, 7]])
    func there(numbers: [Int]) throws {
        let kept = lines.enumerated().filter {
            !(5...7).contains($0.offset + 1) || numbers.contains($0.offset + 1)
        }
        let (findings, summary) = try verify([kept.map(\.element)])
        #expect(findings.isEmpty, "\(findings)")
        #expect(summary.declaredLost == UInt64(3 - numbers.count))
    }

    @Test("don't cover what was deleted beside them")
    func beside() throws {
        let kept = Array(lines[..<3] + lines[7...])
        #expect(try verify([kept]).findings.map(\.kind) == [.gap(4...4, .insideFile)])
    }

    @Test("are missed where the declaration was deleted")
    func undeclared() throws {
        let kept = Array(lines[..<4] + lines[8...])
        #expect(try verify([kept]).findings.map(\.kind) == [.gap(5...8, .insideFile)])
    }

    @Test("written by a real writer on a full disk are accepted")
    func real() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("n.log")
        // Three pages: then nothing more until the limit is lifted.
        let process = try WriterProcess(path, in: directory, prefix: ["prlimit", "--fsize=4096:unlimited"])
        for number in 1...20 { try process.emit("\(number)") }
        try runSuccessfully(
            "prlimit", ["--fsize=unlimited", "--pid", "\(process.command.process.identifier)"])
        for number in 21...23 { try process.emit("\(number)") }
        let (findings, summary) = try verify(texts: [try text(of: path)])
        #expect(summary.declaredLost > 5)
        #expect(
            findings.allSatisfy { if case .unreadableLine = $0.kind { true } else { false } }, "\(findings)")
    }
}
