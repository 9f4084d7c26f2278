// ducc-follow run: many hooks, each with a cursor of its own, that survive whatever becomes of the daemon.

import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("The daemon")
struct RunTests {
    let follow: Follow
    init() throws { follow = try Follow() }

    @Test("exec and pipe hooks get what they want, in order, and go on where they were")
    func hooks() throws {
        _ = try follow.script("one", "echo $DUCC_LAYER $1 >> one.out\n")
        try follow.pipeHook("two")
        let hooks = """
              - {name: one, exec: [./one, "{action}"], action: publish_test, from: start}
              - {name: two, pipe: [./two], from: start}
              - {name: none, exec: [./one], action: nothing}

            """
        try follow.emit(0..<3)
        var running = try follow.daemon(hooks)
        try waitUntil("the old events are done") {
            follow.lines("one.out").count == 3 && follow.lines("two.out").count == 3
        }
        try follow.emit(3..<4)
        try waitUntil("the new one is done") {
            follow.lines("two.out").count == 4 && follow.lines("one.out").count == 4
        }
        var result = try follow.stop(running)
        #expect(result.code == 0, "\(result.errors)")
        try follow.emit(4..<6)
        running = try follow.daemon(hooks)
        try waitUntil("what came meanwhile is done") {
            follow.lines("two.out").count == 6 && follow.lines("one.out").count == 6
        }
        result = try follow.stop(running)
        #expect(result.code == 0)
        #expect(follow.lines("one.out") == (0..<6).map { "\($0) publish_test" })
        #expect(follow.lines("two.out") == (0..<6).map(String.init))
    }

    @Test("a hook that hangs holds up no other, however many events there are")
    func slow() throws {
        _ = try follow.script("hang", "echo began >> hang.out; exec sleep 1000\n")
        try follow.pipeHook("quick")
        let running = try follow.daemon(
            """
              - {name: slow, exec: [./hang], from: start}
              - {name: quick, pipe: [./quick], from: start}

            """)
        try follow.emit(0..<5000)
        try waitUntil("the quick hook has everything") { follow.lines("quick.out").count == 5000 }
        #expect(follow.lines("hang.out").count == 1)
        #expect(follow.lines("quick.out") == (0..<5000).map(String.init))
        running.signal(SIGKILL)
        _ = try running.wait()
    }

    @Test("a failing event is tried again in its place, then put with the dead letters, and the hook goes on")
    func deadLetters() throws {
        _ = try follow.script(
            "hook",
            "echo $DUCC_LAYER $DUCC_ATTEMPT >> out; case $DUCC_LAYER in 1) exit 3;; 2) exit 65;; esac\n")
        try follow.emit(0..<4)
        let running = try follow.daemon(
            "  - {name: a, exec: [./hook], from: start, retry: {attempts: 3, delay: 10ms}}\n",
            ["--log-format", "json"])
        try waitUntil("all are done with") { follow.lines("out").contains("3 1") }
        let result = try follow.stop(running)
        #expect(follow.lines("out") == ["0 1", "1 1", "1 2", "1 3", "2 1", "3 1"])
        let letters = try runSuccessfully(
            "jq",
            [
                "-r", #"[.hook, .event.layer, (.attempts | length), .attempts[-1].outcome] | join(" ")"#,
                follow.directory.path("state/dead/a.jsonl"),
            ])
        #expect(letters == "a 1 3 exit code 3\na 2 1 exit code 65\n")
        // One object a decision.
        let levels = try runSuccessfully(
            "jq",
            [
                "-rn", "--arg", "log", result.errors,
                #"$log | split("\n")[] | select(. != "") | fromjson | .level"#,
            ])
        #expect(levels.split(separator: "\n").count { $0 == "error" } == 2 && levels.contains("warning"))
    }

    @Test("killed at any instant it repeats what was running, and loses nothing")
    func killed() throws {
        _ = try follow.script("hook", "echo $DUCC_LAYER >> out\n")
        let hooks = "  - {name: a, exec: [./hook], from: start, concurrency: 3}\n"
        let kills = TestScale.count(5, long: 60)
        var written = 0
        for _ in 0..<kills {
            let running = try follow.daemon(hooks)
            try follow.emit(written..<written + 20)
            written += 20
            let until = Int.random(in: max(0, written - 40)..<written)
            try waitUntil("it is at work") { Set(follow.lines("out")).count >= until }
            running.signal(SIGKILL)
            _ = try running.wait()
        }
        let running = try follow.daemon(hooks)
        try waitUntil("everything was delivered") { Set(follow.lines("out")).count == written }
        #expect(try follow.stop(running).code == 0)
        #expect(follow.lines("out").count <= written + 3 * kills)
    }

