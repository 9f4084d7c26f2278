// What the verifier finds in lines that a real writer wrote and somebody damaged.

import Glibc
import Notifications
import Platform
import Support
import Testing

/// Verifies files given as lines, oldest first; the last one is the live one.
func verify(_ files: [[String]], chunk: Int = 1 << 20) throws -> (findings: [Finding], VerificationSummary) {
    try verify(texts: files.map { $0.map { $0 + "\n" }.joined() }, chunk: chunk)
}

func verify(texts: [String], chunk: Int = 1 << 20) throws -> (findings: [Finding], VerificationSummary) {
    var findings: [Finding] = []
    var verifier = try StreamVerifier()
    for (index, text) in texts.enumerated() {
        verifier.begin(file: "f\(index)") { findings.append($0) }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            Array(rest.prefix(chunk)).withUnsafeBytes { verifier.feed($0) { findings.append($0) } }
            rest = rest.dropFirst(chunk)
        }
        verifier.endFile(isLive: index == texts.count - 1) { findings.append($0) }
    }
    verifier.finish { findings.append($0) }
    return (findings, verifier.summary)
}

@Suite("The verifier")
struct VerifierTests {
    let run: String
    /// `start_ducc`, six layers, `end_ducc`.
    let whole: [String]

    init() throws {
        let directory = try TemporaryDirectory()
        let writer = try NotificationWriter(path: directory.path("n.log"), sync: .none)
        writer.emit(.startDUCC)
        for layer in 1...6 { writer.emit(.publishTest, [(.layer, "\(layer)")]) }
        writer.end()
        run = writer.runIdentifier
        whole = try lines(of: directory.path("n.log"))
    }

    private func found(_ kind: Finding.Kind, line: Int, file: String = "f0") -> Finding {
        Finding(kind: kind, file: file, line: line, run: run)
    }

    @Test("has nothing to say about a whole run, in pieces of any length", arguments: [1, 7, 4096])
    func healthy(chunk: Int) throws {
        let (findings, summary) = try verify([Array(whole[..<3]), Array(whole[3...])], chunk: chunk)
        #expect(findings.isEmpty, "\(findings)")
        #expect(summary.description == "2 files, 8 events of 1 run: nothing is wrong")
    }

    @Test("finds a deleted line, and several", arguments: [(3, 1), (1, 1), (2, 4)])
    func deleted(first: Int, count: Int) throws {
        var lines = whole
        lines.removeSubrange(first..<first + count)
        let range = UInt64(first + 1)...UInt64(first + count)
        #expect(try verify([lines]).findings == [found(.gap(range, .insideFile), line: first + 1)])
    }

