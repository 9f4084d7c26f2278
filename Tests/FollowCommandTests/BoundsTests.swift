// What one hook, or one event, can't do to a daemon's memory, its descriptors and its other hooks.

import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("A daemon's bounds")
struct BoundsTests {
    let follow: Follow
    init() throws { follow = try Follow() }

    private func command(_ name: String) throws {
        #expect(try Support.run(Programs.follow, [name] + follow.config + ["a"]).code == 0)
    }

    /// Adds an event as others may write it.
    private func append(_ fields: String) throws {
        try follow.directory.append(
            Array("{\"action\":\"tick\"\(fields)}\n".utf8), to: "notifications.log")
    }

    @Test("a pipe hook that prints nothing but junk fails, and holds up no other hook")
    func junk() throws {
        _ = try follow.script("junk", "echo x >> begun; exec yes\n")
        _ = try follow.script("hook", "echo done >> out\n")
        try follow.emit(0..<15_000, .test)
        let running = try follow.daemon(
            Follow.hook("pipe", ["./junk"])
                + "  - {name: b, exec: [./hook], from: start, action: publish_test}\n")
        try waitUntil("it was begun") { follow.lines("begun").count > 0 }
        try follow.emit(0..<1)
        try waitUntil("the other is done", seconds: 8) { follow.lines("out") == ["done"] }
        try waitUntil("it is begun anew") { follow.lines("begun").count > 1 }
        let log = try follow.stop(running).errors
        #expect(log.contains("printed 100 lines in a row that acknowledge nothing"))
        #expect(log.utf8.count < 50_000)
    }

    @Test("a pipe hook that is paused is not ended for what it isn't given")
    func pausedBehind() throws {
        try follow.pipeHook(
            "hook", "if not os.path.exists('go'): os.system('sleep 0.002')")
        try follow.emit(0..<5000)
        let running = try follow.daemon(
            Follow.hook("pipe", ["./hook"], "timeout: 1s, retry: {attempts: 1}"))
        try waitUntil("it has begun") { follow.lines("hook.out").count > 10 }
        try command("pause")
        try follow.directory.write("go", "")
        var before = -1
        try waitUntil("it has what is in the pipe") {
            defer { before = follow.lines("hook.out").count }
            return try running.rests() && before == follow.lines("hook.out").count
        }
        #expect(before < 5000)
        let over = MonotonicClock.nanoseconds() + 2_000_000_000
        try waitUntil("its time would be over") { MonotonicClock.nanoseconds() > over }
        try command("resume")
        try waitUntil("it has them all") { follow.lines("hook.out").last == "4999" }
        #expect(follow.lines("hook.out") == (0..<5000).map { "\($0)" })
        let log = try follow.stop(running).errors
        #expect(try !log.contains("not done after") && follow.deadLetters().isEmpty, "\(log)")
    }

    @Test(
        "a hook that stops when it has failed is paused, after a restart too, until it is resumed",
        arguments: ["exec", "pipe"])
    func stops(kind: String) throws {
        _ = try follow.script("hook", "echo >> begun; exit 3\n")
        try follow.emit(0..<1)
        try follow.configure(
            Follow.hook(kind, ["./hook"], "retry: {attempts: 2, delay: 10ms}, on_exhausted: stop"))
        for _ in 0..<2 {
            let running = try follow.daemon()
            try waitUntil("it has stopped") {
                let status = try Support.run(Programs.follow, ["status"] + follow.config)
                return status.output.contains("paused")
            }
            try waitUntil("the daemon rests") { try running.rests() }
            #expect(try text(of: follow.directory.path("begun")) == "\n\n")
            #expect(try follow.stop(running).code == 0)
        }
        let running = try follow.daemon()
        try command("resume")
        try waitUntil("it is run again") { try text(of: follow.directory.path("begun")).utf8.count > 2 }
        #expect(try follow.stop(running).code == 0)
    }

    @Test("an event with many fields is delivered as others are")
    func fields() throws {
        _ = try follow.script("hook", "echo done >> out\n")
        try append((0..<20_000).map { ",\"f\($0)\":\"\"" }.joined())
        let running = try follow.daemon(Follow.hook())
        try waitUntil("it is done", seconds: 5) { follow.lines("out") == ["done"] }
        #expect(try follow.stop(running).code == 0)
    }

    @Test("long lines that wait, or are done, take no more memory than short ones")
    func longLines() throws {
        _ = try follow.script(
            "hook", "while [ ! -e go ]; do sleep 0.02; done\necho done >> out\n")
        let text = String(repeating: "x", count: 60_000)
        for _ in 0..<80 { try append((0..<16).map { ",\"f\($0)\":\"\(text)\"" }.joined()) }
        let running = try follow.daemon(Follow.hook())
        try waitUntil("the daemon rests") { try running.rests() }
        try follow.directory.write("go", "")
        try waitUntil("all are done") { follow.lines("out").count == 80 }
        let memory = try running.peakMemory()
        #expect(memory < 70 << 20, "\(memory)")
        #expect(try follow.stop(running).code == 0)
    }

    @Test("long values that a filter looks at are not kept")
    func longValues() throws {
        _ = try follow.script("hook", "echo done >> out\n")
        let text = String(repeating: "x", count: 60_000)
        for number in 0..<1000 { try append(",\"error\":\"\(number)\(text)\"") }
        try append(",\"error\":\"this\"")
        let running = try follow.daemon(Follow.hook("exec", ["./hook"], "field: ['error=this']"))
        try waitUntil("it is done") { follow.lines("out") == ["done"] }
        let memory = try running.peakMemory()
        #expect(memory < 50 << 20, "\(memory)")
        #expect(try follow.stop(running).code == 0)
    }

    @Test(
        "more programs at a time than there are descriptors for: none fails for it, and they have our old limit",
        arguments: [("64:4096", true), ("64:64", false)])
    func descriptors(limit: String, isEnough: Bool) throws {
        _ = try follow.script(
            "hook",
            "echo $(ulimit -n) >> begun; while [ ! -e go ]; do sleep 0.1; done; echo done >> out\n")
        try follow.emit(0..<80)
        try follow.configure(Follow.hook("exec", ["./hook"], "concurrency: 80, retry: {attempts: 1}"))
        let running = try RunningCommand(
            "prlimit",
            ["--nofile=\(limit)", Programs.follow, "run", follow.directory.path("follow.yaml")])
        try waitUntil("as many as can be are begun") {
            isEnough
                ? follow.lines("begun").count == 80
                : running.errorsSoFar.contains("Too many open files")
        }
        try follow.directory.write("go", "")
        try waitUntil("all are done") { follow.lines("out").count == 80 }
        let log = try follow.stop(running).errors
        #expect(try follow.deadLetters().isEmpty, "\(log)")
        #expect(follow.lines("begun") == Array(repeating: "64", count: 80))
        #expect(!log.contains("Too many open files") == isEnough, "\(log)")
    }
}