    @Test("killed, a pipe hook gets again what its cursor had not passed, in order")
    func killedPipe() throws {
        try follow.pipeHook("hook")
        let hooks = "  - {name: a, pipe: [./hook], from: start}\n"
        for round in 0..<TestScale.count(3, long: 30) {
            let running = try follow.daemon(hooks)
            try follow.emit(round * 500..<(round + 1) * 500)
            try waitUntil("it is at work") {
                follow.lines("hook.out").last.flatMap { Int($0) } ?? -1 >= round * 500 + 100
            }
            running.signal(SIGKILL)
            _ = try running.wait()
        }
        let running = try follow.daemon(hooks)
        let last = TestScale.count(3, long: 30) * 500 - 1
        try waitUntil("everything was delivered") { follow.lines("hook.out").last == "\(last)" }
        let result = try follow.stop(running)
        #expect(result.code == 0, "\(result.status) \(result.errors)")
        let got = follow.lines("hook.out").compactMap { Int($0) }
        #expect(Set(got) == Set(0...last))
        // Only backwards where it began anew.
        #expect(zip(got, got.dropFirst()).allSatisfy { $1 == $0 + 1 || $1 <= $0 })
    }

    @Test("pause and resume are asked of the daemon, and hold after a restart")
    func pause() throws {
        _ = try follow.script("hook", "echo $DUCC_LAYER >> out\n")
        let hooks = "  - {name: a, exec: [./hook], from: start}\n"
        var running = try follow.daemon(hooks)
        try follow.emit(0..<1)
        try waitUntil("one is done") { follow.lines("out").count == 1 }
        let options = ["--config", follow.directory.path("follow.yaml"), "a"]
        #expect(try Support.run(Programs.follow, ["pause"] + options).code == 0)
        try follow.emit(1..<2)
        _ = try follow.stop(running)
        running = try follow.daemon(hooks + "  - {name: b, exec: [./hook], from: start}\n")
        try waitUntil("the other hook has both") { follow.lines("out").count == 3 }
        #expect(try Support.run(Programs.follow, ["resume"] + options).code == 0)
        try waitUntil("the paused one has gone on") { follow.lines("out").count == 4 }
        #expect(try Support.run(Programs.follow, ["pause", "--config", options[1], "nobody"]).code != 0)
        #expect(try follow.stop(running).code == 0)
    }

    @Test("dead letters are listed, shown, delivered once more and dropped")
    func dead() throws {
        _ = try follow.script("hook", "[ -e mended ] || exit 65; echo $DUCC_LAYER >> out\n")
        let config = ["--config", follow.directory.path("follow.yaml"), "a"]
        func dead(_ arguments: String...) throws -> CommandResult {
            try Support.run(Programs.follow, ["dead", arguments[0]] + config + arguments.dropFirst())
        }
        try follow.emit(0..<3)
        let running = try follow.daemon("  - {name: a, exec: [./hook], from: start}\n")
        try waitUntil("all were given up") { try dead("list").output.split(separator: "\n").count == 3 }
        let first = try dead("list").output.split(separator: "\n")[0]
        #expect(first.hasSuffix("publish_test  1 attempt: exit code 65"))
        let identifier = try #require(first.split(separator: " ").dropFirst().first.map(String.init))
        let line = try text(of: follow.path).split(separator: "\n")[0]
        #expect(try dead("show", identifier).output == line + "\n")
        let wrong = [try dead("show").code, try dead("show", "nonesuch").code]
        #expect(wrong[0] == 64 && wrong[1] != 0)
        try follow.directory.write("mended", "")
        #expect(try dead("replay", identifier).code == 0)
        try waitUntil("it was delivered") { try dead("list").output.split(separator: "\n").count == 2 }
        #expect(follow.lines("out") == ["0"])
        #expect(try dead("drop", "--all").code == 0)
        #expect(try dead("list").output.isEmpty)
        #expect(try follow.stop(running).code == 0)
        #expect(try dead("replay", "--all").code == 0, "there is nothing to replay")
    }

