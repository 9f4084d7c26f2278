// Writers that are killed beside others, each of them a process of its own.

import Glibc
import Notifications
import Platform
import Support
import Testing

struct KilledWriterTests {
    @Test("writers that are killed at any instant tear nobody else's line and leave no gap of their own")
    func survivors() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("notifications.log")
        let survivors = try (0..<3).map { _ in try Flood(path, in: directory) }
        try waitUntil("all survivors write") { survivors.allSatisfy { $0.command.outputSoFar != "" } }
        func size() -> Int {
            var information = stat()
            return stat(path, &information) == 0 ? Int(information.st_size) : 0
        }
        /// What was written since the file had that size.
        func text(from offset: Int) throws -> String {
            let file = try OwnedDescriptor(opening: path, O_RDONLY)
            var bytes = [UInt8](repeating: 0, count: max(0, size() - offset))
            let count = pread(file.raw, &bytes, bytes.count, off_t(offset))
            return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
        }
        let kills = TestScale.count(20, long: 200)
        for _ in 0..<kills {
            let before = size()
            let victim = try RunningCommand(Programs.emitter, [path, "--count", "10000000"])
            let mark = "\"pid\":\"\(victim.process.identifier)\""
            try waitUntil("the victim writes") { try text(from: before).contains(mark) }
            poll(nil, 0, CInt.random(in: 0...3))
            victim.signal(SIGKILL)
            #expect(try victim.wait().status == .signalled(SIGKILL))
        }
        var expected: [String: Int] = [:]
        for survivor in survivors {
            let (identifiers, reports) = try survivor.finish()
            expected[String(try #require(identifiers.first).prefix(36))] = identifiers.count
            #expect(reports.isEmpty)
        }

        var last: [String: (sequence: Int, check: String)] = [:]
        var wrong = 0
        for event in try recoveredEvents(of: path) {
            let run = try #require(event[.runIdentifier])
            let (sequence, check) = last[run] ?? (0, String(repeating: "0", count: 32))
            if event[.sequence] != "\(sequence + 1)" || event[.previous] != check || event.isProven != true {
                wrong += 1
            }
            last[run] = (sequence + 1, event[.check] ?? "")
        }
        #expect(wrong == 0)
        for (run, count) in expected { #expect(last[run]?.sequence == count) }
        #expect(last.count == 3 + kills)
        // A victim's last line may be cut, whoever's line follows it on the same one.
        let result = try verification(of: path)
        #expect(result.findings.count <= kills)
        #expect(result.findings.allSatisfy { $0.contains(": the line is no event, ") }, "\(result.findings)")
        #expect(result.summary.contains("of \(last.count) runs"))
    }
}
