// Every step of a server's publishing, interrupted or failing: what is visible is whole, nothing stays open, and the next
// run does the rest.

import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("Publishing into a CernVM-FS repository, interrupted", .enabled(if: CernVMServer.isPossible))
struct CernVMInterruptionTests {
    let server: CernVMServer
    let converting: Converting
    /// Where an archive is taken, before and behind.
    static let steps = [
        "ingest-begin", "ingest-transaction", "transaction-flagged", "transaction-mounted", "ingest-worker",
        "ingest-applied", "ingest-exported", "ingest-remount", unmounted, scratchMoved, "ingest-remounted",
        "ingest-end",
    ]
    private static let unmounted = "ingest-unmounted"
    private static let scratchMoved = "scratch-moved"

    init() throws {
        server = try CernVMServer()
        converting = try Converting(server: server)
        try convert("old")
    }

    static func image(_ name: String) -> TestImage {
        TestImage { tar in
            tar.file("name", name)
            for number in 0..<40 { tar.file("files/\(number)", "\(name) \(number)") }
        }
    }

    func arguments(_ options: [String]) -> [String] {
        ["convert-single-image", "oci:\(converting.layout):1", converting.repository] + options
    }

    @discardableResult
    func convert(_ name: String, _ options: String...) throws -> CommandResult {
        try Self.image(name).write(to: converting.layout, tag: "1")
        return try converting.ducc(arguments(options))
    }

    /// Starts the conversion of the new image, and lets the server stop at a step.
    func start(
        _ image: TestImage = image("new"), _ options: String..., heldAt step: String,
        failing errors: String = ""
    ) throws -> RunningCommand {
        try image.write(to: converting.layout, tag: "1")
        let directory = converting.directory
        let failure = errors.isEmpty ? "" : ", \"fail\": 1, \"stderr\": \"\(errors)\""
        try server.setFault(
            step,
            "{\"once\": true, \"touch\": \"\(directory.path("reached"))\", \"wait\": \"\(directory.path("go"))\"\(failure)}"
        )
        let running = try converting.start(arguments(options))
        try waitUntil("the server is at \(step)") { Files.exists(directory.path("reached")) }
        return running
    }

    /// Lets the server go on.
    func release() throws { try converting.directory.write("go", "") }

    /// What is visible is an image, whole.
    func check(isNew: Bool? = nil) throws {
        let name = try text(of: converting.path("localhost/layout:1/name"))
        if let isNew { #expect(name == (isNew ? "new" : "old")) }
        for number in [0, 39] {
            #expect(
                try text(of: converting.path("localhost/layout:1/files/\(number)")) == "\(name) \(number)")
        }
    }

    /// The next run does the rest: nothing is open, everything was told.
    func finish() throws {
        try waitUntil("nobody publishes") { !isAlive(converting) }
        let result = try convert("new")
        #expect(result.code == 0, "\(result.errors)")
        #expect(!server.isInTransaction)
        #expect(try server.isWhole())
        try check(isNew: true)
        let published = try converting.events().filter { $0.action == .publishImage }.compactMap {
            $0[.configDigest]
        }
        #expect(Set(published).count == 2, "\(published)")
        let leftovers = try DirectoryEntry.names(in: server.notes).filter { $0 != "untold" }
        #expect(leftovers.isEmpty, "\(leftovers)")
    }

    private func isAlive(_ converting: Converting) -> Bool {
        (try? run("pgrep", ["-f", "cvmfs_server ingest .*\(server.name)"]).code) == 0
    }

    @Test("killed at any step: what is visible is whole, and the next run publishes", arguments: steps)
    func killed(step: String) throws {
        let running = try start(heldAt: step)
        running.signal(SIGKILL)
        _ = try running.wait()
        if ![Self.unmounted, Self.scratchMoved].contains(step) { try check() }
        try release()
        try finish()
    }

    @Test("killed together with the server: our own transaction is ended by the next run", arguments: steps)
    func killedTogether(step: String) throws {
        try killTogether(try start(heldAt: step))
        try finish()
    }

    @Test(
        "killed together with the server that removes an old flat image, likewise",
        arguments: ["transaction-flagged", "ingest-worker", "ingest-remounted"])
    func killedRemoving(step: String) throws {
        // Of an image that is there the first operation is the removal.
        try killTogether(try start(Self.image("old"), "--convert-again", heldAt: step))
        let result = try convert("old")
        #expect(result.code == 0, "\(result.errors)")
        // Also where the image is unchanged, and nothing is published.
        #expect(!server.isInTransaction)
        try check(isNew: false)
        try finish()
    }

