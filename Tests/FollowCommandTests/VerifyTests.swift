// `ducc-follow verify` on streams that real writers wrote and the real logrotate rotated.

import Glibc
import Notifications
import Platform
import Support
import Synchronization
import Testing

struct VerifyTests {
    let directory: TemporaryDirectory
    let path: String

    init() throws {
        directory = try TemporaryDirectory()
        path = directory.path("notifications.log")
    }

    private func verify(_ more: [String] = []) throws -> CommandResult {
        try run(Programs.follow, ["verify", path] + more)
    }

    private func names() throws -> [String] {
        try DirectoryEntry.names(in: directory.path).filter { $0.hasPrefix("notifications.log") }
    }

    /// A run of so many events, in one process's life.
    private func emitRun(_ count: Int = 6) throws {
        let writer = try NotificationWriter(path: path, sync: .none)
        writer.emit(.startDUCC)
        for number in 0..<count - 2 { writer.emit(.publishTest, [(.layer, "\(number)")]) }
        writer.end()
    }

    /// One run over this many files: events, a rotation, events …
    private func emitAcross(_ rotation: Rotation, files: Int, inEach: Int = 3) throws {
        let writer = try NotificationWriter(path: path, sync: .none)
        writer.emit(.startDUCC)
        for file in 0..<files {
            if file > 0 { try rotation.rotate() }
            for number in 0..<inEach { writer.emit(.publishTest, [(.layer, "\(file).\(number)")]) }
        }
        writer.end()
    }

    /// A file's lines, changed.
    private func change(_ name: String, _ change: (inout [String]) -> Void) throws {
        var lines = try text(of: directory.path(name)).split(separator: "\n").map(String.init)
        change(&lines)
        try directory.write(name, lines.map { $0 + "\n" }.joined())
    }

    @Test(
        "says one line about a healthy stream of several writers, whatever logrotate makes of it",
        arguments: [
            "create 0640", "create 0640\ndateext\ndateformat -%Y%m%d-%s",
            "create 0640\ncompress\ndelaycompress",
            "create 0640\ncompress\ndelaycompress\ncompresscmd /usr/bin/xz\ncompressext .xz",
            "create 0640\ncompress\ndelaycompress\ncompresscmd /usr/bin/zstd\ncompressext .zst\ncompressoptions -q --rm",
            "create 0640\ncompress\ndelaycompress\ncompresscmd /usr/bin/bzip2\ncompressext .bz2",
            "nocreate",
        ])
    func healthy(rule: String) throws {
        let rotation = try Rotation(path, in: directory, rule: "rotate 100\n\(rule)")
        let writers = try (0..<3).map { _ in
            try RunningCommand(Programs.emitter, [path, "--count", "2000", "--rate", "800"])
        }
        let writer = try NotificationWriter(path: path, sync: .none)
        var count = 0
        func emit(_ action: Action) {
            writer.emit(action)
            count += 1
        }
        emit(.startDUCC)
        for _ in 0..<3 {
            try rotation.rotate()
            // The documented pace: half a second between rotations, and a second for names made of seconds.
            poll(nil, 0, rule.contains("dateext") ? 1100 : 500)
            try waitUntil("there is a file again") {
                emit(.publishTest)
                return Files.exists(path)
            }
        }
        writer.end()
        count += 1
        for writer in writers { #expect(try writer.wait().code == 0) }
        let result = try verify()
        #expect(
            result.output
                == "\(path): \(try names().count) files, \(6_000 + count) events of 4 runs: nothing is wrong\n"
        )
        #expect(result.code == 0 && result.errors == "")
        #expect(try names().count >= 4)
    }

    @Test("a run that goes over files with numbers up to 12 is in order")
    func manyNumbers() throws {
        try emitAcross(try Rotation(path, in: directory, rule: "rotate 100\ncreate"), files: 13)
        #expect(try names().contains("notifications.log.12"))
        let result = try verify()
        #expect(result.code == 0, "\(result.output)")
    }

    @Test("a rotated file that is missing is named, and what is missing with it")
    func missingFile() throws {
        try emitAcross(
            try Rotation(path, in: directory, rule: "rotate 9\ncreate\ncompress\ndelaycompress"), files: 4)
        unlink(directory.path("notifications.log.2.gz"))
        let result = try verify()
        let lines = result.output.split(separator: "\n")
        try #require(result.code == 1 && lines.count == 3, "\(result.output)")
        #expect(lines[0] == "\(path).1: notifications.log.2, which comes before it, is missing")
        #expect(lines[1].contains("seq 5 to 7 are missing where notifications.log.2 is missing"))
        #expect(lines[2].hasSuffix("3 files, 11 events of 1 run: 2 findings"))
    }

