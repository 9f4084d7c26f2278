// Rotation without a signal: what the writer does when the file is moved away under it.

import Glibc
import Notifications
import Platform
import Support
import Synchronization
import Testing

struct RotationTests {
    let directory: TemporaryDirectory
    let path: String

    init() throws {
        directory = try TemporaryDirectory()
        path = directory.path("notifications.log")
    }

    private func rename(to name: String) throws {
        guard Glibc.rename(path, directory.path(name)) == 0 else { throw SystemError("rename", path) }
    }

    /// Creates the file as logrotate does: only if it isn't there.
    private func createExclusively() throws -> Bool {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL, 0o640)
        if descriptor >= 0 { close(descriptor) }
        return descriptor >= 0
    }

    @Test("an event after rename and create goes into the new file")
    func renameAndCreate() throws {
        let writer = try NotificationWriter(path: path)
        writer.emit(.startDUCC)
        try rename(to: "notifications.log.1")
        #expect(try createExclusively())
        writer.emit(.publishTest)
        #expect(try events(of: directory.path("notifications.log.1")).map { $0[.sequence] } == ["1"])
        #expect(try events(of: path).map { $0[.sequence] } == ["2"])
    }

    @Test(
        "a writer that slept through a whole rotation, from one gap into the next, doesn't get in logrotate's way"
    )
    func twoGaps() throws {
        let writer = try NotificationWriter(path: path)
        writer.emit(.startDUCC)
        try rename(to: "notifications.log.2")
        // It looks into the gap of the first rotation …
        writer.emit(.publishTest)
        #expect(try createExclusively())
        try rename(to: "notifications.log.1")
        // … and the next time into the gap of the second, longer after than a path may be missing.
        poll(nil, 0, 1050)
        let created = Atomic<Bool>(false)
        let path = path
        let logrotate = try Threads.start {
            poll(nil, 0, 30)
            let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL, 0o640)
            created.store(descriptor >= 0, ordering: .relaxed)
            if descriptor >= 0 { close(descriptor) }
        }
        writer.emit(.publishTest)
        logrotate.join()
        let wasCreated = created.load(ordering: .relaxed)
        #expect(wasCreated)
        #expect(try events(of: directory.path("notifications.log.2")).map { $0[.sequence] } == ["1", "2"])
        #expect(try events(of: path).map { $0[.sequence] } == ["3"])
    }

    @Test("while the path is missing the writer goes on in the renamed file, and creates only after a second")
    func missingPath() throws {
        let writer = try NotificationWriter(path: path)
        writer.emit(.startDUCC)
        try rename(to: "notifications.log.1")
        let renamed = MonotonicClock.nanoseconds()
        writer.emit(.publishTest)
        #expect(!Files.exists(path), "created at once: logrotate would have moved it away")
        try waitUntil("the writer creates the file") {
            writer.emit(.publishTest)
            return Files.exists(path)
        }
        #expect(MonotonicClock.nanoseconds() - renamed >= 1_000_000_000)
        let old = try events(of: directory.path("notifications.log.1"))
        let new = try events(of: path)
        #expect((old + new).map { $0[.sequence] } == (1...(old.count + new.count)).map { "\($0)" })
        #expect(new.count == 1)
    }

    @Test("a file that was deleted, not renamed, is created at once: nobody could read it any more")
    func deleted() throws {
        let writer = try NotificationWriter(path: path)
        writer.emit(.startDUCC)
        unlink(path)
        writer.emit(.publishTest)
        #expect(try events(of: path).map { $0[.sequence] } == ["2"])
        #expect(writer.lostCount == 0)
    }

    @Test("a starting writer looks for 100 ms before it creates, so that logrotate can")
    func startDuringRotation() throws {
        let created = Atomic(0)
        let path = path
        let begin = MonotonicClock.nanoseconds()
        let thread = try Threads.start { [self] in
            poll(nil, 0, 40)
            if (try? createExclusively()) == true { created.store(1, ordering: .releasing) }
        }
        let writer = try NotificationWriter(path: path)
        thread.join()
        writer.emit(.startDUCC)
        #expect(created.load(ordering: .acquiring) == 1)
        #expect(MonotonicClock.nanoseconds() - begin < 100_000_000)
        #expect(try events(of: path).count == 1)
    }

    @Test("a path that becomes a directory loses nothing: events go on into the file that was open")
    func becomesDirectory() throws {
        let writer = try NotificationWriter(path: path)
        writer.emit(.startDUCC)
        try rename(to: "notifications.log.1")
        try Files.makeDirectories(path)
        for _ in 0..<3 { writer.emit(.publishTest) }
        #expect(try events(of: directory.path("notifications.log.1")).count == 4)
        rmdir(path)
        #expect(try createExclusively())
        writer.end()
        #expect(try events(of: path).map { $0[.sequence] } == ["5"])
        #expect(writer.lostCount == 0)
    }

    @Test("the file behind a symbolic link is rotated like any other")
    func symbolicLink() throws {
        try Files.makeDirectories(directory.path("real"))
        symlink("real/notifications.log", path)
        let writer = try NotificationWriter(path: path)
        writer.emit(.startDUCC)
        #expect(Glibc.rename(directory.path("real/notifications.log"), directory.path("real/old")) == 0)
        try directory.write("real/notifications.log", "")
        writer.end()
        #expect(try events(of: directory.path("real/notifications.log")).map { $0[.sequence] } == ["2"])
    }

    @Test("logrotate in the middle of many writers loses nothing and tears nothing")
    func realLogrotate() throws {
        // Three threads with a writer each, as long as it takes for the rotations.
        let path = path
        let isDone = Atomic(false)
        let counts = Mutex<[String: Int]>([:])
        let threads = try (0..<3).map { _ in
            try Threads.start {
                guard let writer = try? NotificationWriter(path: path, sync: .none) else { return }
                var count = 0
                while !isDone.load(ordering: .relaxed) {
                    writer.emit(.publishTest, [(.layer, "0123456789abcdef")])
                    count += 1
                    if count % 20 == 0 { poll(nil, 0, 1) }
                }
                counts.withLock { [count] in $0[writer.runIdentifier] = count }
            }
        }
        try waitUntil("the first event") { (try? lines(of: path).isEmpty) == false }
        let rounds = TestScale.count(4, long: 30)
        let rotation = try Rotation(path, in: directory, rule: "rotate 100\ncreate 0640")
        for _ in 0..<rounds {
            try rotation.rotate()
            // The documented pace: at least half a second between rotations.
            try waitUntil("events in the new file") { (try? lines(of: path).count > 50) == true }
            poll(nil, 0, 500)
        }
        isDone.store(true, ordering: .relaxed)
        for thread in threads { thread.join() }

        let names = try DirectoryEntry.names(in: directory.path).filter { $0.hasPrefix("notifications.log") }
        #expect(names.count == rounds + 1)
        var sequences: [String: [Int]] = [:]
        for name in names {
            for event in try events(of: directory.path(name)) {
                #expect(event.isProven == true)
                sequences[event[.runIdentifier] ?? "", default: []].append(Int(event[.sequence] ?? "") ?? 0)
            }
        }
        let expected = counts.withLock { $0 }
        #expect(expected.count == 3)
        for (run, count) in expected {
            #expect((sequences[run] ?? []).sorted() == Array(1...count), "run \(run)")
        }
    }
}