    private func killTogether(_ running: RunningCommand) throws {
        try server.waitUntilFlagIsNoted()
        let group = try #require(try CernVMServer.processGroup(startedBy: running))
        running.signal(SIGKILL)
        _ = kill(-group, SIGKILL)
        _ = try running.wait()
        try release()
    }

    @Test("between two revisions, where nothing is mounted, the repository is not taken for an empty one")
    func betweenRevisions() throws {
        let running = try start(heldAt: Self.unmounted)
        let readers = try [
            ["list", converting.repository],
            ["convert-single-image", "oci:\(converting.layout):1", converting.repository],
        ].map { try converting.start($0, notifying: false) }
        for reader in readers {
            try waitUntil("it waits, or has ended") { try reader.hasEnded || isWaiting(reader) }
        }
        try release()
        #expect(try running.wait(seconds: 60).code == 0)
        for reader in readers {
            let result = try reader.wait(seconds: 60)
            #expect(result.code == 0 && result.output.contains("layout:1"), "\(result)")
        }
        // Unchanged: nothing was done twice.
        #expect(try server.operations().filter { $0.exit == 0 }.count == 2)
    }

    /// Whether it sleeps, and no command of the server's keeps it from going on.
    private func isWaiting(_ running: RunningCommand) throws -> Bool {
        let place = try? text(of: "/proc/\(running.process.identifier)/wchan")
        return try place?.contains("poll") == true && CernVMServer.processGroup(startedBy: running) == nil
    }

    @Test("what is read while a server mounts another revision is read again")
    func readAgain() throws {
        let directory = converting.directory
        let interposed = try Interposed(
            """
            ssize_t getxattr(const char *path, const char *name, void *value, size_t size) {
                ssize_t (*next)(const char *, const char *, void *, size_t) = dlsym(RTLD_NEXT, "getxattr");
                ssize_t result = next(path, name, value, size);
                static int looks;
                if (strcmp(name, "user.revision") == 0 && ++looks == 2) {
                    close(creat("\(directory.path("looked"))", 0600));
                    while (access("\(directory.path("read"))", F_OK) != 0) usleep(1000);
                }
                return result;
            }
            """, in: directory)
        let reader = try converting.start(
            ["list", converting.repository], notifying: false, environment: interposed.environment)
        // It has been opened, and looked at in order to be read.
        try waitUntil("it has looked") { Files.exists(directory.path("looked")) }
        let running = try start(heldAt: Self.unmounted)
        try directory.write("read", "")
        try waitUntil("it waits, or has ended") { try reader.hasEnded || isWaiting(reader) }
        try release()
        let result = try reader.wait(seconds: 60)
        #expect(result.code == 0 && result.output.contains("layout:1"), "\(result)")
        #expect(try running.wait(seconds: 60).code == 0)
    }

    @Test("no directory of old layers is open while a server publishes")
    func descriptors() throws {
        let old = TestImage.Layer(TarBuilder.archive { $0.file("old", "old") })
        try TestImage([old]).write(to: converting.layout, tag: "2")
        #expect(try converting.convert("oci:\(converting.layout):2").code == 0)
        let new = TestImage.Layer(TarBuilder.archive { $0.file("new", "new") })
        let running = try start(TestImage([old, new]), heldAt: "ingest-begin")
        let directory = "/proc/\(running.process.identifier)/fd"
        let open = try DirectoryEntry.names(in: directory).compactMap {
            Files.linkTarget("\(directory)/\($0)")
        }
        #expect(open.contains(converting.directory.path("lock")))
        #expect(open.filter { $0.hasPrefix(server.mounted) } == [])
        try release()
        #expect(try running.wait(seconds: 60).code == 0)
    }

    @Test(
        "a transaction that somebody opens just before ours is left as it is, whatever the server says of it")
    func foreignTransaction() throws {
        for errors in ["", "cannot load whitelist\\nImpossible to start a transaction"] {
            let running = try start(heldAt: "ingest-transaction", failing: errors)
            #expect(try server.command("transaction", server.name).code == 0)
            try Files.makeDirectories("/cvmfs/\(server.name)/theirs")
            try release()
            let result = try running.wait(seconds: 60)
            #expect(result.code == 1, "\(result.errors)")
            #expect(server.isInTransaction && Files.isDirectory("/cvmfs/\(server.name)/theirs"))
            #expect(try server.command("publish", server.name).code == 0)
            unlink(converting.directory.path("go"))
            unlink(converting.directory.path("reached"))
            try converting.edit { rmdir("\($0)/theirs") }
        }
        try finish()
    }