    @Test("status says how far each hook is behind, and its thresholds make it a check")
    func status() throws {
        _ = try follow.script("hook", "[ $DUCC_LAYER = 0 ] && exit 65; echo $DUCC_LAYER >> out\n")
        let config = follow.directory.path("follow.yaml")
        func status(_ options: String...) throws -> CommandResult {
            try Support.run(Programs.follow, ["status", "--config", config] + options)
        }
        let running = try follow.daemon("  - {name: a, exec: [./hook], action: publish_test, from: start}\n")
        try follow.emit(0..<2)
        try waitUntil("both are done with") { follow.lines("out") == ["1"] }
        #expect(try follow.stop(running).code == 0)
        #expect(try status().output == "a: nothing waits; 1 given up\n")
        #expect(try status("--max-dead", "1", "--max-lag", "1h").code == 0)
        #expect(try status("--max-dead", "0").code == 1)
        try follow.emit(2..<4)
        try follow.emit(4..<5, .test)
        try waitUntil("the oldest waits for longer than that") { try status("--max-lag", "1s").code == 1 }
        let json = try status("--json")
        #expect(
            try runSuccessfully(
                "jq", ["-rn", "--argjson", "s", json.output, "$s | [.hook, .events, .dead, .paused] | @csv"])
                == "\"a\",2,1,false\n")
        try Files.removeTree(follow.directory.path("state/cursors"))
        #expect(try status().code == 2)
    }

    @Test("one daemon has a state directory; another says who it is, with exit code 69")
    func lock() throws {
        _ = try follow.script("hook", "exit 0\n")
        let first = try follow.daemon("  - {name: a, exec: [./hook]}\n")
        try waitUntil("it has begun") { Files.exists(follow.directory.path("state/cursors/a.json")) }
        let second = try follow.daemon("  - {name: a, exec: [./hook]}\n").wait()
        #expect(
            second.code == 69 && second.errors.contains("process \(first.process.identifier)"),
            "\(second.errors)")
        #expect(try follow.stop(first).code == 0)
    }

    @Test("a hook that takes too long is ended with all it started, and tried again")
    func timeout() throws {
        _ = try follow.script(
            "hook",
            "trap '' TERM; echo $DUCC_ATTEMPT >> out; [ $DUCC_ATTEMPT = 2 ] && exit 0; sleep 1000 & echo $! > child; wait\n"
        )
        try follow.emit(0..<1)
        let running = try follow.daemon(
            "  - {name: a, exec: [./hook], from: start, timeout: 200ms, kill_after: 100ms, retry: {delay: 10ms}}\n"
        )
        try waitUntil("it was tried again") { follow.lines("out") == ["1", "2"] }
        let child = try #require(pid_t(follow.lines("child")[0]))
        try waitUntil("what it started is gone") { kill(child, 0) != 0 }
        #expect(try follow.stop(running).code == 0)
    }

    @Test(
        "events that its own deliveries caused don't come to a hook, nor what others make of them, unless it asks"
    )
    func loop() throws {
        _ = try follow.script(
            "hook", "echo $DUCC_ACTION >> $1; \(Programs.ducc) notify -n notifications.log --action from_$1\n"
        )
        try follow.emit(0..<1)
        let running = try follow.daemon(
            """
              - {name: a, exec: [./hook, a], from: start}
              - {name: b, exec: [./hook, b], from: start, action: from_a}
              - {name: c, exec: [./hook, c], from: start, own_events: true, action: from_*}

            """)
        try waitUntil("the others were told") {
            follow.lines("c").contains("from_c") && follow.lines("b").count >= 1
        }
        _ = try follow.stop(running)
        #expect(!follow.lines("a").contains("from_a") && !follow.lines("b").contains("from_b"))
    }

    @Test("the consumers' configurations are right", arguments: ["announce", "prefetch", "audit-sqlite"])
    func consumers(name: String) throws {
        let result = try Support.run(
            Programs.follow, ["check", "\(Programs.root)/consumers/\(name)/follow.yaml"])
        #expect(result.code == 0 && result.output.contains("nothing is wrong; 1 hook"), "\(result.errors)")
    }

    @Test(
        "a hook of another user runs as that user; one of nobody we know is a mistake",
        .enabled(if: geteuid() == 0))
    func user() throws {
        #expect(chmod(follow.directory.path, 0o777) == 0)
        _ = try follow.script("hook", "id -un > out\n")
        try follow.emit(0..<1)
        let running = try follow.daemon("  - {name: a, exec: [./hook], from: start, user: nobody}\n")
        try waitUntil("it ran") { follow.lines("out") == ["nobody"] }
        #expect(try follow.stop(running).code == 0)
        #expect(try follow.daemon("  - {name: b, exec: [./hook], user: no-such-user}\n").wait().code == 78)
    }

    @Test("an event of the original DUCC's is acknowledged like any other")
    func original() throws {
        try follow.pipeHook("hook")
        try follow.directory.write(
            "notifications.log",
            #"{"action":"publish_layer","layer":"7","time":" 3 Nov 2026 - 08:05:02.120"}"# + "\n")
        let running = try follow.daemon("  - {name: a, pipe: [./hook], from: start}\n")
        try waitUntil("it was delivered, and passed") {
            follow.lines("hook.out") == ["7"]
                && ((try? text(of: follow.directory.path("state/cursors/a.json"))) ?? "").contains("line:")
        }
        #expect(try follow.stop(running).code == 0)
    }

    @Test("a mistake in the configuration is exit code 78, with its place; check says it too")
    func mistakes() throws {
        for command in ["run", "check"] {
            try follow.directory.write("bad.yaml", "stream: a\nstate: b\nhooks:\n  - {name: a, exce: [x]}\n")
            let result = try Support.run(Programs.follow, [command, follow.directory.path("bad.yaml")])
            #expect(
                result.code == 78
                    && result.errors.contains("bad.yaml:4:15: the key 'exce' is unknown, did you mean exec?"),
                "\(result.errors)")
            #expect(!Files.exists(follow.directory.path("b")))
        }
        try follow.directory.write(
            "missing.yaml", "stream: a\nstate: b\nhooks:\n  - {name: a, exec: [./gone]}\n")
        let result = try Support.run(Programs.follow, ["check", follow.directory.path("missing.yaml")])
        #expect(result.code == 78 && result.errors.contains("./gone"))
    }
}
