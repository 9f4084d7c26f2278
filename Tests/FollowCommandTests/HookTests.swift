// ducc-follow --exec: what a hook gets, and what becomes of its answer.

import Glibc
import Notifications
import Platform
import Support
import Testing

struct HookTests {
    let follow: Follow
    init() throws { follow = try Follow() }

    @Test("a hook gets the line on standard input, fields as arguments and variables, and nothing else")
    func inputs() throws {
        let hook = try follow.script(
            "hook", #"cat > line; printf '<%s>' "$@" > arguments; env | sort > environment"# + "\n")
        let running = try follow.start(
            [
                "--lines", "10", "--exec", hook, "--format", "{image}", "a{layer}b{nonesuch}", "{}", "{X}",
                "{error",
            ],
            environment: ["SECRET": "x", "LANG": "C.UTF-8", "HOME": "/h"])
        try follow.writer().emit(
            .publishTest,
            [
                (.image, "$(touch owned) `id` \"q\" 'p' {layer}\nsecond line"), (.layer, "7"),
                (Field(rawValue: "Odd-Name"), "x"), (Field(rawValue: "attempt"), "forged"),
            ])
        try waitUntil("the hook has run") { !follow.lines("environment").isEmpty }
        running.signal(SIGTERM)
        #expect(try running.wait().code == 143)
        #expect(try text(of: follow.directory.path("line")) == (try text(of: follow.path)))
        #expect(
            try text(of: follow.directory.path("arguments"))
                == "<--format><$(touch owned) `id` \"q\" 'p' {layer}\nsecond line><a7b><{}><{X}><{error>")
        #expect(!Files.exists(follow.directory.path("owned")))
        let environment = follow.lines("environment")
        let names = Set(environment.compactMap { $0.split(separator: "=").first.map(String.init) })
        #expect(environment.contains("DUCC_ACTION=publish_test"))
        #expect(environment.contains("DUCC_ATTEMPT=1") && environment.contains("DUCC_HOOK=hook"))
        #expect(environment.contains("HOME=/h") && environment.contains("LANG=C.UTF-8"))
        #expect(names.contains("PATH") && names.contains("DUCC_EVENT_ID") && names.contains("DUCC_CHECK"))
        #expect(!names.contains("SECRET") && !names.contains { $0.contains("ODD") })
    }

    @Test("without a cursor it begins at the end, and at the beginning of a file that appears later")
    func start() throws {
        let hook = try follow.script("hook", "echo $DUCC_LAYER >> done\n")
        let writer = try follow.writer()
        writer.emit(.publishTest, [(.layer, "old")])
        let running = try follow.start(["--exec", "./hook"])
        // Ready once it looks: only then does an event count as new.
        try waitUntil("it follows") {
            writer.emit(.publishTest, [(.layer, "new")])
            return !follow.lines("done").isEmpty
        }
        #expect(Set(follow.lines("done")) == ["new"])
        running.signal(SIGTERM)
        _ = try running.wait()

        let later = try Follow()
        let second = try later.start(["--exec", hook])
        try waitUntil("it waits") { second.errorsSoFar.contains("waiting") }
        let lateWriter = try later.writer()
        for number in 1...3 { lateWriter.emit(.publishTest, [(.layer, "\(number)")]) }
        try waitUntil("all three") { later.lines("done").count == 3 }
        #expect(later.lines("done") == ["1", "2", "3"])
    }

