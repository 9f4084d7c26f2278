// What a daemon makes of files that are not what one would like: odd bytes, something else in the file's place, names
// and inodes that come again, clocks that go back.

import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("A daemon on an odd stream")
struct OddStreamTests {
    let follow: Follow

    init() throws {
        follow = try Follow()
        _ = try follow.script("hook", "echo $DUCC_LAYER >> out\n")
    }

    private func wait(for layers: [String]) throws {
        try waitUntil("\(layers)") { follow.lines("out") == layers }
    }

    private func append(_ text: String, to name: String = "notifications.log") throws {
        try follow.directory.append(Array(text.utf8), to: name)
    }

    private static func line(_ layer: String, _ further: String = "") -> String {
        "{\"action\":\"tick\",\"layer\":\"\(layer)\"\(further)}\n"
    }

    private func rename(_ from: String = "notifications.log", to name: String) throws {
        guard Glibc.rename(follow.directory.path(from), follow.directory.path(name)) == 0 else {
            throw SystemError("rename", from)
        }
    }

    private func count(_ text: String, in log: String) -> Int {
        log.split(separator: "\n").count { $0.contains(text) }
    }

    @Test(
        "NUL bytes, CRLF, what is no UTF-8 and empty files: every event beside them comes, each oddity is said once"
    )
    func oddBytes() throws {
        try append("")
        let running = try follow.daemon(Follow.hook())
        try append("\0\0\0\n" + Self.line("0"))
        try append(Self.line("1").dropLast() + "\r\n\r\n\n")
        try follow.directory.append(
            Array("{\"action\":\"".utf8) + [0xff, 0xfe] + Array("\"}\n".utf8), to: "notifications.log")
        // A hole that a crash left, and then an event.
        try append("\0\0\0\0" + Self.line("2"))
        try wait(for: ["0", "1", "2"])
        for name in ["notifications.log.2", "notifications.log.1"] {
            try rename(to: name)
            try append("")
        }
        try append(Self.line("3"))
        try wait(for: ["0", "1", "2", "3"])
        let result = try follow.stop(running)
        #expect(result.code == 0)
        #expect(count("a line is no event", in: result.errors) == 4, "\(result.errors)")
    }

    @Test("a line of 100 MB costs no memory, is said once, and what comes behind it is delivered")
    func hugeLine() throws {
        try follow.emit(0..<1)
        let running = try follow.daemon(Follow.hook())
        try wait(for: ["0"])
        let before = try running.peakMemory()
        try runSuccessfully(
            "sh",
            ["-c", "head -c 100000000 /dev/zero | tr '\\0' x >> '\(follow.path)'; echo >> '\(follow.path)'"])
        try follow.emit(1..<2)
        try wait(for: ["0", "1"])
        let grown = try running.peakMemory() - before
        #expect(grown < 6 << 20, "\(grown)")
        let result = try follow.stop(running)
        #expect(result.code == 0 && count("a line is no event", in: result.errors) == 1)
    }

    /// What may be where the file should be.
    static let kinds = ["mkdir", "mkfifo", "ln -s /dev/null"]

