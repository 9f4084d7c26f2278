// The daemon as a service: what systemd hears of it, and that a restart is none of its hooks' business.

import Glibc
import Notifications
import Support
import Testing

@Suite("The daemon as a service")
struct ServiceTests {
    let follow: Follow
    init() throws { follow = try Follow() }

    @Test("systemd hears that it is ready, that it lives, that it reloads and that it stops")
    func notifications() throws {
        _ = try follow.script("hook", "exit 0\n")
        try follow.configure("  - {name: a, exec: [./hook]}\n")
        let manager = try ServiceManager(follow.directory.path("notify"))
        let running = try RunningCommand(
            Programs.follow, ["run", follow.directory.path("follow.yaml")],
            environment: ["NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "200000"], directory: "/")
        var heard: [String] = []
        func hear(_ words: String) throws {
            try waitUntil("systemd hears \(words)") {
                while let text = manager.received() { heard.append(text) }
                return heard.contains { $0.hasPrefix(words) }
            }
        }
        try hear("READY=1\nSTATUS=following")
        #expect(heard[0].hasPrefix("READY=1"))
        // Not only once: it goes on.
        for _ in 0..<3 {
            heard = []
            try hear("WATCHDOG=1")
        }
        heard = []
        running.signal(SIGHUP)
        try hear("RELOADING=1\nMONOTONIC_USEC=")
        try hear("READY=1")
        #expect(
            heard.lastIndex { $0.hasPrefix("READY=1") } ?? 0 > heard.firstIndex { $0.hasPrefix("RELOAD") }
                ?? 9)
        running.signal(SIGTERM)
        #expect(try running.wait().code == 0)
        try hear("STOPPING=1")
    }

    @Test("its pid in WATCHDOG_PID is another's: nobody waits for signs of life, and none is given")
    func otherWatchdog() throws {
        _ = try follow.script("hook", "echo done >> out\n")
        try follow.configure("  - {name: a, exec: [./hook], from: start}\n")
        let manager = try ServiceManager(follow.directory.path("notify"))
        let running = try RunningCommand(
            Programs.follow, ["run", follow.directory.path("follow.yaml")],
            environment: ["NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"],
            directory: "/")
        try follow.emit(0..<1)
        try waitUntil("it works") { follow.lines("out").count == 1 }
        running.signal(SIGTERM)
        #expect(try running.wait().code == 0)
        var heard: [String] = []
        while let text = manager.received() { heard.append(text) }
        #expect(!heard.isEmpty && !heard.contains("WATCHDOG=1"))
    }

    @Test("what its deliveries caused before a restart doesn't come to a hook after it")
    func loopAcrossRestart() throws {
        _ = try follow.script("hook", "echo $DUCC_ACTION >> out; echo $DUCC_EVENT_ID > last\n")
        let hooks = "  - {name: a, exec: [./hook], from: start}\n"
        try follow.emit(0..<1)
        var running = try follow.daemon(hooks)
        try waitUntil("it was told") { follow.lines("last").count == 1 }
        #expect(try follow.stop(running).code == 0)
        let cause = follow.lines("last")[0]
        let writer = try follow.writer()
        let own = writer.emit(Action(rawValue: "from_a"), [(.causedBy, cause)])
        writer.emit(Action(rawValue: "from_b"), [(.causedBy, own)])
        writer.emit(.publishTest, [(.layer, "1")])
        running = try follow.daemon(hooks)
        try waitUntil("it was told of the next one") { follow.lines("out").count >= 2 }
        #expect(try follow.stop(running).code == 0)
        #expect(follow.lines("out") == ["publish_test", "publish_test"])
    }

    @Test("a new hook that begins at the end gets what an event before that caused: it was never told of it")
    func notItsOwn() throws {
        _ = try follow.script("hook", "echo $DUCC_ACTION >> out\n")
        let writer = try follow.writer()
        let before = writer.emit(.publishTest, [(.layer, "1")])
        let running = try follow.daemon("  - {name: a, exec: [./hook]}\n")
        writer.emit(Action(rawValue: "of_another"), [(.causedBy, before)])
        try waitUntil("it was told") { follow.lines("out") == ["of_another"] }
        #expect(try follow.stop(running).code == 0)
    }
}
