import CLinux
import Glibc
import Platform
import Support
import Testing

@Suite("Platform")
struct PlatformTests {
    @Test("a child has the descriptors it is given and no others, default signals and an empty mask")
    func child() throws {
        // Inheritable, as a shell's redirection leaves it.
        let stray = dup(0)
        defer { close(stray) }
        let directory = try TemporaryDirectory()
        let output = try OwnedDescriptor(opening: directory.path("out"), O_WRONLY | O_CREAT, mode: 0o600)
        let child = try ChildProcess.start(
            "sh", ["-c", "ls /proc/self/fd | wc -l; grep -E '^Sig(Blk|Ign)' /proc/self/status"],
            output: output.raw)
        #expect(child.wait() == .exited(0))
        let lines = try text(of: directory.path("out")).split(separator: "\n")
        // 0, 1, 2 and the directory that ls reads.
        #expect(lines.first.map { $0.filter(\.isNumber) } == "4")
        // The signals below 32: two above are the C library's own, and out of reach.
        let masks = lines.dropFirst().compactMap { UInt64($0.split(separator: "\t").last ?? "", radix: 16) }
        #expect(masks.map { $0 & 0x7fff_ffff } == [0, 0])
    }

    @Test("a child that somebody else asked about is not taken for a success")
    func stolenChild() throws {
        let child = try ChildProcess.start("true", [])
        var status: CInt = 0
        #expect(waitpid(child.identifier, &status, 0) == child.identifier)
        #expect(child.wait() == .signalled(SIGKILL))
    }

    @Test(
        "directories that several make at a time are there for each of them; what can't be made is an error")
    func directories() throws {
        let directory = try TemporaryDirectory.inMemory()
        for round in 0..<200 {
            try Threads.forEach(4, width: 4) { _ in
                try Files.makeDirectories(directory.path("\(round)/one/two/three"))
            }
        }
        #expect(throws: SystemError.self) { try Files.makeDirectories("/proc/nobody/makes/this") }
    }

    @Test("a tree is removed whatever its modes and depth, and no link is followed")
    func removeTree() throws {
        let directory = try TemporaryDirectory()
        try directory.write("kept/file", "x")
        let deep = String(repeating: "d/", count: 500)
        try Files.makeDirectories(directory.path("tree/\(deep)"))
        try Files.makeDirectories(directory.path("tree/closed/in"))
        #expect(chmod(directory.path("tree/closed"), 0) == 0)
        #expect(symlink(directory.path("kept"), directory.path("tree/link")) == 0)
        try Files.removeTree(directory.path("tree"))
        #expect(!Files.exists(directory.path("tree")) && Files.exists(directory.path("kept/file")))
        try Files.removeTree(directory.path("nothing"))
    }

    @Test("a file is replaced whole, with exactly the mode that is asked for")
    func replace() throws {
        let directory = try TemporaryDirectory()
        try Files.replace(directory.path("file"), with: [1], mode: 0o640)
        try Files.replace(directory.path("file"), with: [2, 3], mode: 0o604)
        var information = stat()
        #expect(stat(directory.path("file"), &information) == 0 && information.st_mode & 0o777 == 0o604)
        #expect(try Files.read(directory.path("file")) == [2, 3])
        #expect(throws: SystemError.self) { try Files.replace(directory.path("missing/file"), with: []) }
        #expect(try DirectoryEntry.names(in: directory.path) == ["file"])
        #expect(throws: SystemError("read", directory.path("file"), code: EFBIG)) {
            try Files.read(directory.path("file"), limit: 1)
        }
    }

    @Test(
        "times are read and written as RFC 3339 has them",
        arguments: [
            ("2026-11-24T10:38:57.146382987Z", "2026-11-24T10:38:57.146382987Z"),
            ("2026-11-24T12:38:57+02:00", "2026-11-24T10:38:57.000000000Z"),
            ("2026-02-28t23:59:59.5z", "2026-02-28T23:59:59.500000000Z"),
            ("2024-02-29", "2024-02-29T00:00:00.000000000Z"),
            ("1969-12-31T23:59:59Z", "1969-12-31T23:59:59.000000000Z"),
        ])
    func times(text: String, expected: String) {
        #expect(Timestamp(rfc3339: text)?.description == expected)
    }

    @Test(
        "what is no time is none",
        arguments: [
            "", "now", "2026-13-01", "2026-11-24T25:00:00Z", "2026-11-24T10:00:00", "2026-11-24T10:00:00.Z",
            "2026-11-24x",
        ])
    func noTimes(text: String) { #expect(Timestamp(rfc3339: text) == nil) }

    @Test("work on several threads is all done, and the first failure is the result")
    func threads() throws {
        struct Failure: Error {}
        let directory = try TemporaryDirectory()
        try Threads.forEach(50, width: 8) { try directory.write("\($0)", "x") }
        #expect(try DirectoryEntry.names(in: directory.path).count == 50)
        #expect(throws: Failure.self) {
            try Threads.forEach(50, width: 8) { if $0 == 20 { throw Failure() } }
        }
    }
}
