// ducc-follow cursor: where hooks are, and how they go on from elsewhere.

import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("cursor")
struct CursorCommandTests {
    let follow: Follow
    let hooks = "  - {name: a, exec: [./hook], from: start}\n  - {name: b, exec: [./hook], action: nothing}\n"
    init() throws {
        follow = try Follow()
        _ = try follow.script("hook", "echo $DUCC_LAYER >> out; [ ! -e slow ] || sleep 0.3\n")
    }

    private func cursor(_ arguments: String...) throws -> CommandResult {
        try Support.run(Programs.follow, ["cursor"] + arguments + follow.config)
    }

    /// The daemon, until it has told the hook of so many events.
    private func deliver(_ count: Int) throws {
        let running = try follow.daemon()
        try waitUntil("all are told") { follow.lines("out").count >= count }
        let result = try follow.stop(running)
        #expect(result.code == 0, "\(result.errors)")
    }

    private func identifier(_ number: Int) throws -> String {
        let line = try text(of: follow.path).split(separator: "\n")[number]
        return try Event(line: Array(line.utf8)).identifier
    }

    @Test("list tells of each hook where it is; a hook that hasn't begun has no place")
    func list() throws {
        try follow.configure(hooks)
        try follow.emit(0..<3)
        #expect(try cursor("list").output.contains("not begun"))
        try deliver(3)
        let lines = try cursor("list").output.split(separator: "\n").map {
            $0.split(separator: " ").map(String.init)
        }
        let size = String(try text(of: follow.path).utf8.count)
        #expect(lines[1] == ["a", "notifications.log", size, try identifier(2)])
        #expect(lines[2] == ["b", "notifications.log", size])
    }

    @Test("set goes to the start, the end, a time or an event, whatever was rotated since; reset begins anew")
    func set() throws {
        try follow.configure(hooks)
        try follow.emit(0..<2)
        let third = Timestamp.now()
        try follow.emit(2..<4)
        try deliver(4)
        #expect(rename(follow.path, follow.path + ".1") == 0)
        try follow.emit(4..<5)
        func told(_ place: String) throws -> [String] {
            unlink(follow.directory.path("out"))
            #expect(try cursor("set", "a", "--to", place).code == 0)
            try follow.emit(9..<10)
            let running = try follow.daemon()
            try waitUntil("the last event is told") { follow.lines("out").last == "9" && nothingWaits() }
            #expect(try follow.stop(running).code == 0)
            return follow.lines("out").filter { $0 != "9" }
        }
        #expect(try told("start") == ["0", "1", "2", "3", "4"])
        #expect(try told("end") == [])
        #expect(try told(third.description) == ["2", "3", "4"])
        #expect(rename(follow.path + ".1", follow.path + ".old") == 0)
        let lines = try text(of: follow.path + ".old").split(separator: "\n")
        #expect(rename(follow.path + ".old", follow.path + ".1") == 0)
        #expect(try told(try Event(line: Array(lines[3].utf8)).identifier) == ["3", "4"])
        #expect(try cursor("reset", "a").code == 0)
        #expect(!Files.exists(follow.directory.path("state/cursors/a.json")))
        for (place, words, code) in [
            ("00000000-0000-4000-8000-000000000000:7", "there is no event", 66),
            ("yesterday", "--to takes start", 64),
        ] {
            let result = try cursor("set", "a", "--to", place)
            #expect(result.code == code && result.errors.contains(words), "\(result.errors)")
        }
        let unknown = try cursor("set", "bb", "--to", "end")
        #expect(unknown.code == 64 && unknown.errors.contains("has no hook 'bb'"))
    }

    private func nothingWaits() -> Bool {
        guard let result = try? Support.run(Programs.follow, ["status"] + follow.config) else { return false }
        return result.output.hasPrefix("a: nothing waits")
    }

