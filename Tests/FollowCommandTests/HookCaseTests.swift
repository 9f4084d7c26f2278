// Programs that a daemon runs for events, and that do what a program may do: fail, hang, leave others behind, print
// without end, or not be there.

import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("A daemon's exec hook")
struct HookCaseTests {
    let follow: Follow
    init() throws { follow = try Follow() }

    @Test(
        "that fails, however it does, is run again, each time after a longer pause, and then the next event comes",
        arguments: [
            ("exit 3", "exit code 3"), ("exit 75", "exit code 75"), ("kill -KILL $$", "signal 9"),
            ("kill -SEGV $$", "signal 11"),
        ])
    func failing(end: String, outcome: String) throws {
        // Hundredths of a second since the machine was started.
        _ = try follow.script(
            "hook",
            """
            read now rest < /proc/uptime
            echo $DUCC_LAYER $DUCC_ATTEMPT $now >> out
            [ $DUCC_LAYER = 1 ] || exit 0
            \(end)

            """)
        try follow.emit(0..<3)
        let running = try follow.daemon(
            Follow.hook("exec", ["./hook"], "retry: {attempts: 4, delay: 200ms, max_delay: 500ms}"))
        try waitUntil("the others are done") { follow.lines("out").contains { $0.hasPrefix("2 ") } }
        #expect(try follow.stop(running).code == 0)
        let runs = follow.lines("out").map { $0.split(separator: " ").map(String.init) }
        #expect(runs.map { "\($0[0]) \($0[1])" } == ["0 1", "1 1", "1 2", "1 3", "1 4", "2 1"])
        let times = runs.compactMap { Double($0[2]) }
        let pauses = zip(times.dropFirst(), times.dropFirst(2)).prefix(3).map { $1 - $0 }
        #expect(zip(pauses, [0.19, 0.39, 0.49]).allSatisfy { $0 >= $1 }, "\(pauses)")
        #expect(
            try follow.deadLetters() == ["1: " + Array(repeating: outcome, count: 4).joined(separator: ", ")])
    }

    @Test("that takes too long: what it started has its time to end too, and is killed after it")
    func grandchildren() throws {
        _ = try follow.script(
            "hook",
            """
            [ $DUCC_ATTEMPT = 2 ] && exit 0
            sh -c 'trap "sleep 0.3; echo ended >> tidy; exit" TERM; echo begun >> tidy; while :; do sleep 0.05; done' &
            sh -c 'trap "" TERM; echo $$ > stubborn; while :; do sleep 0.05; done' &
            wait

            """)
        try follow.emit(0..<1)
        try follow.configure(
            "  - {name: a, exec: [./hook], from: start, timeout: 500ms, kill_after: 1500ms, retry: {delay: 10ms}}\n"
        )
        let running = try follow.daemon(["--verbose"])
        try waitUntil("it is done") { running.errorsSoFar.contains("done hook=a") }
        let stubborn = try #require(follow.process("stubborn"))
        #expect(!isRunning(stubborn))
        #expect(follow.lines("tidy") == ["begun", "ended"])
        #expect(try follow.stop(running).code == 0)
    }

    @Test("that leaves a process behind with its output open is done when it has ended itself")
    func leftBehind() throws {
        _ = try follow.script("hook", "sleep 1000 & echo $! >> children; echo $DUCC_LAYER >> out\n")
        try follow.emit(0..<3)
        let running = try follow.daemon(Follow.hook())
        defer { for child in follow.lines("children").compactMap({ pid_t($0) }) { kill(child, SIGKILL) } }
        try waitUntil("all are done", seconds: 10) { follow.lines("out") == ["0", "1", "2"] }
        #expect(try follow.stop(running).code == 0)
        #expect(follow.lines("children").compactMap { pid_t($0) }.allSatisfy(isRunning))
    }

    @Test("that closes its input at once stops nobody, however long the event is")
    func closedInput() throws {
        _ = try follow.script("hook", "exec <&-\nsleep 0.1\necho $DUCC_LAYER >> out\n")
        // More than any pipe holds.
        let fields = "abcdefgh".map { ",\"\($0)\":\"\(String(repeating: $0, count: 60_000))\"" }.joined()
        for layer in 0..<2 {
            try follow.directory.append(
                Array("{\"action\":\"tick\",\"layer\":\"\(layer)\"\(fields)}\n".utf8), to: "notifications.log"
            )
        }
        let running = try follow.daemon(Follow.hook())
        try waitUntil("both are done", seconds: 10) { follow.lines("out") == ["0", "1"] }
        #expect(try follow.stop(running).code == 0)
    }

    @Test("that prints a gigabyte costs neither memory nor log")
    func output() throws {
        let megabytes = TestScale.count(100, long: 1000)
        _ = try follow.script(
            "hook", "head -c \(megabytes)000000 /dev/zero | tr '\\0' x; echo $DUCC_LAYER >> out\n")
        let running = try follow.daemon(Follow.hook())
        let before = try running.peakMemory()
        try follow.emit(0..<1)
        try waitUntil("it is done", seconds: 60) { follow.lines("out") == ["0"] }
        let grown = try running.peakMemory() - before
        #expect(grown < 4 << 20, "\(grown) bytes more")
        let result = try follow.stop(running)
        #expect(result.code == 0 && result.errors.utf8.count < 40_000)
        #expect(result.errors.contains("the rest of its output is not said"))
    }

    @Test(
        "or pipe hook that can't be run is said at once by run and check, with exit code 78",
        arguments: ["exec", "pipe"], ["./gone", "./plain", ".", "no-such-program"])
    func cannotRun(kind: String, program: String) throws {
        try follow.directory.write("plain", "#!/bin/sh\n", mode: 0o644)
        try follow.configure(Follow.hook(kind, [program]))
        for command in ["run", "check"] {
            let result = try Support.run(
                Programs.follow, [command, follow.directory.path("follow.yaml")], seconds: 5)
            #expect(result.code == 78 && result.errors.contains(program), "\(result.errors)")
            #expect(result.errors.split(separator: "\n").count == 1)
        }
        #expect(!Files.exists(follow.directory.path("state/cursors/a.json")))
    }

    @Test(
        "whose program goes is tried again, then put with the dead letters; when it is back the next event is done",
        arguments: [
            ("mv hook away", "cannot run", "mv away hook"),
            ("chmod a-x hook", "cannot run", "chmod a+x hook"),
            ("sed -i s,/bin/sh,/bin/gone, hook", "cannot run", "sed -i s,/bin/gone,/bin/sh, hook"),
        ])
    func goes(breaking: String, reason: String, mending: String) throws {
        _ = try follow.script("hook", "echo $DUCC_LAYER >> out\n")
        let shell = ["-c", "cd '\(follow.directory.path)' && "]
        let running = try follow.daemon(
            Follow.hook("exec", ["./hook"], "retry: {attempts: 2, delay: 50ms}"))
        try follow.emit(0..<1)
        try waitUntil("the first is done") { follow.lines("out") == ["0"] }
        try runSuccessfully("sh", [shell[0], shell[1] + breaking])
        try follow.emit(1..<2)
        try waitUntil("it is given up") { try follow.deadLetters().count == 1 }
        let letter = try follow.deadLetters()[0]
        #expect(letter.hasPrefix("1: \(reason)") && letter.split(separator: ",").count == 2, "\(letter)")
        try runSuccessfully("sh", [shell[0], shell[1] + mending])
        try follow.emit(2..<3)
        try waitUntil("the next is done") { follow.lines("out") == ["0", "2"] }
        #expect(try follow.stop(running).code == 0)
    }

    @Test("whose working directory isn't there says so, and not that its program is missing")
    func directory() throws {
        _ = try follow.script("hook", "echo $DUCC_LAYER >> out\n")
        try follow.emit(0..<1)
        let running = try follow.daemon(Follow.hook("exec", ["./hook"], "cwd: later, retry: {delay: 50ms}"))
        try waitUntil("it is said") { running.errorsSoFar.contains("cannot enter directory") }
        try Files.makeDirectories(follow.directory.path("later"))
        try waitUntil("it is done there") { follow.lines("later/out") == ["0"] }
        #expect(!running.errorsSoFar.contains("cannot run"))
        #expect(try follow.stop(running).code == 0)
    }

    @Test("that takes too long: its time is said as it was given", arguments: ["250ms", "1s"])
    func timeInWords(time: String) throws {
        _ = try follow.script("hook", "exec sleep 1000\n")
        try follow.emit(0..<1)
        let running = try follow.daemon(
            Follow.hook("exec", ["./hook"], "timeout: \(time), retry: {attempts: 1}"))
        let words = time.replacing("ms", with: " ms").replacing("1s", with: "1 s")
        try waitUntil("it is given up") { running.errorsSoFar.contains("not done after \(words), attempt 1") }
        #expect(try follow.stop(running).code == 0)
    }

    @Test(
        "of another user, like one of our own, may open as many files as the daemon might before it raised that"
    )
    func descriptors() throws {
        _ = try follow.script("hook", "ulimit -S -n >> $1\n")
        try follow.emit(0..<1)
        try follow.configure(
            "  - {name: a, exec: [./hook, a], from: start}\n"
                + "  - {name: b, exec: [./hook, b], from: start, user: nobody}\n")
        for name in ["a", "b"] { try follow.directory.write(name, "") }
        try runSuccessfully(
            "chmod", ["a+rwX", follow.directory.path, follow.directory.path("a"), follow.directory.path("b")])
        let running = try RunningCommand(
            "prlimit", ["--nofile=300:4000", Programs.follow, "run", follow.directory.path("follow.yaml")],
            directory: "/")
        try waitUntil("both are done") { follow.lines("a").count + follow.lines("b").count == 2 }
        #expect(follow.lines("a") == ["300"] && follow.lines("b") == ["300"])
        #expect(try follow.stop(running).code == 0)
    }

    /// What a shell, or a careless reader of words, would make something else of.
    static let oddValues = [
        "two words", " ", "", "'", "\"", "it's \"so\"", "a\nb\n", "\n", "$(touch owned)", "`touch owned`",
        "$HOME",
        "${HOME}", "*", "?", "[a-z]*", "~", "~root", ";touch owned", "&touch owned", "| touch owned",
        "> owned", "-rf", "--", "\\", "\\n", "%s%n", "{layer}", "{action", "#no", "!!", "a\tb",
        "\u{1}\u{1b}[31m",
        "äöü€", "\u{feff}", "a=b", "DUCC_LAYER=forged", "\\u0000",
    ]

    @Test(
        "gets each value as exactly one argument, variable and field, and nothing is interpreted by anybody")
    func values() throws {
        _ = try follow.script(
            "hook",
            #"cat >> lines; printf '%s\0' "$@" >> arguments; printf '%s\0' "$DUCC_TEXT" >> variables; echo >> done"#
                + "\n")
        let writer = try follow.writer()
        for value in Self.oddValues { writer.emit(.publishTest, [(.text, value), (.layer, "7")]) }
        let running = try follow.daemon(
            Follow.hook("exec", ["./hook", "{text}", "<{text}|{layer}>", "-"], "concurrency: 1"))
        try waitUntil("all are done") {
            ((try? text(of: follow.directory.path("done"))) ?? "").utf8.count == Self.oddValues.count
        }
        #expect(try follow.stop(running).code == 0)
        func words(_ name: String) throws -> [String] {
            try text(of: follow.directory.path(name)).split(separator: "\0", omittingEmptySubsequences: false)
                .dropLast().map(String.init)
        }
        #expect(try words("arguments") == Self.oddValues.flatMap { [$0, "<\($0)|7>", "-"] })
        #expect(try words("variables") == Self.oddValues)
        #expect(try text(of: follow.directory.path("lines")) == text(of: follow.path))
        #expect(!Files.exists(follow.directory.path("owned")))
    }

    @Test("gets no value with a NUL: the event is a dead letter at once, and the next one comes")
    func nul() throws {
        _ = try follow.script("hook", "echo $DUCC_LAYER >> out\n")
        let writer = try follow.writer()
        writer.emit(.publishTest, [(.layer, "0"), (.text, "a\0b")])
        writer.emit(.publishTest, [(.layer, "1")])
        let running = try follow.daemon(Follow.hook())
        try waitUntil("the next is done") { follow.lines("out").last == "1" }
        #expect(try follow.stop(running).code == 0)
        #expect(follow.lines("out") == ["1"])
        let letters = try follow.deadLetters()
        #expect(letters.count == 1 && letters[0].hasPrefix("0: a value has a NUL"), "\(letters)")
    }

    @Test(
        "or pipe hook with on_exhausted: stop stops at the event, and goes on with it when it is resumed",
        arguments: ["exec", "pipe"])
    func stops(kind: String) throws {
        if kind == "exec" {
            _ = try follow.script(
                "hook",
                "echo $DUCC_LAYER $DUCC_ATTEMPT >> tried; [ $DUCC_LAYER = 1 ] && [ ! -e mended ] && exit 3; echo $DUCC_LAYER >> hook.out\n"
            )
        } else {
            try follow.pipeHook(
                "hook",
                """
                open("tried", "a").write(event["layer"] + "\\n")
                        if event["layer"] == "1" and not os.path.exists("mended"): sys.exit(3)
                """)
        }
        try follow.emit(0..<3)
        let running = try follow.daemon(
            Follow.hook(kind, ["./hook"], "on_exhausted: stop, retry: {attempts: 2, delay: 20ms}"))
        func stops() -> Int {
            running.errorsSoFar.split(separator: "\n").count { $0.contains("the hook stops here") }
        }
        func tries() -> Int { follow.lines("tried").count { $0.hasPrefix("1") } }
        try waitUntil("it stops") { stops() == 1 }
        try follow.emit(3..<4)
        #expect(tries() == 2 && follow.lines("hook.out") == ["0"])
        // Not mended yet: it is tried, and stops again.
        #expect(try Support.run(Programs.follow, ["resume"] + follow.config + ["a"]).code == 0)
        try waitUntil("it stops once more") { stops() == 2 }
        #expect(tries() == 3 && follow.lines("hook.out") == ["0"])
        try follow.directory.write("mended", "")
        #expect(try Support.run(Programs.follow, ["resume"] + follow.config + ["a"]).code == 0)
        try waitUntil("all are done") { follow.lines("hook.out").count >= 4 }
        #expect(try follow.stop(running).code == 0)
        #expect(follow.lines("hook.out") == ["0", "1", "2", "3"])
        #expect(try follow.deadLetters().isEmpty)
    }
}