    @Test("a hook that fails is run again, with the attempt's number, and then the next event comes")
    func retry() throws {
        let hook = try follow.script(
            "hook",
            "echo $DUCC_LAYER $DUCC_ATTEMPT >> done\n[ $DUCC_LAYER = 2 ] || exit 0\n[ $DUCC_ATTEMPT -ge 3 ]\n"
        )
        let writer = try follow.writer()
        for number in 1...3 { writer.emit(.publishTest, [(.layer, "\(number)")]) }
        let result = try follow.run(["--no-follow", "--exec", hook])
        #expect(result.code == 0)
        #expect(follow.lines("done") == ["1 1", "2 1", "2 2", "2 3", "3 1"])
        #expect(
            result.errors.contains("exit code 1") && result.errors.contains("attempt 1 of 8; again in 1 s"))
        #expect(result.errors.contains("again in 2 s"))
    }

    @Test(
        "after the last attempt, and at once after 65, the event is reported in full and the next one comes")
    func givenUp() throws {
        let hook = try follow.script(
            "hook",
            "echo $DUCC_LAYER $DUCC_ATTEMPT >> done\ncase $DUCC_LAYER in 1) exit 65;; 2) exit 75;; esac\n")
        let writer = try follow.writer()
        for number in 1...3 { writer.emit(.publishTest, [(.layer, "\(number)")]) }
        let result = try follow.run(["--no-follow", "--attempts", "2", "--exec", hook])
        #expect(result.code == 0)
        #expect(follow.lines("done") == ["1 1", "2 1", "2 2", "3 1"])
        let given = result.errors.split(separator: "\n").filter { $0.contains("giving up") }
        #expect(given.count == 2)
        #expect(given[0].contains("exit code 65") && given[0].contains("\"layer\":\"1\""))
        #expect(given[1].contains("exit code 75, attempt 2") && given[1].contains("\"layer\":\"2\""))
    }

    @Test("a hook that takes too long is ended with everything it started, SIGTERM ignored or not")
    func timeout() throws {
        let hook = try follow.script(
            "hook",
            "exec > /dev/null 2>&1\ntrap '' TERM\necho $$ >> done\nsleep 300 &\necho $! >> done\nwait\nsleep 300\n"
        )
        try follow.writer().emit(.publishTest, [(.layer, "1")])
        let begin = MonotonicClock.nanoseconds()
        let result = try follow.run(["--no-follow", "--attempts", "1", "--timeout", "1s", "--exec", hook])
        let seconds = Double(MonotonicClock.nanoseconds() - begin) / 1e9
        #expect(result.code == 0 && seconds >= 6 && seconds < 15)
        #expect(result.errors.contains("not done after 1 s"))
        for process in follow.lines("done").compactMap({ pid_t($0) }) {
            try waitUntil("\(process) is gone") { kill(process, 0) != 0 || isDead(process) }
        }
    }

    /// Whether a process is only waiting to be collected.
    private func isDead(_ process: pid_t) -> Bool {
        ((try? text(of: "/proc/\(process)/stat")) ?? ") Z").contains(") Z")
    }

    @Test("a hook that reads nothing, closes its input or prints much stops nobody")
    func oddHooks() throws {
        let hook = try follow.script(
            "hook", "exec <&-\nhead -c 3000000 /dev/zero | tr '\\0' x\necho\necho $DUCC_LAYER >> done\n")
        let writer = try follow.writer()
        for number in 1...3 {
            writer.emit(
                .publishTest, [(.layer, "\(number)"), (.error, String(repeating: "e", count: 60_000))])
        }
        let result = try follow.run(["--no-follow", "--exec", hook])
        #expect(result.code == 0 && result.output.utf8.count == 9_000_003)
        #expect(follow.lines("done") == ["1", "2", "3"])
    }

    @Test(
        "a program that can't be run is said before anything is followed",
        arguments: ["./nonesuch", "/etc/passwd", "nonesuch-program", "/tmp"])
    func noProgram(program: String) throws {
        try follow.writer().emit(.publishTest)
        let result = try follow.run(["--no-follow", "--exec", program])
        #expect(result.code == 78)
        #expect(result.errors.hasPrefix("ducc-follow: cannot run \(program): "))
        #expect(result.errors.split(separator: "\n").count == 1)
    }

    @Test("a line of the original DUCC comes with its identifier and time like any other")
    func originalLine() throws {
        let line = "{\"action\":\"publish_layer\",\"pid\":\"1\",\"time\":\" 3 Nov 2026 - 08:05:02.120\"}"
        try follow.directory.write("notifications.log", line + "\n")
        let hook = try follow.script(
            "hook", "echo \"$DUCC_EVENT_ID $DUCC_TIMESTAMP $1\" >>'\(follow.directory.path("out"))'\n")
        let result = try RunningCommand(
            Programs.follow,
            [follow.path, "--no-follow", "--exec", hook, "{event_id}"],
            environment: ["XDG_STATE_HOME": follow.directory.path("state"), "TZ": "UTC"]
        ).wait(seconds: 30)
        #expect(result.code == 0, "\(result.errors)")
        let words = follow.lines("out").first?.split(separator: " ").map(String.init) ?? []
        #expect(words.count == 3 && words[0].hasPrefix("line:") && words[2] == words[0])
        #expect(words.dropFirst().first == "2026-11-03T08:05:02.120000000Z")
    }

    @Test("what a hook started has its time to end too")
    func grandchildren() throws {
        let log = follow.directory.path("cleanup")
        let hook = try follow.script(
            "hook",
            """
            sh -c 'trap "sleep 0.5; echo done >>\(log); exit" TERM; echo begin >>\(log); while :; do sleep 0.1; done' &
            wait
            """)
        try follow.writer().emit(.startDUCC)
        _ = try follow.run(["--no-follow", "--attempts", "1", "--timeout", "1s", "--exec", hook])
        #expect(follow.lines("cleanup") == ["begin", "done"])
    }

    @Test("a value with a NUL is reported, not cut")
    func nul() throws {
        let hook = try follow.script("hook", "echo $DUCC_LAYER >> done\n")
        let writer = try follow.writer()
        writer.emit(.publishTest, [(.layer, "a\0b")])
        writer.emit(.publishTest, [(.layer, "c")])
        let result = try follow.run(["--no-follow", "--exec", hook])
        #expect(result.errors.contains("NUL") && follow.lines("done") == ["c"])
    }

    @Test("a signal lets the running hook finish, and nothing new begins")
    func interrupted() throws {
        let hook = try follow.script(
            "hook",
            "echo begin $DUCC_LAYER >> done\nwhile [ ! -e go ]; do sleep 0.02; done\necho end >> done\n")
        let writer = try follow.writer()
        for number in 1...2 { writer.emit(.publishTest, [(.layer, "\(number)")]) }
        let running = try follow.start(["--lines", "2", "--cursor", "c", "--exec", hook])
        try waitUntil("the hook runs") { follow.lines("done") == ["begin 1"] }
        running.signal(SIGINT)
        try waitUntil("it says that it waits") { running.errorsSoFar.contains("stopping") }
        try follow.directory.write("go", "")
        #expect(try running.wait().code == 130)
        #expect(follow.lines("done") == ["begin 1", "end"])
        // What was acknowledged is not repeated, what wasn't comes.
        #expect(try follow.run(["--no-follow", "--cursor", "c", "--exec", hook]).code == 0)
        #expect(follow.lines("done") == ["begin 1", "end", "begin 2", "end"])
    }

    @Test("a signal while a failed hook waits for its next attempt: the event comes again the next time")
    func interruptedBetweenAttempts() throws {
        let hook = try follow.script("hook", "echo $DUCC_LAYER >> done\n[ -e go ]\n")
        let writer = try follow.writer()
        writer.emit(.publishTest, [(.layer, "1")])
        let running = try follow.start(["--lines", "1", "--cursor", "c", "--exec", hook])
        try waitUntil("it failed") { running.errorsSoFar.contains("again in") }
        running.signal(SIGTERM)
        #expect(try running.wait(seconds: 5).code == 143)
        try follow.directory.write("go", "")
        #expect(try follow.run(["--no-follow", "--cursor", "c", "--exec", hook]).code == 0)
        #expect(follow.lines("done") == ["1", "1"])
    }

    @Test("consumers/announce says which image is where, once for each")
    func announce() throws {
        let hook = "\(Programs.root)/consumers/announce/hook"
        let writer = try follow.writer()
        writer.emit(.startDUCC)
        let identifiers = ["athena:25.0.1", "with space & $(touch owned):1"].map { name in
            writer.emit(.publishFlatImage, fields(ofFlatImage: "example.org/\(name)"))
        }
        writer.end()
        let arguments = [
            "--no-follow", "--cursor", "announce", "--action", "publish_flat_image", "--exec", hook,
        ]
        for _ in 0..<2 { #expect(try follow.run(arguments + ["announcements.txt"]).code == 0) }
        let said = follow.lines("announcements.txt")
        #expect(said.count == 2)
        #expect(
            said[0].hasPrefix(
                "example.org/athena:25.0.1 is now at software.example.org/example.org/athena:25.0.1 (published 20"
            ))
        #expect(said[0].hasSuffix("event \(identifiers[0]))"))
        #expect(said[1].contains("with space & $(touch owned):1 is now at"))
        #expect(!Files.exists(follow.directory.path("owned")))
        // Without a file's name the announcement is printed.
        let printed = try follow.run(["--no-follow", "--lines", "1", "--action", "publish_*", "--exec", hook])
        #expect(printed.output == said[1] + "\n")
    }
}