    @Test("the newest rotated file that is missing is named too")
    func newestMissing() throws {
        try emitAcross(try Rotation(path, in: directory, rule: "rotate 9\ncreate"), files: 3)
        unlink(directory.path("notifications.log.1"))
        let result = try verify()
        #expect(result.code == 1)
        #expect(result.output.contains("\(path): notifications.log.1, which comes before it, is missing\n"))
    }

    @Test("what copytruncate loses is named as that")
    func copytruncate() throws {
        let writer = try NotificationWriter(path: path, sync: .none)
        writer.emit(.startDUCC)
        writer.emit(.publishTest)
        // As logrotate does it, with an event between the copy and the truncation.
        try directory.write("notifications.log.1", try text(of: path))
        writer.emit(.publishTest)
        #expect(truncate(path, 0) == 0)
        writer.end()
        let result = try verify()
        #expect(
            result.output.hasPrefix(
                "\(path):1: run \(writer.runIdentifier): seq 3 is missing at the change from \(path).1"
                    + " (copytruncate"), "\(result.output)")
        #expect(result.code == 1 && result.output.hasSuffix("1 finding\n"))
    }

    @Test("what the real logrotate's copytruncate loses between copy and truncation is named as that")
    func realCopytruncate() throws {
        let slow = try Interposed(
            """
            int ftruncate(int descriptor, off_t length) {
                int (*next)(int, off_t) = dlsym(RTLD_NEXT, "ftruncate");
                usleep(200000);
                return next(descriptor, length);
            }
            int ftruncate64(int descriptor, off64_t length) { return ftruncate(descriptor, length); }
            """, in: directory)
        let rotation = try Rotation(path, in: directory, rule: "rotate 9\ncopytruncate")
        let writer = try RunningCommand(Programs.emitter, [path, "--count", "1500", "--rate", "1000"])
        try waitUntil("there are events") { (try? text(of: path).isEmpty) == false }
        for _ in 0..<2 { try rotation.rotate(environment: slow.environment) }
        #expect(try writer.wait().code == 0)
        let result = try verify()
        let lines = result.output.split(separator: "\n")
        try #require(result.code == 1 && lines.count == 3, "\(result.output)")
        var missing = 0
        for (line, older) in zip(lines, ["2", "1"]) {
            let match = try #require(
                line.firstMatch(
                    of:
                        /seq ([0-9]+) to ([0-9]+) are missing at the change from .*\.([12]) \(copytruncate leaves/
                ))
            #expect(match.3 == older)
            missing += try #require(Int(match.2)) - #require(Int(match.1)) + 1
        }
        #expect(missing > 100)
        #expect(lines[2] == "\(path): 3 files, \(1_500 - missing) events of 1 run: 2 findings")
    }

    @Test("a finding in a compressed file names that file, the line and the run")
    func inCompressed() throws {
        try emitRun()
        try change("notifications.log") { $0.remove(at: 2) }
        let run = try #require(
            Event(line: Array(try text(of: path).prefix { $0 != "\n" }.utf8))[.runIdentifier])
        try runSuccessfully("gzip", [path])
        rename(path + ".gz", path + ".1.gz")
        let result = try verify()
        #expect(
            result.output.hasPrefix(
                "\(path).1.gz:3: run \(run): seq 3 is missing before this line, and not declared lost\n"))
        #expect(result.code == 1)
    }

    @Test("a file beside a half-written compressed one of it counts once")
    func halfCompressed() throws {
        try emitAcross(try Rotation(path, in: directory, rule: "rotate 9\ncreate"), files: 2)
        try directory.write(
            "notifications.log.1.gz",
            Array(
                try Compression.gzip.apply(try Files.read(directory.path("notifications.log.1"))).prefix(99)))
        let result = try verify()
        #expect(result.code == 0 && result.output.contains("2 files"), "\(result.output)")
        unlink(directory.path("notifications.log.1"))
        let alone = try verify()
        #expect(
            alone.code == 1 && alone.output.contains("1.gz: the file cannot be read on: gzip data is cut"))
    }

    @Test("logrotate's backup of a file that it found in its way is put where it belongs by its time")
    func backup() throws {
        let writer = try NotificationWriter(path: path, sync: .none)
        for name in ["notifications.log.2", "notifications.log-20261124.backup", "notifications.log.1", ""] {
            for _ in 0..<3 { writer.emit(.publishTest) }
            if name.isEmpty { continue }
            rename(path, directory.path(name))
            try directory.write("notifications.log", "")
        }
        let result = try verify()
        #expect(result.code == 0 && result.output.contains("4 files, 12 events"), "\(result.output)")
    }

    @Test("rotated files in another directory are found with --olddir")
    func olddir() throws {
        let old = directory.path("old")
        try Files.makeDirectories(old)
        try emitAcross(
            try Rotation(
                path, in: directory, rule: "rotate 9\ncreate\nolddir \(old)\ncompress\ndelaycompress"),
            files: 3)
        #expect(try verify().code == 1)
        let result = try verify(["--olddir", old])
        #expect(result.code == 0 && result.output.contains("3 files"), "\(result.output)")
        #expect(try verify(["--olddir", old + "x"]).code == 64)
    }

    @Test("no such stream: 66; no file named: 64; rotated files alone are a stream")
    func exitCodes() throws {
        let absent = try verify()
        #expect(absent.code == 66 && absent.output == "")
        #expect(absent.errors == "ducc-follow: there is no stream \(path)\n")
        #expect(try run(Programs.follow, ["verify"]).code == 64)
        #expect(try run(Programs.follow, ["verify", directory.path]).code == 66)
        try emitRun()
        rename(path, path + ".1")
        #expect(try verify().code == 0)
        // One stream after the other, and the worst counts.
        let other = directory.path("other.log")
        #expect(try verify([other]).code == 66)
        try change("notifications.log.1") { $0.swapAt(1, 2) }
        try directory.write("other.log", "")
        let both = try verify([other])
        #expect(
            both.code == 1
                && both.output.hasSuffix("\(other): 1 file, 0 events of 0 runs: nothing is wrong\n"))
    }

    @Test("a stream that is named like a command is followed as ./NAME, and with the command's own name")
    func namedLikeCommand() throws {
        try emitRun()
        rename(path, directory.path("verify"))
        for arguments in [["./verify"], ["follow", "verify"]] {
            let result = try run(Programs.follow, arguments + ["--no-follow"], directory: directory.path)
            #expect(result.code == 0)
            #expect(try result.output == text(of: directory.path("verify")))
        }
        let result = try run(Programs.follow, ["verify", "verify"], directory: directory.path)
        #expect(result.output == "verify: 1 file, 6 events of 1 run: nothing is wrong\n")
        let help = try run(Programs.follow, ["help", "verify"])
        #expect(help.code == 0 && help.output.contains("--olddir"))
        #expect(try run(Programs.follow, ["help", "follow"]).output.contains("--no-follow"))
    }

    @Test("what a damaged line holds doesn't reach the terminal")
    func harmless() throws {
        try directory.write("notifications.log", "{\"action\":\"\u{1b}[31m\n")
        let result = try verify()
        #expect(result.code == 1 && !result.output.contains("\u{1b}"))
    }

    @Test("a stream that is written and rotated while it is verified is never found damaged")
    func live() throws {
        let rotation = try Rotation(path, in: directory, rule: "rotate 100\ncreate\ncompress\ndelaycompress")
        let path = path
        let isDone = Atomic(false)
        let threads = try (0..<2).map { _ in
            try Threads.start {
                guard let writer = try? NotificationWriter(path: path, sync: .none) else { return }
                while !isDone.load(ordering: .relaxed) {
                    // A pace at which each round verifies a little more than the one before, not twice as much.
                    for _ in 0..<20 { writer.emit(.publishTest, [(.layer, "0123456789abcdef")]) }
                    poll(nil, 0, 50)
                }
            }
        }
        defer {
            isDone.store(true, ordering: .relaxed)
            for thread in threads { thread.join() }
        }
        try waitUntil("there are events") { Files.exists(path) }
        for _ in 0..<TestScale.count(3, long: 20) {
            try rotation.rotate()
            for _ in 0..<10 {
                let result = try verify()
                #expect(result.code == 0, "\(result.output)")
            }
            poll(nil, 0, 500)
        }
    }
}
