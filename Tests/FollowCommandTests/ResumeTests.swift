// Killed and started again, rotated by the real logrotate: nothing lost, nothing told twice without a reason.

import Glibc
import Notifications
import Platform
import Support
import Synchronization
import Testing

struct ResumeTests {
    let follow: Follow
    init() throws { follow = try Follow() }

    /// Starts a thread that emits numbered events until it is stopped, and returns how to stop it.
    ///
    /// - Parameter pause: milliseconds after each ten events.
    private func startWriting(pause: CInt = 2) throws -> () -> Int {
        let writer = try follow.writer()
        let isDone = Atomic(false)
        let count = Atomic(0)
        // Both outlive the thread: it is joined before they go.
        let shared = Shared(isDone: isDone, count: count)
        let thread = try Threads.start {
            while !shared.isDone.load(ordering: .acquiring) {
                let number = shared.count.add(1, ordering: .relaxed).newValue
                writer.emit(.publishTest, [(.layer, "\(number)")])
                if number % 10 == 0 { poll(nil, 0, pause) }
            }
        }
        return {
            shared.isDone.store(true, ordering: .releasing)
            thread.join()
            return shared.count.load(ordering: .acquiring)
        }
    }

    private final class Shared: Sendable {
        let isDone: Atomic<Bool>
        let count: Atomic<Int>
        init(isDone: consuming Atomic<Bool>, count: consuming Atomic<Int>) {
            self.isDone = isDone
            self.count = count
        }
    }

    private func logrotate(_ options: String = "create 0644") throws {
        let configuration = try follow.directory.write(
            "logrotate.conf",
            """
            "\(follow.path)" {
                rotate 100
                \(options)
                \(geteuid() == 0 ? "su root root" : "")
            }
            """)
        try runSuccessfully(
            "logrotate", ["-f", "-s", follow.directory.path("logrotate.state"), configuration])
    }

    @Test("logrotate rotates while a writer writes and ducc-follow reads: every event once and in order")
    func rotation() throws {
        try follow.directory.write("notifications.log", "")
        let running = try follow.start(["--lines", "0"])
        let stop = try startWriting()
        for _ in 0..<TestScale.count(5, long: 30) {
            let before = running.outputSoFar.utf8.count
            try logrotate()
            // The documented pace: at least half a second between rotations.
            poll(nil, 0, 500)
            try waitUntil("events go on") { running.outputSoFar.utf8.count > before }
        }
        let count = stop()
        try waitUntil("all events") { running.outputSoFar.contains("\"layer\":\"\(count)\"") }
        running.signal(SIGTERM)
        let result = try running.wait()
        // Until the first line was printed the program may not have followed yet.
        let numbers = try layers(result.output).compactMap { Int($0) }
        #expect(numbers == Array((numbers.first ?? 0)...count))
        #expect(result.errors == "")
    }

    @Test("a cursor: killed at any instant and started again, no event is missing and few are repeated")
    func killed() throws {
        let hook = try follow.script("hook", "echo $DUCC_LAYER >> done\n")
        let arguments = ["--cursor", "c", "--exec", hook]
        // The first start records where the hook begins.
        let first = try follow.start(arguments)
        try waitUntil("it waits") { first.errorsSoFar.contains("waiting") }
        first.signal(SIGKILL)
        _ = try first.wait()
        // No faster than hooks are run on a busy machine: at the end all that is left must be done.
        let stop = try startWriting(pause: 100)
        let kills = TestScale.count(12, long: 100)
        for round in 0..<kills {
            let running = try follow.start(arguments)
            let before = follow.lines("done").count
            try waitUntil("the hook runs") { follow.lines("done").count > before + round % 7 }
            if round % 4 == 3 { try logrotate() }
            running.signal(SIGKILL)
            _ = try running.wait()
        }
        let count = stop()
        let result = try follow.start(["--no-follow"] + arguments).wait(seconds: 300)
        #expect(result.code == 0)
        // A hook that a killed program left behind may still be writing its line.
        try waitUntil("the last hook is done") { follow.lines("done").last == "\(count)" }
        let numbers = follow.lines("done").compactMap { Int($0) }
        #expect(Set(numbers) == Set(1...count))
        #expect(numbers.count - count <= kills, "\(numbers.count - count) repeated after \(kills) kills")
        var highest = 0
        for number in numbers {
            #expect(number <= highest + 1)
            highest = max(highest, number)
        }
    }

