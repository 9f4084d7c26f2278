// `consumers/audit-sqlite`, driven over pipes as the daemon drives a pipe hook: lines in, acknowledgements out, killed
// at any moment. What is in the database is asked with Python's sqlite3, not with the program itself.

import CLinux
import Glibc
import Notifications
import Platform
import Support
import Synchronization
import Testing

@Suite("audit-sqlite")
struct AuditConsumerTests {
    let directory: TemporaryDirectory
    private let database: String

    init() throws {
        directory = try TemporaryDirectory()
        database = directory.path("audit.db")
    }

    /// Events as they are in a stream.
    private func events(_ count: Int) throws -> [Event] {
        let path = directory.path("notifications.log")
        let writer = try NotificationWriter(path: path, sync: .none)
        for number in 0..<count {
            writer.emit(
                .test,
                [(.image, "example.org/\"ü\u{1F600}\\\n\(number)"), (.status, "ok"), (.text, "[\(number)")])
        }
        return try text(of: path).split(separator: "\n").map { try Event(line: Array($0.utf8)) }
    }

    private func query(_ sql: String) throws -> [String] { try Audit.query(database, sql) }

    @Test("an event is a row with its columns and the whole line, acknowledged soon without the input's end")
    func rows() throws {
        let events = try events(3)
        let audit = try Audit(database)
        for event in events {
            try audit.send([event])
            try waitUntil("it is acknowledged") { audit.acknowledged.last == event.identifier }
        }
        // While it is being written, others can read.
        #expect(
            try query(
                "SELECT event_id, time, action, status, json_extract(line, '$.text') FROM events ORDER BY rowid"
            )
                == events.enumerated().map { "\($1.identifier)|\($1.timestamp ?? "")|test|ok|[\($0)" })
        #expect(try query("SELECT hex(line) FROM events ORDER BY rowid") == events.map { hex($0.line) })
        #expect(
            try query("SELECT hex(image) FROM events ORDER BY rowid")
                == events.map { hex(Array(($0[.image] ?? "").utf8)) })
        #expect(try audit.end() == 0 && audit.errors.isEmpty, "\(audit.errors)")
        // An event that comes again is acknowledged, and one row.
        let again = try Audit(database)
        try again.send(events)
        #expect(try again.end() == 0 && again.acknowledged.last == events.last?.identifier)
        #expect(try query("SELECT count(*) FROM events") == ["3"])
    }

    @Test(
        "killed at random moments and sent again what it didn't acknowledge, it has each event exactly once")
    func killed() throws {
        let events = try events(TestScale.count(6000, long: 60_000))
        var random = SplitMix(state: 7)
        var next = 0
        var kills = 0
        var known = [String: Int]()
        for (index, event) in events.enumerated() { known[event.identifier] = index }
        while next < events.count {
            let audit = try Audit(database)
            let end = min(events.count, next + Int.random(in: 1...1500, using: &random))
            // Some are killed before they are ready, some in the middle, some after all is done.
            let feeder = try audit.feed(Array(events[next..<end]))
            poll(nil, 0, CInt.random(in: 0...150, using: &random))
            audit.kill()
            feeder.join()
            kills += 1
            // All acknowledgements are of events that were sent, in order, and true.
            let positions = audit.acknowledged.compactMap { known[$0] }
            #expect(positions.count == audit.acknowledged.count && positions == positions.sorted())
            #expect(positions.allSatisfy { (next..<end).contains($0) })
            if let last = positions.last { next = last + 1 }
            let rows = Files.exists(database) && next > 0 ? try query("SELECT count(*) FROM events") : ["0"]
            #expect(Int(rows.first ?? "").map { $0 >= next } == true)
        }
        #expect(kills > 3)
        #expect(try query("SELECT event_id FROM events ORDER BY rowid") == events.map(\.identifier))
        #expect(try query("PRAGMA integrity_check") == ["ok"])
    }

    @Test("an acknowledgement is printed only after its commit was forced to disk")
    func durable() throws {
        let noted = try Interposed(
            """
            ssize_t write(int descriptor, const void *bytes, size_t count) {
                ssize_t (*next)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
                if (descriptor == 1) note("acknowledge");
                return next(descriptor, bytes, count);
            }
            ssize_t pwrite64(int descriptor, const void *bytes, size_t count, off_t offset) {
                ssize_t (*next)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, "pwrite64");
                note("write");
                return next(descriptor, bytes, count, offset);
            }
            int fdatasync(int descriptor) {
                int (*next)(int) = dlsym(RTLD_NEXT, "fdatasync");
                int result = next(descriptor);
                note("sync");
                return result;
            }
            """, in: directory)
        let events = try events(2)
        let audit = try Audit(database, environment: noted.environment)
        for event in events {
            try audit.send([event])
            try waitUntil("it is acknowledged") { audit.acknowledged.last == event.identifier }
        }
        audit.kill()
        let calls = try noted.calls().map(\.what)
        let places = calls.indices.filter { calls[$0] == "acknowledge" }
        #expect(places.count == 2 && places.allSatisfy { $0 > 0 && calls[$0 - 1] == "sync" }, "\(calls)")
        // The second has a write and a sync of its own.
        #expect(calls[(places.first ?? 0)..<(places.last ?? 0)].contains("write"), "\(calls)")
    }

    @Test("SIGTERM: what has arrived is committed and acknowledged, and it ends with 0")
    func terminated() throws {
        let events = try events(50)
        let audit = try Audit(database)
        try audit.send([events[0]])
        try waitUntil("it works") { audit.acknowledged == [events[0].identifier] }
        try audit.send(Array(events[1...]))
        try waitUntil("it has them") { audit.pending == 0 }
        audit.signal(SIGTERM)
        #expect(try audit.wait() == 0)
        #expect(audit.acknowledged.last == events.last?.identifier && audit.errors.isEmpty, "\(audit.errors)")
        #expect(try query("SELECT count(*) FROM events") == ["50"])
        // With nothing to do, too.
        let idle = try Audit(database)
        try idle.send([events[0]])
        try waitUntil("it works") { !idle.acknowledged.isEmpty }
        idle.signal(SIGTERM)
        #expect(try idle.wait() == 0)
    }

    @Test("a line that is no event is named and not acknowledged; its neighbours are kept")
    func noEvents() throws {
        let events = try events(2)
        let audit = try Audit(database)
        let lines = [
            "torn {", "[1]", "{\"action\":\"x\"}", "{\"event_id\":\"a\"}",
            "{\"event_id\":\"a\\nb\",\"action\":\"x\"}",
            "{\"event_id\":7,\"action\":\"x\"}", String(repeating: "[", count: 100_000),
            "{\"event_id\":\"\\ud800\",\"action\":\"x\"}",
            "{\"event_id\":\"1\",\"action\":\"x\",\"a\":[{}", "{}]}", "",
        ]
        try audit.send(
            bytes: Array(events[0].line) + [10] + Array(lines.joined(separator: "\n").utf8) + [10, 0xff, 10])
        try audit.send([events[1]])
        try audit.send(
            bytes: Array(
                "{\"event_id\":\"odd:1\",\"action\":\"x\\ud800\",\"image\":{\"a\":1}}\n{\"event_id\":\"odd:2\""
                    .utf8))
        #expect(try audit.end() == 0)
        #expect(Set(audit.acknowledged).isSubset(of: events.map(\.identifier) + ["odd:1"]))
        #expect(audit.acknowledged.last == "odd:1")
        #expect(
            try query("SELECT event_id, coalesce(image, 'none') FROM events WHERE action LIKE 'x%'") == [
                "odd:1|none"
            ])
        #expect(try query("SELECT count(*) FROM events") == ["3"])
        let said = audit.errors.split(separator: "\n")
        #expect(said.count == 12 && said.last?.contains("ended within a line") == true, "\(audit.errors)")
        #expect(said.allSatisfy { $0.utf8.count < 1000 })
    }

    @Test("a database that another program has locked is waited for")
    func locked() throws {
        let events = try events(2)
        let first = try Audit(database)
        try first.send([events[0]])
        #expect(try first.end() == 0)
        let holder = try RunningCommand(
            "/usr/bin/python3",
            [
                "-c",
                """
                import os, sqlite3, sys, time
                database = sqlite3.connect(sys.argv[1], isolation_level=None)
                database.execute("BEGIN EXCLUSIVE")
                print("locked", flush=True)
                while not os.path.exists(sys.argv[2]): time.sleep(0.01)
                """, database, directory.path("go"),
            ])
        try waitUntil("it is locked") { holder.outputSoFar == "locked\n" }
        let audit = try Audit(database)
        try audit.send([events[1]])
        try waitUntil("it says that it waits") {
            audit.errors.contains("is locked by another program: waiting")
        }
        #expect(audit.acknowledged.isEmpty)
        // It can be stopped there, and then acknowledges nothing.
        let stopped = try Audit(database)
        try stopped.send([events[1]])
        try waitUntil("this one waits too") { stopped.errors.contains("waiting") }
        stopped.signal(SIGTERM)
        #expect(try stopped.wait() == 75 && stopped.acknowledged.isEmpty)
        try directory.write("go", "")
        #expect(try audit.end() == 0 && audit.acknowledged == [events[1].identifier])
        #expect(try query("SELECT count(*) FROM events") == ["2"])
    }

    @Test("what is no database of its own is refused with 78, and left as it is")
    func refused() throws {
        let events = try events(1)
        let foreign = directory.path("foreign.db")
        for sql in ["CREATE TABLE t (x)", "PRAGMA application_id = 1", "PRAGMA user_version = 7"] {
            try runSuccessfully(
                "/usr/bin/python3",
                [
                    "-c", "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute(sys.argv[2])", foreign,
                    sql,
                ])
            let before = try Files.read(foreign)
            let audit = try Audit(foreign)
            try? audit.send(events)
            #expect(try audit.end() == 78 && audit.acknowledged.isEmpty)
            #expect(
                audit.errors.contains("is another program's database") && !audit.errors.contains("Traceback"))
            #expect(try Files.read(foreign) == before, "\(sql)")
            unlink(foreign)
        }
        let noDatabase = try directory.write("text", String(repeating: "no database\n", count: 1000))
        for path in [noDatabase, directory.path, directory.path("missing/audit.db")] {
            let audit = try Audit(path)
            #expect(
                try audit.end() == 78 && audit.errors.split(separator: "\n").count == 1, "\(audit.errors)")
        }
        #expect(try run(Audit.hook, []).code == 64)
    }

    @Test("when nobody hears its acknowledgements any more it ends quietly, and what it committed stays")
    func closedPipe() throws {
        let events = try events(1)
        let audit = try Audit(database, isHeard: false)
        try audit.send(events)
        #expect(try audit.wait() == 0 && audit.errors.isEmpty, "\(audit.errors)")
        #expect(try query("SELECT count(*) FROM events") == ["1"])
    }

    @Test("the queries of its README are queries")
    func queries() throws {
        let audit = try Audit(database)
        try audit.send(try events(1))
        #expect(try audit.end() == 0)
        let readme = try text(of: "\(Programs.root)/consumers/audit-sqlite/README.md")
        let queries = readme.split(separator: "```sql\n").dropFirst().compactMap {
            $0.split(separator: "```").first
        }
        #expect(queries.count == 3)
        for sql in queries { #expect(try query(String(sql)).isEmpty) }
    }

    private func hex(_ bytes: [UInt8]) -> String {
        bytes.map { byte in
            let digits = String(byte, radix: 16, uppercase: true)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }
}
