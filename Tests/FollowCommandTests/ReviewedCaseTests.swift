// Cases that were thought of late: each is one in which an event was lost, or a hook, or came for ever.

import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("The daemon, in cases that were thought of late")
struct ReviewedCaseTests {
    let follow: Follow
    init() throws { follow = try Follow() }

    private static func line(_ run: Int, _ number: UInt64) -> String {
        let run = "00000000-0000-4000-8000-00000000000\(run)"
        return
            "{\"action\":\"publish_layer\",\"event_id\":\"\(run):\(number)\",\"layer\":\"\(number + 100)\"}\n"
    }

    private func overwrite(from offset: Int, _ text: String) throws {
        let file = try OwnedDescriptor(opening: follow.path, O_WRONLY)
        #expect(ftruncate(file.raw, off_t(offset)) == 0)
        _ = lseek(file.raw, 0, SEEK_END)
        try Files.writeAll(Array(text.utf8), to: file.raw, path: follow.path)
    }

    @Test(
        "a file that is truncated while an event of it is not done: what it holds since is not taken for what it held",
        arguments: [true, false])
    func truncated(hasRegrown: Bool) throws {
        _ = try follow.script(
            "hook",
            "echo $DUCC_LAYER >> out; [ $DUCC_LAYER = 106 ] && [ ! -e go ] && exec sleep 100; exit 0\n")
        let old = (1...10).map { Self.line(1, $0) }
        try follow.directory.write("notifications.log", old.joined())
        try follow.configure("  - {name: a, exec: [./hook], from: start}\n", grace: "100ms")
        var running = try follow.daemon()
        try waitUntil("it hangs") { follow.lines("out").last == "106" }
        let new = (11...30).map { Self.line(2, $0) }.joined()
        if hasRegrown {
            try overwrite(from: old[0].utf8.count, new)
        } else {
            try overwrite(from: old[..<3].joined().utf8.count, "")
            try waitUntil("it is noticed") { running.errorsSoFar.contains("shorter") }
            try follow.directory.append(Array(new.utf8), to: "notifications.log")
        }
        // Which of them depends on whether it looks while the file is short.
        try waitUntil("it is noticed") {
            running.errorsSoFar.contains("truncated") || running.errorsSoFar.contains("shorter")
        }
        #expect(try follow.stop(running).code == 0)
        try follow.directory.write("go", "")
        running = try follow.daemon()
        try waitUntil("all that is new was told") {
            Set(follow.lines("out")).isSuperset(of: (111...130).map(String.init))
        }
        #expect(try follow.stop(running).code == 0)
    }

    @Test("a gap as large as numbers go is said like any other")
    func hugeGap() throws {
        _ = try follow.script("hook", "echo $DUCC_LAYER$DUCC_LOST_LAST >> out\n")
        try follow.directory.write(
            "notifications.log", Self.line(1, 1) + Self.line(1, 9_999_999_999_999_999_899))
        let running = try follow.daemon("  - {name: a, exec: [./hook], from: start, gaps: true}\n")
        try waitUntil("all is told") { follow.lines("out").count == 3 }
        #expect(try follow.stop(running).code == 0)
        #expect(follow.lines("out") == ["101", "9999999999999999898", "9999999999999999999"])
    }

    @Test("hooks that answer each other's events, each with a filter of its own, do so once")
    func pingPong() throws {
        for (name, answer) in [("ping", "pong"), ("pong", "ping")] {
            _ = try follow.script(
                name,
                "echo $DUCC_ACTION >> out; \(Programs.ducc) notify -n notifications.log --action \(answer)\n")
        }
        let running = try follow.daemon(
            "  - {name: a, exec: [./ping], action: ping}\n  - {name: b, exec: [./pong], action: pong}\n")
        let writer = try follow.writer()
        writer.emit(Action(rawValue: "ping"), [])
        try waitUntil("both have answered") {
            try text(of: follow.path).split(separator: "\n").count { $0.contains("\"caused_by\"") } == 2
        }
        // Whatever comes of the last answer is done when another event, behind it, is.
        writer.emit(Action(rawValue: "pong"), [])
        try waitUntil("the other is told of that one") { follow.lines("out").count >= 3 }
        #expect(try follow.stop(running).code == 0)
        #expect(follow.lines("out") == ["ping", "pong", "pong"])
    }

    @Test("a gap that was told is not told again after a stop, though the event behind it is not done")
    func gapOnce() throws {
        _ = try follow.script(
            "hook",
            "echo $DUCC_LAYER$DUCC_LOST_FIRST >> out; [ \"$DUCC_LAYER\" = 103 ] && [ ! -e go ] && exit 75; exit 0\n"
        )
        try follow.directory.write("notifications.log", Self.line(1, 1) + Self.line(1, 3))
        let hooks = "  - {name: a, exec: [./hook], from: start, gaps: true, retry: {delay: 1h}}\n"
        for round in 1...3 {
            let running = try follow.daemon(hooks)
            try waitUntil("the event was tried") { follow.lines("out").count { $0 == "103" } == round }
            #expect(try follow.stop(running).code == 0)
        }
        #expect(follow.lines("out") == ["101", "2", "103", "103", "103"])
    }

    @Test("a stream that can't be followed is refused at a reload, and the hooks go on as they were")
    func reloadedStream() throws {
        _ = try follow.script("hook", "echo $DUCC_LAYER >> out\n")
        let hooks = "  - {name: a, exec: [./hook], from: start}\n"
        let running = try follow.daemon(hooks)
        try Files.makeDirectories(follow.directory.path("directory"))
        try follow.directory.write("follow.yaml", "stream: directory\nstate: state\nhooks:\n" + hooks)
        try follow.reload(running)
        #expect(running.errorsSoFar.contains("not reloaded") && running.errorsSoFar.contains("directory"))
        try follow.emit(0..<1)
        try waitUntil("it goes on") { follow.lines("out") == ["0"] }
        #expect(try follow.stop(running).code == 0)
    }