    @Test("what somebody publishes while we wait for that is reckoned with")
    func inTheWayMeanwhile() throws {
        #expect(try server.command("transaction", server.name).code == 0)
        try Files.replace("/cvmfs/\(server.name)/other", with: [], sync: false)
        let (reached, go) = (converting.directory.path("reached"), converting.directory.path("go"))
        try server.setFault(
            "publish-worker", "{\"once\": true, \"touch\": \"\(reached)\", \"wait\": \"\(go)\"}")
        let theirs = try RunningCommand("\(CernVMServer.programs)/cvmfs_server", ["publish", server.name])
        try waitUntil("they publish") { Files.exists(reached) }
        try Self.image("new").write(to: converting.layout, tag: "1")
        let running = try converting.start([
            "convert-single-image", "oci:\(converting.layout):1", "\(server.name)/other/place",
        ])
        try waitUntil("it waits") { running.errorsSoFar.contains("somebody publishes there") }
        try release()
        #expect(try theirs.wait().code == 0)
        let result = try running.wait(seconds: 60)
        #expect(result.code == 1 && result.errors.contains("other is in the way"), "\(result.errors)")
        #expect(try server.isWhole())
        unlink(go)
        try finish()
    }

    /// The new image is published by a run that is killed before it tells of it.
    private func publishUntold() throws {
        let running = try start(heldAt: "ingest-end")
        running.signal(SIGKILL)
        _ = try running.wait()
        try release()
        try waitUntil("nobody publishes") { !isAlive(converting) }
    }

    @Test("what was published in a killed run is told of, also where another image failed in its place")
    func untold() throws {
        try publishUntold()
        try server.setFault("ingest-worker", "{\"once\": true, \"fail\": 1}")
        #expect(try convert("other").code == 1)
        try finish()
    }

    @Test("layers that were published in a killed run are told of by the image that takes its image's place")
    func untoldLayers() throws {
        try publishUntold()
        let layer = try Self.image("new").writeBlobs(to: converting.layout).layers.last
        #expect(try convert("other").code == 0)
        let told = try converting.events().filter { $0.action == .publishLayer }.map { $0[.layerDigest] }
        #expect(told.count == 3 && told.contains(layer), "\(told)")
    }

    @Test(
        "SIGTERM or SIGINT at any step: nothing is left open; what the server has whole is published",
        arguments: steps, [SIGTERM, SIGINT])
    func terminated(step: String, signal: CInt) throws {
        let running = try start(heldAt: step)
        running.signal(signal)
        try release()
        let result = try running.wait(seconds: 60)
        #expect([0, 128 + signal].contains(result.code), "\(result.errors)")
        let ends = try converting.events().filter { $0.action == .endImageConversion }
        #expect(ends.last?[.status] == (result.code == 0 ? "ok" : "error"))
        #expect(!server.isInTransaction)
        try check(isNew: result.code == 0 ? true : nil)
        try finish()
    }

    @Test("a step that fails is one clear line, and is tried again where that is asked for", arguments: steps)
    func failing(step: String) throws {
        for attempts in ["1", "2"] {
            try server.setFault(step, "{\"once\": true, \"fail\": 1, \"stderr\": \"planted error\"}")
            let result = try convert("new", "--attempts", attempts)
            #expect(!server.isInTransaction, "\(attempts): \(result.errors)")
            try check(isNew: result.code == 0)
            if attempts == "2" { #expect(result.code == 0, "\(result.errors)") }
            if result.code != 0 {
                #expect(
                    result.errors.split(separator: "\n").contains {
                        $0.contains("cvmfs_server ingest failed")
                    })
            }
            try convert("old")
        }
        try finish()
    }

    @Test("a transaction of ours that can't be aborted is an error, also where the image is unchanged")
    func abortFails() throws {
        try killTogether(try start(heldAt: "transaction-mounted"))
        try server.setFault("abort-discard", "{\"fail\": 1, \"stderr\": \"it is not mounted properly\"}")
        let result = try convert("old")
        #expect(
            result.code == 1 && result.errors.contains("can't be aborted: it is not mounted properly"),
            "\(result.errors)")
        #expect(server.isInTransaction)
        server.clearFault("abort-discard")
        #expect(try convert("old").code == 0)
        #expect(!server.isInTransaction)
        try finish()
    }

    @Test("a server that outlives its program and dies too is waited for, and its transaction ended")
    func outlived() throws {
        let first = try start(heldAt: "ingest-applied")
        try server.waitUntilFlagIsNoted()
        let group = try #require(try CernVMServer.processGroup(startedBy: first))
        first.signal(SIGKILL)
        _ = try first.wait()
        let second = try converting.start(arguments([]))
        try waitUntil("it waits") { second.errorsSoFar.contains("somebody publishes there") }
        #expect(server.isInTransaction)
        _ = kill(-group, SIGKILL)
        let result = try second.wait(seconds: 60)
        #expect(result.code == 0, "\(result.errors)")
        try release()
        try finish()
    }
}
