// What ducc-follow prints, for whom, and how it ends.

import Glibc
import Notifications
import Platform
import Support
import Testing

struct OutputTests {
    let follow: Follow
    init() throws { follow = try Follow() }

    private func emitSome() throws {
        let writer = try follow.writer()
        let image = "registry.example.org/atlas/athena:25.0.1"
        let layer =
            fields(ofImage: image) + [(.layer, String(repeating: "1f", count: 32)), (.id, testIdentifier)]
        let time: (Field, String) = (.timeElapsedSeconds, "4.130000")
        writer.emit(.startDUCC)
        writer.emit(.startLayerConversion, layer)
        writer.emit(.endLayerConversion, layer + [(.status, "ok"), (.sizeBytes, "2127872"), time])
        writer.emit(.publishFlatImage, fields(ofFlatImage: image))
        writer.emit(
            .endImageConversion,
            fields(ofImage: "docker.io/cms/x\u{1b}[31m:1")
                + [(.id, testIdentifier), (.status, "error"), (.error, "manifest\nunknown"), time])
        writer.emit(.endDUCC, [(.timeElapsedSeconds, "9.000000")])
    }

    @Test("in a pipe the JSON lines come out unchanged")
    func json() throws {
        try emitSome()
        let result = try follow.run(["--no-follow"])
        #expect(result.code == 0 && result.errors == "")
        #expect(result.output == (try text(of: follow.path)))
    }

    @Test(
        "on a terminal each event is one line that fits, and nothing in it reaches the terminal",
        arguments: [40, 80, 200] as [UInt16])
    func human(columns: UInt16) throws {
        try emitSome()
        let terminal = try PseudoTerminal(columns: columns)
        let process = try ChildProcess.start(
            Programs.follow, [follow.path, "--no-follow"], environment: ["TERM=xterm"],
            output: terminal.descriptor)
        #expect(process.wait() == .exited(0))
        let written = terminal.written()
        var screen = Screen(columns: Int(columns))
        // Colours have no width on a screen.
        screen.write(written.replacing(/\x1b\[[0-9]+m/, with: ""))
        #expect(!screen.hasWrapped)
        #expect(screen.lines.filter { !$0.isEmpty }.count == 6)
        let lines = screen.text.split(separator: "\n")
        #expect(lines[3].contains("publish_flat_i") && lines[3].contains("5.0.1"))
        #expect(lines[4].contains("error"))
        #expect(written.contains("\u{1b}[32mpublish_flat_i"))
        #expect(written.contains("\u{1b}[31m"))
        #expect(!written.contains("x\u{1b}"))
        if columns >= 80 {
            #expect(lines[2].contains(" 2.1 MB   4.1 s ok"))
            #expect(lines[4].contains("error: manifest unk"))
        }
    }

    @Test("NO_COLOR is obeyed")
    func noColour() throws {
        try emitSome()
        let terminal = try PseudoTerminal(columns: 80)
        let process = try ChildProcess.start(
            Programs.follow, [follow.path, "--no-follow"], environment: ["TERM=xterm", "NO_COLOR=1"],
            output: terminal.descriptor)
        _ = process.wait()
        #expect(!terminal.written().contains("\u{1b}"))
    }

    @Test("--format says what the output is, wherever it goes")
    func format() throws {
        try emitSome()
        let human = try follow.run(["--no-follow", "--format", "human"])
        #expect(human.output.split(separator: "\n").count == 6 && !human.output.contains("{"))
        let terminal = try PseudoTerminal(columns: 80)
        let process = try ChildProcess.start(
            Programs.follow, [follow.path, "--no-follow", "--format", "json"], output: terminal.descriptor)
        _ = process.wait()
        #expect(terminal.written().replacing("\r\n", with: "\n") == (try text(of: follow.path)))
    }

    @Test(
        "filters: several of a kind are alternatives, different kinds must all match",
        arguments: [
            (["--action", "start_*"], 2), (["--action", "start_*", "--action", "end_ducc"], 3),
            (["--image", "*/atlas/*"], 3), (["--image", "*/atlas/*", "--action", "publish_*"], 1),
            (["--status", "error"], 1), (["--status", "ok", "--status", "error"], 2),
            (["--field", "layer=1f*"], 2), (["--field", "layer=1f*", "--field", "status=ok"], 1),
            (["--field", "layer=1?1?*", "--field", "layer=2"], 2), (["--field", "nonesuch=*"], 0),
            (["--image", "atlas"], 0), (["--action", "START_DUCC"], 0),
        ] as [([String], Int)])
    func filters(arguments: [String], count: Int) throws {
        try emitSome()
        let result = try follow.run(["--no-follow"] + arguments)
        #expect(result.code == 0)
        #expect(result.output.split(separator: "\n").count == count)
    }

    @Test("--lines takes the last that match; plain following begins with ten")
    func lastLines() throws {
        let writer = try follow.writer()
        for number in 1...30 {
            writer.emit(number % 2 == 0 ? .publishTest : .test, [(.layer, "\(number)")])
        }
        #expect(try layers(follow.run(["--no-follow", "--lines", "2"]).output) == ["29", "30"])
        #expect(
            try layers(follow.run(["--no-follow", "--lines", "2", "--action", "publish_*"]).output) == [
                "28", "30",
            ])
        #expect(try layers(follow.run(["--no-follow", "--lines", "0"]).output) == [])
        let running = try follow.start([])
        try waitUntil("ten lines") { running.outputSoFar.split(separator: "\n").count == 10 }
        #expect(try layers(running.outputSoFar).first == "21")
        writer.emit(.publishTest, [(.layer, "31")])
        try waitUntil("the new event") { try layers(running.outputSoFar).last == "31" }
    }