    @Test("a directory, a FIFO or a device in the file's place is said, and is no wait", arguments: kinds)
    func wrongKind(make: String) throws {
        try runSuccessfully("sh", ["-c", "\(make) '\(follow.path)'"])
        let result = try follow.daemon(Follow.hook()).wait(seconds: 10)
        #expect(
            result.code == 66 && result.errors.contains("cannot follow \(follow.path)"), "\(result.errors)")
        let plain = try follow.start([]).wait(seconds: 10)
        #expect(plain.code == 66 && count("cannot follow", in: plain.errors) == 1)
    }

    @Test(
        "one that comes there later is said once, and the file that comes instead is followed",
        arguments: kinds)
    func wrongKindLater(make: String) throws {
        try follow.emit(0..<1)
        let running = try follow.daemon(Follow.hook())
        try wait(for: ["0"])
        try rename(to: "notifications.log.1")
        try runSuccessfully("sh", ["-c", "\(make) '\(follow.path)'"])
        try waitUntil("it is said") { running.errorsSoFar.contains("cannot follow") }
        // What is written into the file that it has still comes.
        try append(Self.line("1"), to: "notifications.log.1")
        try wait(for: ["0", "1"])
        try runSuccessfully("rm", ["-rf", follow.path])
        try follow.emit(2..<3)
        try wait(for: ["0", "1", "2"])
        let result = try follow.stop(running)
        #expect(result.code == 0 && count("cannot follow", in: result.errors) == 1, "\(result.errors)")
    }

    @Test("the log's directory comes later, goes and comes back")
    func directory() throws {
        let nested = follow.directory.path("logs/notifications.log")
        try follow.configure(Follow.hook())
        let configuration = try text(of: follow.directory.path("follow.yaml"))
        try follow.directory.write(
            "follow.yaml", configuration.replacing("stream: ", with: "stream: logs/"))
        let running = try follow.daemon()
        for round in 0..<3 {
            try Files.makeDirectories(Files.parentPath(of: nested))
            try NotificationWriter(path: nested).emit(.publishTest, [(.layer, "\(round)")])
            try wait(for: (0...round).map { "\($0)" })
            try Files.removeTree(Files.parentPath(of: nested))
        }
        #expect(try follow.stop(running).code == 0)
    }

    @Test(
        "a new file with the inode of the cursor's is another file: all of it comes, and what is gone is said"
    )
    func inode() throws {
        try follow.emit(0..<2)
        var running = try follow.daemon(Follow.hook())
        try wait(for: ["0", "1"])
        _ = try follow.stop(running)
        func inode() throws -> UInt {
            var information = stat()
            guard stat(follow.path, &information) == 0 else { throw SystemError("look at", follow.path) }
            return information.st_ino
        }
        let old = try inode()
        unlink(follow.path)
        try follow.emit(2..<8)
        // Whether a file system gives a number again at once is its own business.
        let cursor = follow.directory.path("state/cursors/a.json")
        let changed = try text(of: cursor).replacing("\"inode\":\(old)", with: "\"inode\":\(try inode())")
        #expect(changed.contains("\"inode\":\(try inode())"))
        try Files.replace(cursor, with: Array(changed.utf8), mode: 0o600)
        running = try follow.daemon()
        try wait(for: (0..<8).map { "\($0)" })
        let result = try follow.stop(running)
        #expect(result.code == 0 && count("is gone: what else was in it is lost", in: result.errors) == 1)
    }

    @Test("files of others that begin alike are different files, and a copy of one is none")
    func alike() throws {
        try append(Self.line("same") + Self.line("0"))
        var running = try follow.daemon(Follow.hook())
        try wait(for: ["same", "0"])
        _ = try follow.stop(running)
        try runSuccessfully("cp", [follow.path, follow.path + ".bak"])
        for layer in 1...2 {
            if layer == 2 { try rename("notifications.log.1", to: "notifications.log.2") }
            try rename(to: "notifications.log.1")
            try append(Self.line("same") + Self.line("\(layer)"))
        }
        running = try follow.daemon()
        try wait(for: ["same", "0", "same", "1", "same", "2"])
        // And while it follows.
        try rename(to: "notifications.log.0")
        try append(Self.line("same") + Self.line("3"))
        try wait(for: ["same", "0", "same", "1", "same", "2", "same", "3"])
        #expect(try follow.stop(running).code == 0)
    }

    @Test("a cursor older than every file: what is missing is said, and the oldest event is next")
    func olderThanAll() throws {
        try follow.emit(0..<2)
        var running = try follow.daemon(Follow.hook())
        try wait(for: ["0", "1"])
        _ = try follow.stop(running)
        unlink(follow.path)
        for (layer, name) in [(2, "notifications.log.2"), (3, "notifications.log.1")] {
            try follow.emit(layer..<layer + 1)
            try rename(to: name)
        }
        try runSuccessfully("gzip", [follow.path + ".2"])
        try follow.emit(4..<5)
        running = try follow.daemon()
        try wait(for: ["0", "1", "2", "3", "4"])
        let result = try follow.stop(running)
        #expect(
            result.code == 0 && count("notifications.log, read up to byte", in: result.errors) == 1,
            "\(result.errors)")
    }

    @Test(
        "five rotations by logrotate while it is down, all but the newest compressed: everything comes once, in order"
    )
    func fiveRotations() throws {
        try follow.emit(0..<3)
        var running = try follow.daemon(Follow.hook())
        try wait(for: ["0", "1", "2"])
        _ = try follow.stop(running)
        let rotation = try Rotation(
            follow.path, in: follow.directory, rule: "create 0644\nrotate 10\ncompress\ndelaycompress")
        for round in 1...5 {
            try follow.emit(3 * round..<3 * round + 3)
            try rotation.rotate()
        }
        try follow.emit(18..<20)
        #expect(Files.exists(follow.path + ".5.gz") && Files.exists(follow.path + ".1"))
        for _ in 0..<2 {
            running = try follow.daemon()
            try wait(for: (0..<20).map { "\($0)" })
            #expect(try follow.stop(running).code == 0)
        }
    }

    @Test("a clock that goes back all the time changes nothing: not the order, not what is tried again")
    func clock() throws {
        _ = try follow.script(
            "hook", "[ $DUCC_LAYER$DUCC_ATTEMPT = 21 ] && exit 75; echo $DUCC_LAYER >> out\n")
        let backwards = try Interposed(
            """
            int clock_gettime(clockid_t clock, struct timespec *time) {
                static long calls;
                int result = syscall(SYS_clock_gettime, clock, time);
                if (clock == CLOCK_REALTIME) time->tv_sec -= 60 * __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
                return result;
            }
            """, in: follow.directory)
        try follow.configure(Follow.hook("exec", ["./hook"], "retry: {delay: 20ms}"))
        func daemon() throws -> RunningCommand {
            try RunningCommand(
                Programs.follow, ["run", follow.directory.path("follow.yaml")],
                environment: backwards.environment)
        }
        /// Each file is older than the one before, by its event and by its time.
        func append(_ layer: Int) throws {
            try self.append(
                Self.line("\(layer)", ",\"timestamp\":\"2026-11-24T10:0\(9 - layer):00.000000000Z\""))
            try runSuccessfully("touch", ["-d", "2026-11-24 10:0\(9 - layer):00", follow.path])
        }
        func rotate() throws {
            for number in (1..<5).reversed() where Files.exists(follow.path + ".\(number)") {
                try rename("notifications.log.\(number)", to: "notifications.log.\(number + 1)")
            }
            try rename(to: "notifications.log.1")
        }
        try append(0)
        var running = try daemon()
        try wait(for: ["0"])
        for layer in 1...2 {
            try rotate()
            try append(layer)
            try wait(for: (0...layer).map { "\($0)" })
        }
        #expect(try follow.stop(running).code == 0)
        for layer in 3...4 {
            try rotate()
            try append(layer)
        }
        running = try daemon()
        try wait(for: (0...4).map { "\($0)" })
        #expect(try follow.stop(running).code == 0)
    }

    /// Lets a writer keep the file that becomes .1, in which it then writes event 2, after event 1 was written into the
    /// new one.
    private func rotateUnderWriter() throws -> SharedDescriptor {
        try wait(for: ["0"])
        let writer = SharedDescriptor(try OwnedDescriptor(opening: follow.path, O_WRONLY | O_APPEND))
        try rename(to: "notifications.log.1")
        try append(Self.line("1"))
        try wait(for: ["0", "1"])
        return writer
    }

    @Test("a writer that keeps a renamed file open for a minute and then writes is heard")
    func lateWriter() throws {
        try append(Self.line("0"))
        try follow.configure(Follow.hook(), further: "rotate_wait: 100ms\n")
        let running = try follow.daemon()
        var writer: SharedDescriptor? = try rotateUnderWriter()
        poll(nil, 0, CInt(TestScale.count(2, long: 60)) * 1000)
        if let writer { try Files.writeAll(Array(Self.line("2").utf8), to: writer.raw, path: follow.path) }
        try wait(for: ["0", "1", "2"])
        #expect(try follow.isOpen("notifications.log.1", in: running))
        writer = nil
        try waitUntil("it is closed") { try !follow.isOpen("notifications.log.1", in: running) }
        #expect(try follow.stop(running).code == 0)
    }

    @Test(
        "who is not the file's owner, and may ask for no lease, waits for rotate_wait after the last growth",
        .enabled(if: geteuid() == 0))
    func notTheOwner() throws {
        let wait = 1.5
        try append(Self.line("0"))
        #expect(chown(follow.path, 65534, 65534) == 0)
        try follow.configure(Follow.hook(), further: "rotate_wait: \(Int(wait * 1000))ms\n")
        let running = try RunningCommand(
            "setpriv",
            ["--bounding-set=-lease", Programs.follow, "run", follow.directory.path("follow.yaml")])
        let writer = try rotateUnderWriter()
        poll(nil, 0, CInt(wait * 700))
        try Files.writeAll(Array(Self.line("2").utf8), to: writer.raw, path: follow.path)
        let written = MonotonicClock.nanoseconds()
        try self.wait(for: ["0", "1", "2"])
        try waitUntil("it is closed") { try !follow.isOpen("notifications.log.1", in: running) }
        let waited = Double(MonotonicClock.nanoseconds() - written) / 1e9
        #expect(waited >= wait, "\(waited)")
        #expect(try follow.stop(running).code == 0)
        withExtendedLifetime(writer) {}
    }
}
