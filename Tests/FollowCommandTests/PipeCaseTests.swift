// Programs that read events for long, and whose acknowledgements, or lack of them, are odd.

import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("A daemon's pipe hook")
struct PipeCaseTests {
    let follow: Follow
    init() throws { follow = try Follow() }

    /// Writes a hook: Python with `events()`, which notes each start and each event, `acknowledge` and `starts`, how
    /// often it was started before.
    private func hook(_ body: String) throws {
        try follow.directory.write(
            "hook",
            """
            #!/usr/bin/python3
            import json, os, signal, subprocess, sys, time

            def note(name, text):
                with open(name, "a") as file:
                    file.write(text + "\\n")

            def events():
                for line in sys.stdin:
                    event = json.loads(line)
                    note("out", event["layer"])
                    yield event

            def say(text):
                os.write(1, text.encode())

            def acknowledge(event):
                say(event["event_id"] + "\\n")

            starts = os.path.exists("starts") and open("starts").read().count("\\n")
            note("starts", str(os.getpid()))
            \(body)

            """, mode: 0o755)
    }

    /// A hook that does something odd before it is a good one.
    ///
    /// - Parameter odd: what it does with each event before it acknowledges it, or instead of that (`continue`).
    private func hook(each odd: String) throws {
        let lines = odd.split(separator: "\n").map { "    \($0)\n" }.joined()
        try hook("for event in events():\n\(lines)    acknowledge(event)\n")
    }

    private func daemon(_ further: String = "retry: {delay: 20ms}") throws -> RunningCommand {
        try follow.daemon(Follow.hook("pipe", ["./hook"], further))
    }

    private func wait(for layers: [String]) throws {
        try waitUntil("\(layers)") { follow.lines("out") == layers }
    }

    /// Ends the daemon once the cursor is behind everything.
    private func finish(_ running: RunningCommand) throws -> String {
        let size = try text(of: follow.path).utf8.count
        let cursor = follow.directory.path("state/cursors/a.json")
        try waitUntil("the cursor is at the end") { try text(of: cursor).contains("\"offset\":\(size)") }
        let result = try follow.stop(running)
        #expect(result.code == 0, "\(result.errors)")
        return result.errors
    }

    @Test("that acknowledges what it wasn't given, or gave back before, moves nothing")
    func foreign() throws {
        try hook(
            each: """
                if event["layer"] == "0": first = event
                if event["layer"] == "1" and starts == 0:
                    say("nonsense\\n\\n" + event["event_id"] + "0\\n")
                    acknowledge(first)
                    sys.exit(0)
                """)
        try follow.emit(0..<3)
        let running = try daemon()
        // The one at which it left comes again, and the first one does not.
        try wait(for: ["0", "1", "1", "2"])
        let log = try finish(running)
        let said = log.split(separator: "\n").filter { $0.contains("acknowledges what it doesn't have") }
        #expect(said.count == 4 && said[0].contains("nonsense"), "\(log)")
    }

    @Test(
        "that prints half a line has acknowledged nothing until the rest comes, and nothing if it never does")
    func halfLine() throws {
        try hook(
            each: """
                if event["layer"] == "1" and starts == 0:
                    say(event["event_id"])
                    sys.exit(0)
                if event["layer"] == "2":
                    say(event["event_id"][:10])
                    while not os.path.exists("go"): time.sleep(0.01)
                    say(event["event_id"][10:] + "\\n")
                    continue
                """)
        try follow.emit(0..<4)
        let running = try daemon()
        try wait(for: ["0", "1", "1", "2"])
        let before = try text(of: follow.directory.path("state/cursors/a.json"))
        #expect(!before.contains("\"offset\":\(try text(of: follow.path).utf8.count)"))
        try follow.directory.write("go", "")
        try wait(for: ["0", "1", "1", "2", "3"])
        #expect(try !finish(running).contains("acknowledges what"))
    }

    @Test(
        "that prints ten megabytes without a line feed costs no memory, and acknowledges nothing by their end"
    )
    func longLine() throws {
        try hook(
            each: """
                if event["layer"] == "1" and starts == 0:
                    for _ in range(10): say("x" * 1000000)
                    note("printed", "")
                    while not os.path.exists("go"): time.sleep(0.01)
                    acknowledge(event)
                    sys.exit(0)
                """)
        try follow.emit(0..<3)
        let running = try daemon()
        try waitUntil("it has printed") { Files.exists(follow.directory.path("printed")) }
        try waitUntil("that was read") { running.errorsSoFar.contains("printed a line that is no event_id") }
        let memory = try running.peakMemory()
        #expect(memory < 60 << 20, "\(memory)")
        try follow.directory.write("go", "")
        try wait(for: ["0", "1", "1", "2"])
        let log = try finish(running)
        #expect(log.split(separator: "\n").count { $0.contains("is no event_id") } == 1, "\(log)")
    }

