// Everything at once, for a while: real writers, the real logrotate by each kind of rule, and a daemon that is stopped,
// killed, reloaded and paused, with hooks that fail and hang now and then.

import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("The daemon, with everything at once", .serialized)
final class EverythingTests {
    /// How long each rule is tried.
    private static let seconds = TestScale.count(4, long: 30)
    private static let hooks = ["one", "several", "audit", "flaky"]

    private let follow: Follow
    private let notes: [HookNotes]
    private var life = 0
    private var random = SystemRandomNumberGenerator()

    init() throws {
        follow = try Follow()
        let directory = follow.directory
        notes = ["one", "several"].map { HookNotes(directory.path("\($0).out")) }
        // The first attempt at some events fails, or takes too long.
        let trouble = """
            if [ $DUCC_ATTEMPT = 1 ]; then
                [ $((DUCC_SEQ % 29)) != 3 ] || exit 75
                [ $DUCC_SEQ != 5 ] || [ $((DUCC_PID % 4)) != 0 ] || exec sleep 3
            fi
            """
        _ = try follow.script("one", HookNotes.script("one", trouble))
        _ = try follow.script("several", HookNotes.script("several", trouble))
        _ = try follow.script("audit", PipeNotes.script("audit", Audit.hook))
        _ = try follow.script("flaky", PipeNotes.script("flaky", "./flaky.py"))
        try directory.write(
            "flaky.py",
            """
            #!/usr/bin/python3
            import json, os, sys, time
            for line in sys.stdin:
                event = json.loads(line)
                number = int(event["seq"])
                if number % 31 == 7:
                    try:
                        os.close(os.open("flaky." + event["event_id"], os.O_CREAT | os.O_EXCL))
                        if number % 2: sys.exit(3)
                        if int(event["pid"]) % 4 == 0: time.sleep(3)
                    except FileExistsError: pass
                try: print(event["event_id"], flush=True)
                except BrokenPipeError: os._exit(0)

            """, mode: 0o755)
    }

    private func configure(_ rotated: String?) throws {
        life += 1
        let common =
            "from: start, timeout: 1s, kill_after: 200ms, retry: {attempts: 1000, delay: 20ms, max_delay: 100ms}, "
            + "env: {LIFE: \"\(10_000 + life)\"}"
        try follow.configure(
            """
              - {name: one, exec: [./one], \(common)}
              - {name: several, exec: [./several], concurrency: 4, order_by: run_id, \(common)}
              - {name: audit, pipe: [./audit, audit.db], \(common)}
              - {name: flaky, pipe: [./flaky], \(common)}

            """, further: rotated.map { "rotated: [\($0)/notifications.log*]\n" } ?? "")
    }

    @Test(
        "every event comes to every hook, in order, and is in the database once",
        arguments: [
            ("", 500), ("dateext\ndateformat -%Y%m%d-%s", 1_100), ("compress\ndelaycompress", 500),
            ("olddir OLD\ncompress\ndelaycompress", 500),
        ])
    func everything(rule: String, least: UInt64) throws {
        let old = rule.contains("OLD") ? follow.directory.path("old") : nil
        if let old { try Files.makeDirectories(old) }
        let load = try LoadedStream(
            follow, rule: rule.replacing("OLD", with: old ?? ""), oldDirectory: old,
            pace: least...least + 1_500, gap: 10)
        let end = MonotonicClock.nanoseconds() + UInt64(Self.seconds) * 1_000_000_000
        var done: [String: Int] = [:]
        try configure(old)
        var daemon = try follow.daemon()
        while MonotonicClock.nanoseconds() < end {
            try keepUp(load, milliseconds: .random(in: 100...500))
            let what = ["kill", "stop", "reload", "pause"].randomElement(using: &random) ?? ""
            done[what, default: 0] += 1
            switch what {
            case "kill", "stop":
                if what == "kill" {
                    daemon.signal(SIGKILL)
                    _ = try daemon.wait()
                } else {
                    #expect(try follow.stop(daemon).code == 0)
                }
                if Bool.random() { try keepUp(load, milliseconds: .random(in: 0...1_500)) }
                try configure(old)
                daemon = try follow.daemon()
            case "reload":
                try configure(old)
                daemon.signal(SIGHUP)
            default:
                let hook = Self.hooks.randomElement(using: &random) ?? ""
                for command in ["pause", "resume"] {
                    let result = try run(Programs.follow, [command, hook] + follow.config)
                    #expect(result.code == 0, "\(command): \(result.errors)")
                    try keepUp(load, milliseconds: .random(in: 0...300))
                }
            }
        }
        try load.finish()
        try prove(load, &daemon)
        print("\(load.count) events, \(load.rotations) rotations, ", terminator: "")
        print(done.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", "))
    }

    /// Writers write and logrotate rotates, for a while.
    private func keepUp(_ load: LoadedStream, milliseconds: UInt64) throws {
        let end = MonotonicClock.nanoseconds() + milliseconds * 1_000_000
        repeat {
            try load.gather()
            if load.writing < 3 { try load.write(1, count: 40, rate: 40) }
            try load.rotateWhereDue()
            poll(nil, 0, 10)
        } while MonotonicClock.nanoseconds() < end
    }

    private func prove(_ load: LoadedStream, _ daemon: inout RunningCommand) throws {
        let expected = Set(load.events)
        let database = follow.directory.path("audit.db")
        try follow.waitUntilNothingWaits(hooks: Self.hooks.count)
        for each in notes { try each.read() }
        #expect(try follow.stop(daemon).code == 0)
        for each in notes { #expect(each.problems == [] && each.done == expected) }
        for name in ["audit", "flaky"] {
            let pipe = try PipeNotes(name, in: follow.directory)
            #expect(pipe.problems == [] && Set(pipe.events) == expected, "\(name)")
        }
        let rows = try Audit.query(database, "SELECT event_id FROM events").compactMap { NotedEvent($0) }
        #expect(rows.count == expected.count && Set(rows) == expected)
        #expect(try follow.leftovers().isEmpty)
        #expect(try DirectoryEntry.names(in: follow.directory.path("state/dead")).isEmpty)
    }
}
