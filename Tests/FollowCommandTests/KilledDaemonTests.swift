// SIGKILL of the daemon in each part of its life, while programs write and logrotate rotates.

import FoundationEssentials
import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("The daemon, killed")
final class KilledDaemonTests {
    /// How often each phase is hit.
    private static let wanted = TestScale.count(2, long: 34)
    private static let many = 4

    private let follow: Follow
    private let load: LoadedStream
    private let slowCursors: Interposed
    private let one: HookNotes
    private let several: HookNotes
    /// Which daemon it is, from 1.
    private var life = 0
    /// The last event that the pipe hook's cursor had passed when each daemon was killed.
    private var passed: [Int: NotedEvent] = [:]
    private var hits: [DaemonPhase: Int] = [:]
    private var kills = 0
    private var missed = 0

    init() throws {
        follow = try Follow()
        load = try LoadedStream(follow, gap: 20)
        slowCursors = try Interposed(
            """
            int renameat(int from, const char *name, int to, const char *other) {
                int isCursor = strstr(other, "/cursors/") != NULL;
                if (isCursor) usleep(4000);
                int result = syscall(SYS_renameat2, from, name, to, other, 0);
                if (isCursor) usleep(4000);
                return result;
            }
            """, in: follow.directory)
        one = HookNotes(follow.directory.path("one.out"))
        several = HookNotes(follow.directory.path("several.out"))
        // Some deliveries take long enough for a kill to find them.
        _ = try follow.script(
            "exec-one", HookNotes.script("one", "[ $((DUCC_SEQ % 5)) != 0 ] || sleep 0.02"))
        _ = try follow.script("exec-several", HookNotes.script("several", "sleep 0.01"))
        _ = try follow.script("audit", PipeNotes.script("audit", Audit.hook))
    }

    /// The daemon's number, and how often it was reloaded.
    private func configure(reloads: Int = 0) throws {
        let number = String(life)
        let name = String(repeating: "0", count: 5 - number.utf8.count) + "\(number).\(reloads)"
        let environment = "from: start, env: {LIFE: \"\(name)\"}"
        try follow.configure(
            """
              - {name: one, exec: [./exec-one], \(environment)}
              - {name: several, exec: [./exec-several], concurrency: \(Self.many), order_by: run_id, \(environment)}
              - {name: audit, pipe: [./audit, audit.db], \(environment)}

            """)
    }

    @Test("in each phase: every event comes to every hook, in order, and what was under way comes again")
    func everyPhase() throws {
        for _ in 0..<Self.wanted {
            for phase in DaemonPhase.allCases {
                let goal = hits[phase, default: 0] + 1
                for _ in 0..<40 where hits[phase, default: 0] < goal { try killOnce(phase) }
                #expect(hits[phase, default: 0] >= goal, "\(phase) was hardly ever hit")
            }
        }
        let counts = DaemonPhase.allCases.map { "\($0.rawValue) \(hits[$0, default: 0])" }
        print(
            "\(kills) kills while \(load.count) events were written and \(load.rotations) rotations made:",
            counts.joined(separator: ", "), "- aimed amiss:", missed)
        try finish()
        try prove()
    }

    // MARK: Killing

    private func killOnce(_ phase: DaemonPhase) throws {
        life += 1
        try load.gather()
        try load.rotateWhereDue()
        try load.write(3, count: 20, rate: 80)
        if phase == .catchUp { try load.gather(all: true) }
        for notes in [one, several] { try notes.read() }
        let waiting = load.count - one.done.count
        try configure()
        let daemon = KilledDaemon(
            follow: follow,
            running: try follow.daemon(environment: phase == .cursorWrite ? slowCursors.environment : [:]))
        let begun = one.begun.count
        let signal = try reach(phase, daemon)
        let phases = try daemon.kill(signal: signal) { [one] in
            try one.read()
            return one.begun.count - begun < waiting
        }
        guard let phases else {
            missed += 1
            return
        }
        kills += 1
        if !phases.contains(phase) { missed += 1 }
        for phase in phases { hits[phase, default: 0] += 1 }
        try look(phases)
    }