    @Test(
        "a cursor survives every kind of rotation while nobody follows",
        arguments: [
            "create 0644", "nocreate", "create 0644\ndateext\ndateformat -%Y%m%d-%s", "copytruncate",
        ])
    func rotatedMeanwhile(options: String) throws {
        let writer = try follow.writer()
        let arguments = ["--no-follow", "--cursor", "c"]
        func emit(_ numbers: ClosedRange<Int>) {
            for number in numbers { writer.emit(.publishTest, [(.layer, "\(number)")]) }
        }
        emit(1...5)
        #expect(try layers(follow.run(arguments).output) == ["1", "2", "3", "4", "5"])
        emit(6...7)
        try logrotate(options)
        if options == "nocreate" { try follow.directory.write("notifications.log", "") }
        emit(8...9)
        if !options.contains("dateext") { try logrotate(options) }
        if options == "nocreate" { try follow.directory.write("notifications.log", "") }
        emit(10...10)
        let result = try follow.run(arguments)
        #expect(try layers(result.output) == ["6", "7", "8", "9", "10"], "\(options)")
        #expect(try layers(follow.run(arguments).output) == [])
    }

    @Test("a filter's cursor also passes the events that aren't wanted")
    func filtered() throws {
        let writer = try follow.writer()
        let arguments = ["--no-follow", "--cursor", "c", "--field", "layer=1"]
        for number in 1...3 { writer.emit(.publishTest, [(.layer, "\(number)")]) }
        #expect(try layers(follow.run(arguments).output) == ["1"])
        let cursor = try text(of: follow.directory.path("state/ducc-follow/cursors/c.json"))
        #expect(cursor.contains("\"offset\":\(try text(of: follow.path).utf8.count)"))
    }

    @Test("two processes can't use one cursor: the second says so and ends with 69")
    func inUse() throws {
        let running = try follow.start(["--cursor", "c"])
        try waitUntil("it follows") { running.errorsSoFar.contains("waiting") }
        let second = try follow.run(["--cursor", "c"])
        #expect(second.code == 69 && second.errors.contains("in use"))
        #expect(try follow.run(["--no-follow", "--cursor", "d"]).code == 66)
    }

    @Test("--state says where cursors are; a place that can't be is one clear line and 78")
    func state() throws {
        try follow.writer().emit(.startDUCC)
        let state = follow.directory.path("elsewhere")
        #expect(try follow.run(["--no-follow", "--cursor", "c", "--state", state]).code == 0)
        #expect(Files.exists("\(state)/cursors/c.json"))
        let bad = try follow.run(["--no-follow", "--cursor", "c", "--state", "/dev/null/x"])
        #expect(bad.code == 78 && bad.errors.split(separator: "\n").count == 1)
    }

    @Test("the log's directory may come later, and go and come back")
    func directoryComesLater() throws {
        let nested = follow.directory.path("logs/notifications.log")
        let running = try RunningCommand(Programs.follow, [nested])
        try waitUntil("it waits") { running.errorsSoFar.contains("waiting") }
        for round in 1...3 {
            try Files.makeDirectories(follow.directory.path("logs"))
            try NotificationWriter(path: nested).emit(.publishTest, [(.layer, "\(round)")])
            try waitUntil("event \(round)") { try layers(running.outputSoFar) == (1...round).map { "\($0)" } }
            try Files.removeTree(follow.directory.path("logs"))
        }
    }
}
