import CLinux
import Glibc
import Notifications
import Platform
import Support
import Synchronization
import Testing

@Suite("Interrupted conversions")
struct InterruptionTests {
    /// An image of many files in several layers: enough work to be interrupted anywhere in it.
    static let image: TestImage = {
        TestImage(
            (0..<4).map { layer in
                TestImage.Layer(
                    TarBuilder.archive { tar in
                        for directory in 0..<20 {
                            for file in 0..<40 {
                                tar.file(
                                    "layer-\(layer)/d\(directory)/f\(file)", "\(layer) \(directory) \(file)")
                            }
                        }
                    })
            })
    }()

    /// Everything reachable by a public link or named by a manifest is whole.
    static func checkVisible(_ converting: Converting, expected: [String: String]) throws {
        guard Files.exists(converting.repository) else { return }
        for name in try DirectoryEntry.names(in: converting.path("localhost")) {
            let tree = try TreeComparison.describe(converting.path("localhost/\(name)/"))
            #expect(tree == expected, "\(name) is visible but not whole")
        }
        let listed = try converting.ducc(["list", "--json", converting.repository], notifying: false)
        #expect(listed.code == 0)
    }

    @Test("killed at any instant, nothing incomplete is visible and the next run finishes")
    func killed() throws {
        let whole = try Converting(.inMemory())
        try Self.image.write(to: whole.layout, tag: "1")
        try whole.convert("oci:\(whole.layout):1")
        let expected = try TreeComparison.describe(whole.path("localhost/layout:1/"))
        #expect(expected.count > 3000)
        let eventCount = try whole.actions().count
        let eventsBeforeCommit = try #require(try whole.actions().firstIndex(of: "start_flat_conversion")) + 1

        let converting = try Converting(.inMemory())
        try Self.image.write(to: converting.layout, tag: "1")
        var kills: [String: Int] = [:]
        var emitted: [UInt8] = []
        var generator = SystemRandomNumberGenerator()
        let slow = try SlowRenames.environment(in: converting.directory, milliseconds: 3)
        for round in 0..<TestScale.count(40, long: 300) {
            try? Files.removeTree(converting.repository)
            try? Files.removeTree(converting.log)
            // Somewhere between two of its events, so that short steps are hit as often as long ones; and every other
            // time among the renames that make the image visible.
            let isCommit = round % 2 == 1
            let running = try converting.start(
                ["convert-single-image", "oci:\(converting.layout):1", converting.repository],
                environment: isCommit ? slow : [:])
            let events = isCommit ? eventsBeforeCommit : Int.random(in: 0..<eventCount, using: &generator)
            try waitUntil("event \(events) was written") {
                (try? Files.read(converting.log).count { $0 == UInt8(ascii: "\n") }) ?? 0 >= events
            }
            let end = try running.process.endDescriptor()
            var descriptor = pollfd(fd: end.raw, events: Int16(POLLIN), revents: 0)
            poll(&descriptor, 1, CInt.random(in: 0...(isCommit ? 60 : 10), using: &generator))
            running.signal(SIGKILL)
            let result = try running.wait()
            let phase = result.code == 0 ? "its end" : (try? converting.actions())?.last ?? "its start"
            kills[isCommit ? "\(phase) (slow commit)" : phase, default: 0] += 1
            try Self.checkVisible(converting, expected: expected)
            #expect(try converting.convert("oci:\(converting.layout):1").code == 0)
            #expect(try TreeComparison.describe(converting.path("localhost/layout:1/")) == expected)
            #expect(try converting.staged().isEmpty)
            emitted += try Files.read(converting.log)
        }
        // All rounds' lines, to be validated at the end.
        try converting.directory.write("notifications.log", emitted)
        let phases = kills.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
        print("killed after:", phases.joined(separator: ", "))
    }

    /// A registry that gives all of an image but the end of its layers, and then says nothing more.
    static func stallingRegistry(_ layout: String, _ written: TestImage.Written) throws -> ScriptedServer {
        try ScriptedServer { request in
            let name = request.target.split(separator: "/").last ?? ""
            let digest = name.hasPrefix("sha256:") ? String(name.dropFirst(7)) : written.manifest
            guard let bytes = try? Files.read("\(layout)/blobs/sha256/\(digest)") else { return .init(404) }
            guard written.layers.contains(digest) else { return .init(200, body: bytes) }
            var answer = ScriptedServer.Answer(200, body: Array(bytes.dropLast(100)), length: bytes.count)
            answer.stalls = true
            return answer
        }
    }

