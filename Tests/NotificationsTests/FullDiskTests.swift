// A disk that runs full under several writers, again and again, and gets space again.

import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite(
    .enabled(if: SmallDisk.isPossible, "nothing may be mounted here, not even in a namespace of one's own"))
struct FullDiskTests {
    /// What one writer's events came to.
    private struct Run {
        var written: Set<Int> = []
        var doubles = 0
        var declared: Set<Int> = []
    }

    private static func runs(_ events: [Event]) throws -> [String: Run] {
        var runs: [String: Run] = [:]
        for event in events {
            let run = try #require(event[.runIdentifier])
            let sequence = try #require(Int(event[.sequence] ?? ""))
            #expect(event.isProven == true)
            if !runs[run, default: Run()].written.insert(sequence).inserted { runs[run]?.doubles += 1 }
            guard event.action == .notificationWriteFailed else { continue }
            let first = try #require(Int(event[.lostFirst] ?? ""))
            let last = try #require(Int(event[.lostLast] ?? ""))
            runs[run]?.declared.formUnion(first...last)
        }
        return runs
    }

    /// The identifiers of the events that standard error has in full.
    private static func reported(_ reports: [String]) throws -> [String] {
        try reports.map { report in
            let line = try #require(report.split(separator: ": {", maxSplits: 1).last)
            let event = try Event(line: Array("{\(line)".utf8))
            #expect(event.isProven == true && report.contains("No space left on device"))
            return event.identifier
        }
    }

    @Test("nothing is torn in silence, nothing is there twice, and each writer says what it lost")
    func cycles() throws {
        let disk = try SmallDisk(kilobytes: 64 << 10)
        let directory = try TemporaryDirectory()
        let path = disk.path("notifications.log")
        let floods = try (0..<4).map { _ in try Flood(path, in: directory) }
        try waitUntil("all writers write") { floods.allSatisfy { $0.command.outputSoFar != "" } }
        let cycles = TestScale.count(3, long: 30)
        for cycle in 1...cycles {
            try disk.fill()
            let before = floods.map { $0.command.errorsSoFar.utf8.count }
            try waitUntil("each writer has lost an event") {
                zip(floods, before).allSatisfy { $0.command.errorsSoFar.utf8.count > $1 }
            }
            disk.free()
            try waitUntil("each writer has declared its loss") {
                let pattern = "\"action\":\"notification_write_failed\",\"event_id\":\"[^:]*"
                let found = try run("grep", ["-ao", pattern, path]).output.split(separator: "\n")
                let counts = Dictionary(grouping: found) { $0 }.mapValues(\.count)
                return counts.count == floods.count && counts.values.allSatisfy { $0 >= cycle }
            }
        }
        var emitted: [String: [String]] = [:]
        var lost: Set<String> = []
        for flood in floods {
            let (identifiers, reports) = try flood.finish()
            emitted[String(try #require(identifiers.first).prefix(36))] = identifiers
            lost.formUnion(try Self.reported(reports))
        }

        let runs = try Self.runs(recoveredEvents(of: path))
        #expect(Set(runs.keys) == Set(emitted.keys))
        for (identifier, run) in runs {
            let last = try #require(run.written.max())
            #expect(run.doubles == 0)
            #expect(run.written.union(run.declared) == Set(1...last), "a gap that nobody declared")
            // Each event is in the file or on standard error in full, or both where only its line feed was lost.
            let missing = (emitted[identifier] ?? []).filter { name in
                let number = Int(name.dropFirst(37)) ?? 0
                return !run.written.contains(number)
                    && !(lost.contains(name) && run.declared.contains(number))
            }
            #expect(missing.isEmpty)
        }
        let fragments = try lines(of: path).count { (try? Event(line: Array($0.utf8))) == nil }
        let result = try verification(of: path)
        #expect(result.findings.count == fragments, "\(result.findings.prefix(3))")
        #expect(result.findings.allSatisfy { $0.contains(": the line is no event, ") })
        #expect(result.code == (fragments == 0 ? 0 : 1))
        #expect(result.summary.contains("of 4 runs") && result.summary.contains("declared lost"))
    }
}
