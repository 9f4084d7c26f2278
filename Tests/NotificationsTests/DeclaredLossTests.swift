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

    /// A line of a run as a writer would write it, with any numbers.
    private func line(_ number: UInt64, run: Int = 1, lost: ClosedRange<UInt64>? = nil) -> String {
        let run = "11111111-2222-3333-4444-55555555555\(run)"
        let declaration = lost.map {
            ",\"lost_first\":\"\($0.lowerBound)\",\"lost_last\":\"\($0.upperBound)\""
        }
        let body =
            "{\"action\":\"\(lost == nil ? "publish_layer" : "notification_write_failed")\","
            + "\"event_id\":\"\(run):\(number)\",\"run_id\":\"\(run)\",\"seq\":\"\(number)\","
            + "\"prev\":\"\(String(repeating: "0", count: 32))\"" + (declaration ?? "")
        return body + ",\"check\":\"\(expectedCheck(of: body + ",\"check\":\"\"}"))\"}"
    }

    @Test("are counted up to any number that a file may have")
    func huge() throws {
        let last: UInt64 = 9_999_999_999_999_999_999
        let runs = (1...2).flatMap { [line(1, run: $0), line(last, run: $0, lost: 2...last - 1)] }
        #expect(try verify([runs]).1.declaredLost == .max)
    }

    @Test(
        "and late lines leave no more gaps open than a few, however often they split one",
        arguments: [true, false])
    func split(isDeclared: Bool) throws {
        let far: UInt64 = 1_000_000_000_000
        let count: UInt64 = 20
        let splitting = (1...count).map { number in
            isDeclared ? line(far + number, lost: 2 * number + 1...2 * number + 1) : line(2 * number + 1)
        }
        var findings: [Finding] = []
        var verifier = try StreamVerifier()
        verifier.begin(file: "f")
        for line in [line(1), line(far)] + splitting {
            Array("\(line)\n".utf8).withUnsafeBytes { verifier.feed($0) { findings.append($0) } }
        }
        func gaps() -> Int {
            findings.count {
                if case .gap(let range, _) = $0.kind { range.lowerBound % 2 == 0 } else { false }
            }
        }
        // Of the 21 pieces 8 may still be filled.
        #expect(gaps() == 13)
        verifier.finish { findings.append($0) }
        #expect(gaps() == 21)
    }
}