    @Test("no such stream: one clear line and exit code 66 with --no-follow, else it is waited for")
    func absent() throws {
        let result = try follow.run(["--no-follow"])
        #expect(result.code == 66 && result.output == "")
        #expect(result.errors == "ducc-follow: there is no stream \(follow.path)\n")
        let running = try follow.start([])
        try waitUntil("it says so") { running.errorsSoFar.contains("waiting") }
        try follow.writer().emit(.startDUCC)
        try waitUntil("the event") { running.outputSoFar.contains("start_ducc") }
        running.signal(SIGINT)
        let ended = try running.wait()
        #expect(ended.code == 130)
        #expect(ended.errors.split(separator: "\n").count == 1)
    }

    @Test(
        "a wrong command line is one line that says what, and exit code 64",
        arguments: [
            ["--bogus"], ["--lines", "x"], ["--lines=-1"], ["--status", "fine"], ["--format", "xml"],
            ["--field", "x"], ["--field", "=x"], ["--cursor", "a/b"], ["--timeout", "soon"],
            ["--attempts", "0"],
            ["--format", "json", "--exec", "true"], ["second-file"],
        ])
    func usage(arguments: [String]) throws {
        let result = try follow.run(arguments)
        #expect(result.code == 64 && result.output == "")
        let lines = result.errors.split(separator: "\n")
        #expect(lines.count == 2 && lines[0].hasPrefix("ducc-follow: "), "\(result.errors)")
    }

    @Test("--help is about ducc-follow, on standard output, exit code 0")
    func help() throws {
        let result = try run(Programs.follow, ["--help"])
        #expect(result.code == 0 && result.errors == "" && result.output.contains("USAGE: ducc-follow"))
    }

    @Test("a directory is no stream")
    func directory() throws {
        let result = try run(Programs.follow, [follow.directory.path])
        #expect(result.code == 66 && result.errors.contains("Is a directory"))
    }

    @Test("a reader that leaves ends it quietly")
    func brokenPipe() throws {
        try emitSome()
        var ends: [CInt] = [0, 0]
        try #require(pipe(&ends) == 0)
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let reading = OwnedDescriptor(raw: ends[0])
        let writing = OwnedDescriptor(raw: ends[1])
        let errors = try OwnedDescriptor(
            opening: follow.directory.path("errors"), O_WRONLY | O_CREAT, mode: 0o600)
        _ = consume reading
        let process = try ChildProcess.start(
            Programs.follow, [follow.path], output: writing.raw, errors: errors.raw)
        #expect(process.wait() == .exited(0))
        #expect(try text(of: follow.directory.path("errors")) == "")
    }

    @Test(
        "a signal ends it with 128 and the signal's number",
        arguments: [(SIGINT, 130), (SIGTERM, 143)] as [(CInt, CInt)])
    func signals(number: CInt, code: CInt) throws {
        try emitSome()
        let running = try follow.start([])
        try waitUntil("the events") { running.outputSoFar.split(separator: "\n").count == 6 }
        running.signal(number)
        let result = try running.wait(seconds: 10)
        #expect(result.code == code && result.errors == "")
    }

    @Test(
        "a command line with a mistake is exit code 64, and says where the command's help is",
        arguments: [
            (["--actoin", "x", "f"], "--action", "follow"), (["pause"], "<hook>", "pause"),
            (["status", "--max-lagg", "3"], "--max-lag", "status"), (["run"], "<follow.yaml>", "run"),
            (["cursor", "set", "a"], "--to", "cursor set"), (["dead", "shwo"], "shwo", "dead"),
        ])
    func usage(arguments: [String], mistake: String, command: String) throws {
        let result = try Support.run(Programs.follow, arguments, seconds: 5)
        #expect(result.code == 64 && result.output.isEmpty)
        let lines = result.errors.split(separator: "\n")
        #expect(lines.count == 2 && lines[0].contains(mistake), "\(lines)")
        #expect(lines[1].contains("ducc-follow \(command) --help"), "\(lines)")
    }

    @Test("torn and foreign lines are reported and stop nothing")
    func torn() throws {
        try follow.directory.write("notifications.log", "{\"action\":\"x\nkernel: oops\n{\"action\":\"y\"}\n")
        let result = try follow.run(["--no-follow"])
        #expect(result.code == 0 && result.output == "{\"action\":\"y\"}\n")
        #expect(result.errors.split(separator: "\n").count == 2)
    }

    @Test("the original DUCC's lines are printed as they are")
    func originalLines() throws {
        let line = "{\"action\":\"publish_layer\",\"layer\":\"16\",\"time\":\"24 Nov 2026 - 10:38:57.549\"}\n"
        try follow.directory.write("notifications.log", line)
        #expect(try follow.run(["--no-follow"]).output == line)
        #expect(
            try follow.run(["--no-follow", "--format", "human"]).output
                == "10:38:57  publish_layer           16\n")
    }
}