    @Test("a running daemon does it, once what runs has ended; other hooks notice nothing")
    func running() throws {
        try follow.configure(hooks)
        try follow.directory.write("slow", "")
        try follow.emit(0..<3)
        let running = try follow.daemon()
        try waitUntil("the second one runs") { follow.lines("out").count == 2 }
        #expect(try cursor("set", "a", "--to", "start").code == 0)
        try waitUntil("all were told again") { follow.lines("out").count >= 5 }
        #expect(follow.lines("out") == ["0", "1", "0", "1", "2"])
        #expect(try cursor("reset", "a").code == 0)
        try waitUntil("and again") { follow.lines("out").count >= 8 }
        #expect(follow.lines("out") == ["0", "1", "0", "1", "2", "0", "1", "2"])
        let result = try follow.stop(running)
        #expect(result.code == 0 && !result.errors.contains("reloaded"), "\(result.errors)")
    }

    @Test("status tells what is tried again, how often, and why, until it is done")
    func trouble() throws {
        _ = try follow.script("hook", "[ -e mended ] || exit 7\n")
        try follow.emit(0..<1)
        let running = try follow.daemon(
            "  - {name: a, exec: [./hook], from: start, retry: {delay: 100ms, max_delay: 100ms, attempts: 1000}}\n"
        )
        func status(_ options: String...) throws -> String {
            try Support.run(Programs.follow, ["status"] + follow.config + options).output
        }
        let words = "\(try identifier(0)) was tried"
        try waitUntil("it is tried again") { try status().contains("\(words) 3 times: exit code 7") }
        let json = try status("--json")
        #expect(json.contains("\"trying_again\":{\"attempts\":") && json.contains("exit code 7"), "\(json)")
        try follow.directory.write("mended", "")
        try waitUntil("it is done") { try status() == "a: nothing waits\n" }
        #expect(try follow.stop(running).code == 0)
    }

    @Test("--since begins with the first event of that time or later; with --lines it is refused")
    func since() throws {
        try follow.emit(0..<2)
        let third = Timestamp.now()
        try follow.emit(2..<4)
        #expect(rename(follow.path, follow.path + ".1") == 0)
        try follow.emit(4..<5)
        #expect(
            try layers(follow.run(["--no-follow", "--since", third.description]).output) == ["2", "3", "4"])
        for whole in ["1h", "2026-01-01", "2026-01-01 08:30"] {
            #expect(try layers(follow.run(["--no-follow", "--since", whole]).output).count == 5, "\(whole)")
        }
        #expect(try follow.run(["--no-follow", "--since", "2099-01-01"]).output.isEmpty)
        for wrong in [["--since", "soon"], ["--since", "1h", "--lines", "3"]] {
            let result = try follow.run(["--no-follow"] + wrong)
            #expect(result.code == 64 && result.errors.contains("--since"), "\(result.errors)")
        }
    }

    @Test("a time without a zone is local")
    func zone() throws {
        try follow.directory.write(
            "notifications.log",
            [("2026-07-01T10:29:59Z", 1), ("2026-07-01T10:30:00Z", 2), ("2026-07-01T12:30:00Z", 3)].map {
                "{\"action\":\"publish_layer\",\"timestamp\":\"\($0)\",\"layer\":\"\($1)\"}\n"
            }.joined())
        let zones = [("UTC", ["3"]), ("Europe/Zurich", ["2", "3"])]
        for (zone, expected) in zones {
            let result = try follow.start(
                ["--no-follow", "--since", "2026-07-01 12:30"], environment: ["TZ": zone]
            ).wait()
            #expect(try layers(result.output) == expected, "\(zone) \(result.errors)")
        }
    }

    @Test("--poll watches nothing, and sees what comes, also in a new file")
    func poll() throws {
        try follow.emit(0..<1)
        let running = try follow.start(["--poll", "--format", "json"])
        try waitUntil("the first is there") { running.outputSoFar.contains("\"0\"") }
        let process = running.process.identifier
        var watches = 0
        for descriptor in try DirectoryEntry.names(in: "/proc/\(process)/fdinfo") {
            let information = (try? text(of: "/proc/\(process)/fdinfo/\(descriptor)")) ?? ""
            watches += information.split(separator: "\n").count { $0.hasPrefix("inotify wd:") }
        }
        #expect(watches == 0)
        #expect(rename(follow.path, follow.path + ".1") == 0)
        try follow.emit(1..<2)
        try waitUntil("the second is there") { running.outputSoFar.contains("\"layer\":\"1\"") }
        running.signal(SIGTERM)
        _ = try running.wait()
    }
}