    @Test(
        "Ctrl-C and SIGTERM end it soon, with every pair of events closed and staging empty",
        arguments: [SIGINT, SIGTERM])
    func signals(number: CInt) throws {
        let converting = try Converting()
        let written = try Self.image.write(to: converting.layout, tag: "1")
        let server = try Self.stallingRegistry(converting.layout, written)
        let running = try converting.start(
            ["convert-single-image", "http://\(server.host)/image:1", converting.repository])
        try waitUntil("four layers are under way") {
            guard Files.exists(converting.log) else { return false }
            return try converting.actions().filter { $0 == "start_layer_conversion" }.count == 4
        }
        running.signal(number)
        let result = try running.wait(seconds: 10)
        #expect(result.status == .exited(128 + number))
        #expect(BadInputTests.complaints(result).count == 1 && result.errors.contains("interrupted"))
        let events = try converting.events()
        for start in events where start[.id] != nil && start.action.rawValue.hasPrefix("start_") {
            let end = try #require(
                events.first { $0[.id] == start[.id] && $0.action.rawValue.hasPrefix("end_") })
            #expect(end[.status] == "error" && end[.error] == "interrupted")
        }
        #expect(events.last?.action == .endDUCC)
        #expect(try converting.staged().isEmpty)
        #expect(!Files.exists(converting.path(".layers")))
    }

    @Test("a refused layer is said at once, however long its registry takes for the rest")
    func refusedSoon() throws {
        let converting = try Converting()
        let bytes = (0..<(3 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 9) }
        // As much behind it as has to come before it is looked at, and little more: then nothing comes any more.
        let image = TestImage({ tar in
            tar.add("before", content: Array(bytes.prefix(2 << 20)))
            tar.file("../escape", "x")
            tar.add("after", content: Array(bytes.prefix(600 << 10)))
        })
        let written = try image.write(to: converting.layout, tag: "1")
        let server = try Self.stallingRegistry(converting.layout, written)
        let result = try converting.start(
            ["convert-single-image", "http://\(server.host)/image:1", converting.repository]
        ).wait(seconds: 10)
        #expect(result.code == 1 && result.errors.contains("escape"), "\(result.status) \(result.errors)")
    }

    @Test("the lock that DUCC takes is waited for, and who holds it is said")
    func lock() throws {
        let converting = try Converting()
        try TestImage({ $0.file("x", "y") }).write(to: converting.layout, tag: "1")
        let path = try converting.directory.write("lock", "")
        let held = try OwnedDescriptor(opening: path, O_RDWR)
        var lock = flock()
        lock.l_type = Int16(F_WRLCK)
        #expect(fcntl(held.raw, F_SETLK, &lock) == 0)
        let running = try converting.start([
            "convert-single-image", "oci:\(converting.layout):1", converting.repository,
        ])
        try waitUntil("the lock is waited for") {
            running.errorsSoFar.contains("waiting for \(path), which process \(getpid()) holds")
        }
        #expect(!Files.exists(converting.path("localhost")))
        lock.l_type = Int16(F_UNLCK)
        #expect(fcntl(held.raw, F_SETLK, &lock) == 0)
        #expect(try running.wait().code == 0)
        #expect(Files.exists(converting.path("localhost/layout:1/x")))
    }

    @Test("a lock that can't be had is exit code 1, and nothing is published")
    func noLock() throws {
        let converting = try Converting()
        try TestImage({ $0.file("x", "y") }).write(to: converting.layout, tag: "1")
        try Files.makeDirectories(converting.directory.path("elsewhere"))
        #expect(symlink(converting.directory.path("elsewhere/lock"), converting.directory.path("lock")) == 0)
        let result = try converting.convert("oci:\(converting.layout):1")
        #expect(result.code == 1 && result.errors.contains("the lock can't be had"))
        #expect(
            !Files.exists(converting.directory.path("elsewhere/lock"))
                && !Files.exists(converting.path("localhost")))
    }

    @Test("a new lock file may be used by everybody")
    func lockMode() throws {
        let converting = try Converting()
        try TestImage({ $0.file("x", "y") }).write(to: converting.layout, tag: "1")
        try converting.convert("oci:\(converting.layout):1")
        var information = stat()
        #expect(
            stat(converting.directory.path("lock"), &information) == 0 && information.st_mode & 0o777 == 0o666
        )
    }

    @Test("several converters of one image and one repository at once all succeed", .onBothRepositories)
    func together() throws {
        for _ in 0..<TestScale.count(3, long: 30) {
            let converting = try Converting(.inMemory())
            try Self.image.write(to: converting.layout, tag: "1")
            let running = try (0..<4).map { _ in
                try converting.start([
                    "convert-single-image", "oci:\(converting.layout):1", converting.repository,
                ])
            }
            for one in running {
                let result = try one.wait()
                #expect(result.code == 0, "\(result.errors)")
            }
            #expect(
                try DirectoryEntry.names(in: converting.path("localhost/layout:1/layer-3/d19")).count == 40)
            #expect(try converting.staged().isEmpty)
            #expect(try converting.convert("oci:\(converting.layout):1").output.hasPrefix("unchanged"))
        }
    }

    @Test(
        "without root an image is converted too, and stays readable and removable",
        .enabled(if: geteuid() == 0))
    func unprivileged() throws {
        let converting = try Converting()
        try TestImage({ tar in
            tar.add("owned", content: [1], mode: 0, uid: 12, gid: 34)
            tar.directory("closed", mode: 0)
            tar.file("closed/in", "x")
            tar.add("device", type: "3", device: (1, 3))
            tar.file(".wh.gone", "")
        }).write(to: converting.layout, tag: "1")
        #expect(chown(converting.directory.path, 65534, 65534) == 0)
        let result = try run(
            "setpriv",
            [
                "--reuid=65534", "--regid=65534", "--clear-groups", Programs.ducc, "convert-single-image",
                "oci:\(converting.layout):1", converting.repository,
            ], environment: converting.environment)
        #expect(result.code == 0, "\(result.errors)")
        let root = converting.path("localhost/layout:1")
        var information = stat()
        #expect(stat("\(root)/owned", &information) == 0 && information.st_mode & 0o7777 == 0o400)
        var value = [UInt8](repeating: 0, count: 8)
        #expect(
            getxattr("\(root)/owned", "user.rootlesscontainers", &value, 8) == 4
                && value[..<4] == [8, 12, 16, 34])
        #expect(lstat("\(root)/device", &information) == 0 && information.st_mode & S_IFMT == S_IFREG)
        #expect(result.errors.contains("did not keep device nodes"))
        let removed = try run(
            "setpriv",
            ["--reuid=65534", "--regid=65534", "--clear-groups", "rm", "-r", converting.repository])
        #expect(removed.code == 0, "\(removed.errors)")
    }
}
