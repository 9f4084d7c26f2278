// A repository behind a gateway: a lease for each path that is published, which another publisher may have.

import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("Publishing through a gateway", .enabled(if: CernVMServer.isPossible))
struct CernVMGatewayTests {
    let server: CernVMServer
    let converting: Converting

    init() throws {
        server = try CernVMServer(isBehindGateway: true)
        converting = try Converting(server: server)
    }

    private func write(_ names: String...) throws -> TestImage.Written {
        try TestImage(names.map { name in .init(TarBuilder.archive { $0.file(name, name) }) })
            .write(to: converting.layout, tag: "1")
    }

    private func start(_ options: [String] = [], in repository: String? = nil) throws -> RunningCommand {
        try converting.start(
            ["convert-single-image", "oci:\(converting.layout):1", repository ?? converting.repository]
                + options)
    }

    /// Another publisher has the lease on a path.
    private func lease(_ path: String, seconds: Int) throws -> String {
        let file = "\(server.spool)/.stand-in/leases/another"
        try Files.makeDirectories(Files.parentPath(of: file))
        let expires = Int(time(nil)) + seconds
        try Files.replace(
            file, with: Array("{\"path\": \"\(path)\", \"expires\": \(expires)}".utf8), sync: false)
        return file
    }

    private func leases() throws -> [String] {
        try DirectoryEntry.names(in: "\(server.spool)/.stand-in/leases")
    }

    @Test("an image is one publish there too, also one that moves, and gives its lease back")
    func publishes() throws {
        _ = try write("a", "b")
        #expect(try start().wait().code == 0)
        _ = try write("a", "c")
        #expect(try start().wait().code == 0)
        #expect(try server.operations().map(\.operation) == ["ingest", "ingest"])
        #expect(try server.revision() == 3 && server.isWhole())
        #expect(try leases().isEmpty)
        #expect(try text(of: converting.path("localhost/layout:1/c")) == "c")
    }

    @Test("what has to go first goes one path at a time: the gateway refuses more")
    func anew() throws {
        _ = try write("a", "b")
        #expect(try start().wait().code == 0)
        let result = try start(["-f"]).wait()
        #expect(result.code == 0, "\(result.errors)")
        // Two layers, the flat image on them, and all of it again.
        let operations = try server.operations()
        #expect(operations.count <= 1 + 3 + 1 && operations.allSatisfy { $0.exit == 0 })
        #expect(try text(of: converting.path("localhost/layout:1/b")) == "b")
        #expect(try server.isWhole() && leases().isEmpty)
    }

    @Test(
        "a busy lease is waited for, which is said once, and SIGTERM ends the wait", arguments: [false, true])
    func busy(isStopped: Bool) throws {
        _ = try write("a")
        let file = try lease("/", seconds: 3600)
        let running = try start()
        try waitUntil("it is said") { running.errorsSoFar.contains("waiting for it") }
        try waitUntil("it was tried again") { try server.operations().count >= 3 }
        #expect(!server.isInTransaction)
        if isStopped { running.signal(SIGTERM) } else { unlink(file) }
        let result = try running.wait(seconds: 30)
        #expect(result.code == (isStopped ? 143 : 0), "\(result.errors)")
        #expect(result.errors.split(separator: "\n").count { $0.contains("waiting for it") } == 1)
        #expect(Files.exists(converting.path("localhost")) == !isStopped)
        #expect(try server.revision() == (isStopped ? 1 : 2))
        #expect(try server.isWhole() && leases().filter { $0 != "another" }.isEmpty)
        unlink(file)
    }

    @Test("a busy lease is waited for up to a limit")
    func limit() throws {
        _ = try write("a")
        let file = try lease("/", seconds: 3600)
        let result = try converting.start(
            ["convert-single-image", "oci:\(converting.layout):1", converting.repository],
            environment: ["DUCC_SERVER_TIMEOUT": "1"]
        ).wait(seconds: 60)
        #expect(result.code == 1 && result.errors.contains("is still busy"), "\(result.errors)")
        #expect(try server.operations().count >= 2 && !server.isInTransaction)
        unlink(file)
    }

    @Test("a directory in a repository needs the lease on that directory alone")
    func directory() throws {
        _ = try write("a")
        // What a lease is for has to be below a directory that is there.
        let file = try lease("/another/place", seconds: 3600)
        let result = try start(in: "\(server.name)/images").wait()
        #expect(result.code == 0, "\(result.errors)")
        #expect(try text(of: converting.path("images/localhost/layout:1/a")) == "a")
        #expect(try server.operations().count == 1 && server.isWhole())
        unlink(file)
    }

    @Test(
        "a lease that runs out while it publishes fails the attempt; another one follows where it is asked for"
    )
    func expired() throws {
        _ = try write("a")
        try Files.replace("\(server.spool)/.stand-in/lease-seconds", with: Array("0.2".utf8), sync: false)
        try server.setFault("ingest-worker", "{\"once\": true, \"delay\": 0.5}")
        let failed = try start().wait()
        #expect(
            failed.code == 1 && failed.errors.contains("cvmfs_server ingest failed"), "\(failed.errors)")
        #expect(!server.isInTransaction && !Files.exists(converting.path("localhost")))
        try server.setFault("ingest-worker", "{\"once\": true, \"delay\": 0.5}")
        unlink("\(server.spool)/.stand-in/lease-seconds")
        let result = try start(["--attempts", "2"]).wait()
        #expect(result.code == 0, "\(result.errors)")
        #expect(try server.isWhole())
    }
}