    @Test("finds that a run's first lines were deleted, where no older file can have had them")
    func beginningDeleted() throws {
        #expect(
            try verify([Array(whole[2...])]).findings == [found(.gap(1...2, .beginning), line: 1)])
        let (later, _) = try verify([[], Array(whole[2...])])
        #expect(later == [found(.gap(1...2, .beginning), line: 1, file: "f1")])
    }

    @Test("counts a run that begins in the middle of the oldest of several files, and finds nothing")
    func begunEarlier() throws {
        let (findings, summary) = try verify([Array(whole[2..<5]), Array(whole[5...])])
        #expect(findings.isEmpty, "\(findings)")
        #expect(summary.begunEarlier == 1)
    }

    @Test("finds a changed byte in any line, the run's last one included", arguments: 0..<8)
    func edited(index: Int) throws {
        var lines = whole
        lines[index] = lines[index].replacing("\"time\":\"", with: "\"time\":\"1")
        #expect(try verify([lines]).findings == [found(.wrongCheck, line: index + 1)])
    }

    @Test("finds every change of one byte of a line")
    func everyByte() throws {
        let bytes = Array(whole[4].utf8)
        for index in bytes.indices {
            var changed = bytes
            changed[index] ^= 1
            if changed[index] == UInt8(ascii: "\n") { continue }
            var lines = whole.map { Array($0.utf8) }
            lines[4] = changed
            let text = lines.map { String(decoding: $0, as: UTF8.self) + "\n" }.joined()
            let findings = try verify(texts: [text]).findings
            #expect(findings.contains { $0.line == 5 || $0.line == 6 }, "byte \(index)")
            #expect((1...3).contains(findings.count), "byte \(index): \(findings)")
        }
    }

    @Test("finds two swapped lines and says so once")
    func swapped() throws {
        var lines = whole
        lines.swapAt(3, 4)
        #expect(
            try verify([lines]).findings == [found(.outOfOrder(sequence: 4, after: 5), line: 5)])
    }

    @Test("finds a repeated line, the last one too", arguments: [0, 3, 7])
    func duplicated(index: Int) throws {
        var lines = whole
        lines.insert(lines[index], at: index)
        #expect(
            try verify([lines]).findings == [
                found(.duplicate(sequence: UInt64(index + 1)), line: index + 2)
            ])
    }

    @Test("finds a line that was replaced by another valid one of its number")
    func forgedOrder() throws {
        // Two runs given one identity: each line proves itself, but the chain is broken.
        let text = whole[3].replacing("\"layer\":\"3\"", with: "\"layer\":\"9\"")
        var lines = whole
        lines[3] = text.replacing(/"check":"[0-9a-f]+"/, with: "\"check\":\"\(expectedCheck(of: text))\"")
        #expect(try verify([lines]).findings == [found(.wrongPrevious(sequence: 5), line: 5)])
    }

    @Test("names a gap between files by where it is")
    func betweenFiles() throws {
        let gap = Finding.GapPlace.fileBoundary(previous: "f0")
        let (findings, _) = try verify([Array(whole[..<3]), Array(whole[5...])])
        #expect(findings == [found(.gap(4...5, gap), line: 1, file: "f1")])
        #expect(findings.first?.description.contains("copytruncate") == true)
    }

    @Test("finds an unfinished run and names its last line; a run without start_ducc needs no end")
    func unfinished() throws {
        #expect(try verify([Array(whole[..<5])]).findings == [found(.unfinishedRun, line: 5)])
        let directory = try TemporaryDirectory()
        try NotificationWriter(path: directory.path("n.log"), sync: .none).emit(.publishTest)
        #expect(try verify([lines(of: directory.path("n.log"))]).findings.isEmpty)
    }

    @Test("finds a torn line, and takes the whole event behind the fragment for there")
    func torn() throws {
        var lines = whole
        lines[3] = lines[3].prefix(50) + lines[3]
        let (findings, summary) = try verify([lines])
        #expect(findings.count == 1 && findings.first?.line == 4)
        guard case .unreadableLine = findings.first?.kind else {
            Issue.record("\(findings)")
            return
        }
        #expect(summary.events == 8)
    }

    @Test("finds a rotated file that ends in the middle of a line; the live one may")
    func cutOff() throws {
        let half = whole.map { $0 + "\n" }.joined().dropLast(20)
        let (live, _) = try verify(texts: [String(half)])
        #expect(live == [found(.unfinishedRun, line: 7)])
        let (rotated, _) = try verify(texts: [String(half), ""])
        #expect(
            rotated.first?.line == 8 && rotated.first?.description.contains("middle of its last line") == true
        )
    }

    @Test("counts the original DUCC's lines; a line that lost its check is none of them")
    func unchained() throws {
        let original =
            "{\"action\":\"publish_layer\",\"layer\":\"16\",\"time\":\"24 Nov 2026 - 10:38:57.549\"}"
        let (findings, summary) = try verify([[original] + whole + ["", original, original]])
        #expect(findings.isEmpty && summary.unchained == 3 && summary.events == 11)
        let bare = whole[7].replacing(/,"check":"[0-9a-f]+"/, with: "")
        #expect(try verify([whole.dropLast() + [bare]]).findings.map(\.kind) == [.malformed, .unfinishedRun])
    }

    @Test("skips a line that is too long to be an event, and goes on behind it")
    func longLine() throws {
        let long = String(repeating: "x", count: 3 << 20)
        let (findings, summary) = try verify(
            [Array(whole[..<4]) + [long] + Array(whole[4...])], chunk: 1 << 16)
        #expect(findings.map(\.line) == [5] && summary.events == 8)
    }

    @Test("tells runs apart that are written into each other")
    func interleaved() throws {
        let directory = try TemporaryDirectory()
        let writers = try (0..<3).map { _ in
            try NotificationWriter(path: directory.path("n.log"), sync: .none)
        }
        for _ in 0..<50 { for writer in writers { writer.emit(.publishTest) } }
        var lines = try lines(of: directory.path("n.log"))
        #expect(try verify([lines]).findings.isEmpty)
        lines.remove(at: 31)
        let finding = try #require(try verify([lines]).findings.first)
        #expect(finding.run == writers[1].runIdentifier && finding.line == 34)
        #expect(finding.kind == .gap(11...11, .insideFile))
    }

    @Test("keeps few gaps of a run and reports all of them")
    func manyGaps() throws {
        let directory = try TemporaryDirectory()
        let writer = try NotificationWriter(path: directory.path("n.log"), sync: .none)
        for _ in 0..<200 { writer.emit(.publishTest) }
        let all = try lines(of: directory.path("n.log"))
        let odd = all.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
        #expect(try verify([odd]).findings.count == 99)
    }
}
