// Dead letters, and what commands ask of a daemon, where there are many of them or something is in the way.

import FoundationEssentials
import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("Dead letters")
struct DeadLetterTests {
    let follow: Follow

    init() throws { follow = try Follow() }

    private static let hook = "  - {name: a, exec: [./hook], from: start, retry: {attempts: 1}}\n"

    private func dead(_ arguments: String...) throws -> CommandResult {
        try Support.run(Programs.follow, ["dead", arguments[0], "a"] + follow.config + arguments.dropFirst())
    }

    /// The identifiers of the dead letters.
    private func identifiers() throws -> [String] {
        try dead("list").output.split(separator: "\n").compactMap {
            $0.split(separator: " ").dropFirst().first.map(String.init)
        }
    }

    /// What `list` says of a dead letter that isn't one, and more of them than fit a request by their names.
    private func write(letters count: Int) throws {
        let long = String(repeating: "x", count: 400)
        let lines = (0..<count).map { number in
            let line = #"{"action":"test","event_id":"\#(long):\#(number)","layer":"\#(number)"}"#
            return #"{"event_id":"\#(long):\#(number)","hook":"a","event":{"layer":"\#(number)"},"#
                + #""attempts":[{"time":"t","outcome":"o"}],"line":""#
                + line.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\\\"")
                + "\"}"
        }
        try follow.directory.write("state/dead/a.jsonl", lines.joined(separator: "\n") + "\n")
    }

    @Test("thousands are delivered once more, each once, while other hooks go on; and are dropped")
    func many() throws {
        let count = TestScale.count(4000, long: 30_000)
        try write(letters: count)
        try follow.pipeHook("hook")
        _ = try follow.script("other", "echo $DUCC_LAYER >> other.out\n")
        let running = try follow.daemon(
            "  - {name: a, pipe: [./hook]}\n  - {name: b, exec: [./other], from: start}\n")
        let commands = [try dead("replay", "--all"), try dead("replay", "--all")]
        #expect(commands.map(\.code) == [0, 0], "\(commands.map(\.errors))")
        try follow.emit(0..<1)
        try waitUntil("the other hook is told", seconds: 5) { follow.lines("other.out") == ["0"] }
        try waitUntil("all are delivered") { follow.lines("hook.out").count >= count }
        try waitUntil("all have left") { try dead("list").output.isEmpty }
        // Those of the two requests, and the stream's event, which came while they were delivered or after.
        #expect(follow.lines("hook.out").count == count + 1)
        #expect(Set(follow.lines("hook.out")).count == count)
        try write(letters: count)
        #expect(try dead("drop", "--all").code == 0)
        #expect(try dead("list").output.isEmpty)
        #expect(try follow.stop(running).code == 0)
    }

    @Test("those that wait to be delivered once more still do after a reload")
    func reloaded() throws {
        let count = 400
        try write(letters: count)
        _ = try follow.script("hook", "[ -e go ] || exit 75; echo $DUCC_LAYER >> out\n")
        let hook = "  - {name: a, exec: [./hook], concurrency: 4, retry: {attempts: 1000, max_delay: 10ms}"
        let running = try follow.daemon(hook + "}\n")
        #expect(try dead("replay", "--all").code == 0)
        try follow.configure(hook + ", env: {X: y}}\n")
        try follow.reload(running)
        try follow.directory.write("go", "")
        try waitUntil("all are delivered") { Set(follow.lines("out")).count == count }
        #expect(try follow.stop(running).code == 0)
        #expect(try dead("list").output.isEmpty)
        #expect(follow.lines("out").count == count)
    }

    @Test("a line of the original DUCC comes back as the event it was, and two that are equal stay two")
    func original() throws {
        let original = #"{"time":" 3 Nov 2026 - 08:05:02.120","action":"publish_layer"}"#
        try follow.directory.write("notifications.log", "\(original)\n\(original)\n\(original)\n")
        _ = try follow.script(
            "hook", "echo $DUCC_EVENT_ID >> out; [ -e mended ] || exit 65; mkdir once || exit 0; exit 65\n")
        let running = try follow.daemon(Self.hook)
        try waitUntil("all are given up") { try identifiers().count == 3 }
        let told = follow.lines("out")
        #expect(try identifiers() == told && Set(told).count == 3)
        try follow.directory.write("mended", "")
        #expect(try dead("replay", "--all").code == 0)
        try waitUntil("all came back") { follow.lines("out").count == 6 }
        #expect(Array(follow.lines("out").dropFirst(3)) == told)
        #expect(try follow.stop(running).code == 0)
        #expect(try identifiers() == [told[0]], "one failed again")
    }

    @Test("status is 2 where they can't be read")
    func unreadable() throws {
        _ = try follow.script("hook", "exit 0\n")
        #expect(try follow.stop(try follow.daemon(Self.hook)).code == 0)
        let status = ["status", "--max-dead", "0"] + follow.config
        #expect(try Support.run(Programs.follow, status).code == 0)
        try Files.makeDirectories(follow.directory.path("state/dead/a.jsonl"))
        #expect(try Support.run(Programs.follow, status).code == 2)
    }

    @Test("what is none is left alone, and not counted")
    func foreign() throws {
        _ = try follow.script("hook", "exit 0\n")
        #expect(try follow.stop(try follow.daemon(Self.hook)).code == 0)
        try write(letters: 3)
        let path = follow.directory.path("state/dead/a.jsonl")
        let letters = try text(of: path)
        let torn = #"{"event_id":"x","attempts":[{"outc"#
        try follow.directory.write("state/dead/a.jsonl", "a note\n\(letters)\(torn)")
        #expect(try identifiers().count == 3)
        let status = ["status", "--json"] + follow.config
        #expect(try runSuccessfully(Programs.follow, status).contains(#""dead":3,"#))
        #expect(try dead("drop", "--all").code == 0)
        #expect(try text(of: path) == "a note\n\(torn)\n")
        #expect(try runSuccessfully(Programs.follow, status).contains(#""dead":0,"#))
    }

    @Test("a command that is interrupted takes its request back")
    func interrupted() throws {
        _ = try follow.script("hook", "exit 0\n")
        let running = try follow.daemon(Self.hook)
        running.signal(SIGSTOP)
        let command = try RunningCommand(Programs.follow, ["pause", "a"] + follow.config)
        let requests = follow.directory.path("state/requests")
        try waitUntil("it has asked") {
            try DirectoryEntry.names(in: requests).contains { $0.hasSuffix(".json") }
        }
        command.signal(SIGINT)
        #expect(try command.wait(seconds: 10).code == 128 + SIGINT)
        #expect(try DirectoryEntry.names(in: requests).isEmpty)
        running.signal(SIGCONT)
        #expect(try follow.stop(running).code == 0)
        #expect(!Files.exists(follow.directory.path("state/paused/a")))
    }

    @Test("a request that can't be understood is answered")
    func nonsense() throws {
        _ = try follow.script("hook", "exit 0\n")
        let running = try follow.daemon(Self.hook)
        try follow.directory.write("state/requests/x.json", "{}")
        let answer = follow.directory.path("state/requests/x.answer")
        try waitUntil("it is answered") { Files.exists(answer) }
        #expect(try text(of: answer).contains("error"))
        #expect(try follow.stop(running).code == 0)
    }

    @Test("a daemon clears away what nobody waits for any more, and nothing else")
    func leftovers() throws {
        let old = [
            "requests/1.answer", "requests/2.json", "requests/3.json.ab12.tmp", "dead/a.jsonl.ab12.tmp",
            "status/a.json.ab12.tmp", "paused/b.ab12.tmp",
        ]
        let others = ["requests/4.answer", "requests/5.json.ab12.tmp", "dead/a.jsonl", "paused/b"]
        for name in old + others { try follow.directory.write("state/\(name)", "") }
        for name in old where name.hasPrefix("requests") {
            try runSuccessfully("touch", ["-d", "1 hour ago", follow.directory.path("state/\(name)")])
        }
        _ = try follow.script("hook", "exit 0\n")
        let running = try follow.daemon(Self.hook)
        #expect(old.filter { Files.exists(follow.directory.path("state/\($0)")) }.isEmpty)
        #expect(others.filter { !Files.exists(follow.directory.path("state/\($0)")) }.isEmpty)
        #expect(try follow.stop(running).code == 0)
    }

    @Test("what was done beyond the cursor of one file says nothing of another")
    func doneElsewhere() throws {
        try follow.emit(0..<2)
        #expect(rename(follow.path, "\(follow.path).1") == 0)
        try follow.emit(0..<2)
        _ = try follow.script("hook", "exit 0\n")
        try follow.configure(Self.hook)
        let files = try ["notifications.log.1", "notifications.log"].map { name in
            let bytes = try Files.read(follow.directory.path(name))
            let first = bytes.prefix { $0 != UInt8(ascii: "\n") }
            let done = name.hasSuffix("1") ? #","done":[\#(bytes.count)]"# : ""
            return #"{"fingerprint":"\#(LineIdentity.fileFingerprint(firstLine: first))","inode":0,"#
                + #""offset":0,"name":"\#(name)"\#(done)}"#
        }
        try follow.directory.write(
            "state/cursors/a.json", #"{"version":1,"files":[\#(files.joined(separator: ","))]}"#)
        let status = ["status", "--json"] + follow.config
        #expect(try runSuccessfully(Programs.follow, status).contains(#""events":3,"#))
    }
}