    @Test(
        "that leaves without an acknowledgement gets the event again, then it is a dead letter, and the next one comes",
        arguments: [
            ("sys.exit(0)", "exit code 0"), ("sys.exit(3)", "exit code 3"), ("sys.exit(75)", "exit code 75"),
            ("os.kill(os.getpid(), signal.SIGKILL)", "signal 9"),
        ])
    func leaves(end: String, outcome: String) throws {
        try hook(each: "if event['layer'] == '1': \(end)")
        try follow.emit(0..<3)
        let running = try daemon("retry: {attempts: 3, delay: 20ms}")
        try wait(for: ["0", "1", "1", "1", "2"])
        _ = try finish(running)
        #expect(
            try follow.deadLetters() == ["1: " + Array(repeating: outcome, count: 3).joined(separator: ", ")])
    }

    @Test("that ends with 65 can't take the oldest event that it has: a dead letter at once")
    func dataError() throws {
        try hook(each: "if event['layer'] == '1': sys.exit(65)")
        try follow.emit(0..<3)
        let running = try daemon()
        try wait(for: ["0", "1", "2"])
        _ = try finish(running)
        #expect(try follow.deadLetters() == ["1: exit code 65"])
    }

    @Test("that leaves a process behind with its pipes open is started again all the same")
    func leftBehind() throws {
        try hook(
            each: """
                if event["layer"] == "1" and starts == 0:
                    note("child", str(subprocess.Popen(["sleep", "1000"]).pid))
                    sys.exit(3)
                """)
        try follow.emit(0..<3)
        let running = try daemon()
        defer { if let child = follow.process("child") { kill(child, SIGKILL) } }
        try wait(for: ["0", "1", "1", "2"])
        _ = try finish(running)
        #expect(follow.process("child").map(isRunning) == true)
    }

    /// What each program does that can't go on, and how many events there are.
    static let stuck = [
        // More than any pipe and buffer holds.
        ("while True: time.sleep(1)", 20_000),
        ("os.close(1)\nfor event in events(): pass", 3),
        ("next(events())\nos.close(0)\nwhile True: time.sleep(1)", 3),
        ("next(events())\nos.close(0)\nwhile True: time.sleep(1)", 20_000),
        ("for event in events(): pass", 3),
        ("signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: time.sleep(1)", 3),
    ]

    @Test(
        "that acknowledges nothing, whatever it does with its pipes, has its time and is begun anew, and no more is done for it meanwhile",
        arguments: stuck)
    func neverAcknowledges(body: String, count: Int) throws {
        let lines = body.split(separator: "\n").map { "    \($0)\n" }.joined()
        try hook("if starts == 0:\n\(lines)for event in events(): acknowledge(event)\n")
        try follow.emit(0..<count)
        let running = try daemon("timeout: 1s, retry: {delay: 20ms}")
        try waitUntil("it was begun") { follow.lines("starts").count == 1 }
        let before = try running.processorTime()
        try waitUntil("it is begun anew") { follow.lines("starts").count == 2 }
        let used = try running.processorTime() - before
        try waitUntil("it has them all") { follow.lines("out").last == "\(count - 1)" }
        let log = try finish(running)
        #expect(log.contains("not done after 1 s"), "\(log)")
        #expect(try follow.deadLetters().isEmpty)
        #expect(used < 0.6, "\(used) s of a processor, of 1")
    }

    @Test("that prints much on its standard error costs neither memory nor log")
    func errors() throws {
        try hook(each: "os.write(2, b'y' * 50_000_000)")
        let running = try daemon()
        let before = try running.peakMemory()
        try follow.emit(0..<1)
        try wait(for: ["0"])
        let log = try finish(running)
        #expect(log.utf8.count < 40_000)
        _ = before
    }

    @Test(
        "that is behind when the daemon ends gets no half line, but its end of file, and can finish what it has"
    )
    func stoppedBehind() throws {
        try hook(
            """
            while not os.path.exists('go'): time.sleep(0.01)
            for event in events(): pass
            acknowledge(event)
            note("end", "of file")
            """)
        try follow.emit(0..<5000)
        let running = try daemon()
        try waitUntil("it was begun") { follow.lines("starts").count == 1 }
        running.signal(SIGTERM)
        try follow.directory.write("go", "")
        let result = try running.wait(seconds: 20)
        #expect(result.code == 0 && follow.lines("end") == ["of file"], "\(result.errors)")
        let got = follow.lines("out")
        #expect(got.count > 100 && got == (0..<got.count).map { "\($0)" })
        // What it has acknowledged at its end does not come again.
        let again = try follow.daemon()
        try waitUntil("the others have come") { follow.lines("out").count == 5000 }
        #expect(try follow.stop(again).code == 0)
        #expect(follow.lines("out") == (0..<5000).map { "\($0)" })
    }

    @Test("that is paused while it has still to read something: the daemon rests")
    func paused() throws {
        try hook(
            "while not os.path.exists('go'): time.sleep(0.01)\nfor event in events(): acknowledge(event)\n")
        try follow.emit(0..<5000)
        let running = try daemon()
        try waitUntil("it was begun") { follow.lines("starts").count == 1 }
        #expect(try Support.run(Programs.follow, ["pause"] + follow.config + ["a"]).code == 0)
        try follow.directory.write("go", "")
        try waitUntil("it has what is in the pipe") { follow.lines("out").count > 100 }
        let before = try running.processorTime()
        poll(nil, 0, 1000)
        #expect(try running.processorTime() - before < 0.3)
        #expect(try Support.run(Programs.follow, ["resume"] + follow.config + ["a"]).code == 0)
        try waitUntil("it has them all") { follow.lines("out").last == "4999" }
        _ = try finish(running)
        #expect(follow.lines("starts").count == 1)
    }
}