    @Test("a hook that can't begin after a reload is tried again until it can")
    func beginsLater() throws {
        _ = try follow.script("hook", "echo $DUCC_LAYER >> out\n")
        let running = try follow.daemon("  - {name: a, exec: [./hook], from: start}\n")
        // Somebody follows with the cursor of that name.
        let other = try RunningCommand(
            Programs.follow,
            [follow.path, "--cursor", "b", "--state", follow.directory.path("state"), "--exec", "/bin/true"],
            directory: follow.directory.path)
        try waitUntil("it has the cursor") { Files.exists(follow.directory.path("state/cursors/b.json")) }
        try follow.configure(
            "  - {name: a, exec: [./hook], from: start}\n  - {name: b, exec: [./hook], from: start}\n")
        try follow.reload(running)
        #expect(running.errorsSoFar.contains("in use by another process"))
        other.signal(SIGTERM)
        _ = try other.wait()
        try follow.emit(0..<1)
        try waitUntil("both were told") { follow.lines("out") == ["0", "0"] }
        #expect(try follow.stop(running).code == 0)
    }

    @Test("a command that has the state directory for a moment doesn't keep the daemon from starting")
    func lockedForAMoment() throws {
        _ = try follow.script("hook", "exit 0\n")
        try Files.makeDirectories(follow.directory.path("state"))
        let path = follow.directory.path("state/lock")
        var held: SharedDescriptor? = SharedDescriptor(
            try OwnedDescriptor(opening: path, O_RDWR | O_CREAT, mode: 0o600))
        #expect(try FileLock.tryDescriptorLock(try #require(held).raw, path: path))
        try follow.configure("  - {name: a, exec: [./hook]}\n")
        let running = try RunningCommand(
            Programs.follow, ["run", follow.directory.path("follow.yaml")], directory: "/")
        // It makes its directories before it tries.
        try waitUntil("it is at it") { Files.exists(follow.directory.path("state/requests")) }
        held = nil
        try waitUntil("it is set up") { running.errorsSoFar.contains("following") }
        #expect(try follow.stop(running).code == 0)
    }

    @Test("a command waits for another one that has the state directory for a moment, and then does its work")
    func commandsTogether() throws {
        _ = try follow.script("hook", "exit 0\n")
        try follow.configure("  - {name: a, exec: [./hook]}\n")
        try Files.makeDirectories(follow.directory.path("state"))
        let path = follow.directory.path("state/lock")
        var held: SharedDescriptor? = SharedDescriptor(
            try OwnedDescriptor(opening: path, O_RDWR | O_CREAT, mode: 0o600))
        #expect(try FileLock.tryDescriptorLock(try #require(held).raw, path: path))
        let command = try RunningCommand(Programs.follow, ["pause"] + follow.config + ["a"], directory: "/")
        try waitUntil("it asks whoever has it") {
            try !DirectoryEntry.names(in: follow.directory.path("state/requests")).isEmpty
        }
        held = nil
        #expect(try command.wait(seconds: 5).code == 0)
        #expect(Files.exists(follow.directory.path("state/paused/a")))
        #expect(try follow.leftovers().isEmpty)
    }

    @Test("a daemon that is stopping says so to commands")
    func stopping() throws {
        _ = try follow.script(
            "hook", "echo x >> begun; trap '' TERM; while [ ! -e go ]; do sleep 0.05; done\n")
        try follow.emit(0..<1)
        try follow.configure("  - {name: a, exec: [./hook], from: start}\n", grace: "30s")
        let running = try follow.daemon()
        try waitUntil("it has begun") { follow.lines("begun").count == 1 }
        running.signal(SIGTERM)
        try waitUntil("it says so") {
            let result = try Support.run(Programs.follow, ["pause"] + follow.config + ["a"])
            return result.code == 69 && result.errors.contains("is stopping")
        }
        try follow.directory.write("go", "")
        #expect(try running.wait(seconds: 20).code == 0)
    }

    @Test(
        "a file that can't be read for a while is said once, costs nothing meanwhile, and is read when it can be"
    )
    func unreadable() throws {
        _ = try follow.script("hook", "echo $DUCC_LAYER >> out\n")
        try follow.configure("  - {name: a, exec: [./hook], from: start}\n")
        let failing = try Interposed(
            """
            ssize_t pread(int descriptor, void *bytes, size_t count, off_t offset) {
                ssize_t (*next)(int, void *, size_t, off_t) = dlsym(RTLD_NEXT, "pread");
                if (isStream(descriptor) && access("\(follow.directory.path("broken"))", F_OK) == 0) {
                    note("failed");
                    errno = EIO;
                    return -1;
                }
                return next(descriptor, bytes, count, offset);
            }
            """, stream: follow.path, in: follow.directory)
        try follow.emit(0..<1)
        let running = try RunningCommand(
            Programs.follow, ["run", follow.directory.path("follow.yaml")], environment: failing.environment,
            directory: "/")
        try waitUntil("it is read") { follow.lines("out") == ["0"] }
        try follow.directory.write("broken", "")
        try follow.emit(1..<2)
        try waitUntil("it was tried a few times") { try failing.calls().count >= 3 }
        #expect(try running.rests())
        #expect(running.errorsSoFar.split(separator: "\n").count { $0.contains("Input/output error") } == 1)
        unlink(follow.directory.path("broken"))
        try waitUntil("it is read") { follow.lines("out") == ["0", "1"] }
        #expect(try follow.stop(running).code == 0)
    }
}
