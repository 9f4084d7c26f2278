// What a publication waits for: readers, and the lock.

import Glibc
import Platform
import Support
import Testing

extension CernVMInterruptionTests {
    /// A file of the repository, open for reading.
    private func openFile() throws -> SharedDescriptor {
        try converting.edit { try Files.replace("\($0)/file", with: [1], sync: false) }
        return SharedDescriptor(try OwnedDescriptor(opening: "/cvmfs/\(server.name)/file", O_RDONLY))
    }

    @Test(
        "a reader that has a file of the repository open keeps it, and the image is published at another attempt"
    )
    func reader() throws {
        let file = try openFile()
        let result = try convert("new")
        #expect(result.code == 0, "\(result.errors)")
        #expect(
            result.errors.split(separator: "\n").count {
                $0.contains("open read-only file descriptors") && $0.contains("waiting for it")
            } == 1, "\(result.errors)")
        try check(isNew: true)
        var byte: UInt8 = 0
        #expect(read(file.raw, &byte, 1) == 1 && byte == 1)
        #expect(!server.isInTransaction)
        try finish()
    }

    @Test("a server that refuses because of readers again and again fails the image at the time limit")
    func readers() throws {
        let refusal = "WARNING! There are open read-only file descriptors in /cvmfs/\(server.name)"
        try server.setFault("ingest-begin", "{\"fail\": 1, \"stderr\": \"\(refusal)\"}")
        try Self.image("new").write(to: converting.layout, tag: "1")
        let result = try converting.start(arguments([]), environment: ["DUCC_SERVER_TIMEOUT": "1"]).wait(
            seconds: 60)
        #expect(result.code == 1 && result.errors.contains("is still busy: WARNING!"), "\(result.errors)")
        #expect(!server.isInTransaction)
        try check(isNew: false)
        server.clearFault("ingest-begin")
        try finish()
    }

    @Test("the lock is waited for as the original DUCC holds it, and not had while layers are fetched")
    func lock() throws {
        let lock = converting.directory.path("lock")
        try converting.directory.write(
            "hold.py",
            """
            import fcntl, signal, sys
            lock = open(sys.argv[1], "r+")
            fcntl.lockf(lock, fcntl.LOCK_EX)
            print("held", flush=True)
            signal.pause()
            """)
        let holder = try RunningCommand("python3", [converting.directory.path("hold.py"), lock])
        try waitUntil("it is held") { holder.outputSoFar.contains("held") }
        try Self.image("new").write(to: converting.layout, tag: "1")
        let running = try converting.start(arguments([]))
        try waitUntil("it waits") { running.errorsSoFar.contains("waiting for \(lock)") }
        #expect(running.errorsSoFar.contains(" entries"), "\(running.errorsSoFar)")
        #expect(try server.operations().count == 1)
        holder.signal(SIGKILL)
        #expect(try running.wait(seconds: 30).code == 0)
        try check(isNew: true)
    }

    @Test("the lock behind a server that hangs is waited for up to a limit")
    func lockLimit() throws {
        let first = try start(heldAt: "ingest-worker")
        let second = try converting.start(arguments([]), environment: ["DUCC_SERVER_TIMEOUT": "1"])
        let result = try second.wait(seconds: 60)
        #expect(
            result.code == 1 && result.errors.contains("was held by another process for 1 s"),
            "\(result.errors)")
        try release()
        #expect(try first.wait(seconds: 60).code == 0)
        try finish()
    }
}