    /// Waits until a phase has begun, and then for some part of it.
    ///
    /// - Returns: the signal that led to it.
    private func reach(_ phase: DaemonPhase, _ daemon: KilledDaemon) throws -> CInt? {
        switch phase {
        case .catchUp: usleep(.random(in: 0...100_000))
        case .delivery:
            try spin { try daemon.children().contains { $0.command.contains("/exec-") } }
            usleep(.random(in: 0...2_000))
        case .cursorWrite:
            try spin { try daemon.isWritingCursor() }
            usleep(.random(in: 0...6_000))
        case .rotation:
            let before = inode(of: follow.path)
            try waitUntil("it is time for a rotation") { try load.rotateWhereDue() }
            try spin { inode(of: follow.path) != before }
            usleep(.random(in: 0...20_000))
        case .reload:
            try spin { try !daemon.children().isEmpty }
            usleep(.random(in: 0...50_000))
            try configure(reloads: 1)
            daemon.running.signal(SIGHUP)
            try spin { daemon.running.errorsSoFar.contains("reloading") }
            usleep(.random(in: 0...30_000))
            return SIGHUP
        case .stop:
            try spin { try !daemon.children().isEmpty }
            usleep(.random(in: 0...50_000))
            daemon.running.signal(SIGTERM)
            usleep(.random(in: 0...40_000))
            return SIGTERM
        }
        return nil
    }

    /// Waits for something that doesn't last: a second at the most, for it may never come.
    private func spin(_ condition: () throws -> Bool) throws {
        let end = MonotonicClock.nanoseconds() + 1_000_000_000
        while try !condition(), MonotonicClock.nanoseconds() < end { usleep(100) }
    }

    /// What `ducc-follow status` says of a hook.
    private struct Status: Decodable {
        let hook: String
        let events: Int
        let last_event_id: String?
    }

    /// Looks at what a daemon left that was killed.
    private func look(_ phases: Set<DaemonPhase>) throws {
        let result = try run(Programs.follow, ["status", "--json"] + follow.config)
        #expect(result.code == 0, "\(result.errors)")
        for line in result.output.split(separator: "\n") {
            let status = try JSONDecoder().decode(Status.self, from: Data(line.utf8))
            if status.hook == "one", phases.contains(.catchUp) { #expect(status.events > 0) }
            if status.hook == "audit" { passed[life] = status.last_event_id.flatMap { NotedEvent($0) } }
        }
    }

    // MARK: The end

    /// A daemon that nobody kills does the rest.
    private func finish() throws {
        life += 1
        try load.finish()
        try configure()
        let last = try follow.daemon()
        try follow.waitUntilNothingWaits(hooks: 3)
        for notes in [one, several] { try notes.read() }
        let result = try follow.stop(last)
        #expect(result.code == 0 && result.errors.contains("stopped"), "\(result.errors)")
        #expect(try follow.leftovers().isEmpty)
    }

    private var database: String { follow.directory.path("audit.db") }

    /// What the hooks noted is what they are promised.
    private func prove() throws {
        let expected = Set(load.events)
        for (notes, concurrency) in [(one, 1), (several, Self.many)] {
            #expect(notes.problems == [])
            #expect(Set(notes.begun.keys) == expected && notes.done == expected)
            let repeats = Dictionary(grouping: notes.repeated, by: life).mapValues(\.count)
            #expect(repeats.values.allSatisfy { $0 <= concurrency }, "\(repeats)")
            print("concurrency \(concurrency): \(notes.repeated.count) deliveries came again")
        }
        let pipe = try PipeNotes("audit", in: follow.directory)
        #expect(pipe.problems == [] && Set(pipe.events) == expected)
        let positions = Dictionary(uniqueKeysWithValues: zip(pipe.events, pipe.events.indices))
        for (name, events) in pipe.lives {
            guard let last = passed[life(of: name) - 1].flatMap({ positions[$0] }) else { continue }
            let early = events.filter { positions[$0].map { $0 <= last } ?? true }
            #expect(early.isEmpty, "daemon \(name) gave the pipe again what its cursor had passed")
        }
        let repeats = pipe.lives.reduce(0) { $0 + $1.events.count } - pipe.events.count
        print("the pipe hook: \(repeats) events came again")
        let rows = try Audit.query(database, "SELECT event_id FROM events").compactMap { NotedEvent($0) }
        #expect(rows.count == expected.count && Set(rows) == expected)
    }

    private func life(of name: String) -> Int { Int(name.prefix { $0 != "." }) ?? 0 }
}
