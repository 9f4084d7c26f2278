// Starting a program as another user: seen from inside that program.

import CLinux
import Glibc
import Platform
import Support
import Synchronization
import Testing

struct UserProcessTests {
    let directory: TemporaryDirectory
    private static let isRoot = geteuid() == 0

    init() throws {
        directory = try TemporaryDirectory()
        // Others have to reach what is in it.
        chmod(directory.path, 0o755)
    }

    /// What a script prints when somebody runs it.
    private func output(
        of script: String, as user: SystemUser, environment: [String]? = nil, in place: String? = nil
    ) throws -> [String] {
        let file = directory.path("out-\(RandomIdentifier.hex(4))")
        let output = try OwnedDescriptor(opening: file, O_WRONLY | O_CREAT, mode: 0o600)
        let child = try ChildProcess.start(
            "sh", ["-c", script], environment: environment, directory: place, output: output.raw,
            errors: output.raw, user: user)
        #expect(child.wait() == .exited(0))
        return try text(of: file).split(separator: "\n").map(String.init)
    }

    @Test("a user's numbers and groups are those that id says", arguments: ["root", "daemon", "nobody"])
    func lookup(name: String) throws {
        let user = try SystemUser(named: name)
        #expect(try runSuccessfully("id", ["-u", name]) == "\(user.identifier)\n")
        #expect(try runSuccessfully("id", ["-g", name]) == "\(user.group)\n")
        let groups = try runSuccessfully("id", ["-G", name]).split(whereSeparator: \.isWhitespace)
        #expect(Set(groups.compactMap { gid_t($0) }) == Set(user.groups))
        let record = try runSuccessfully("getent", ["passwd", name]).split(
            separator: ":", omittingEmptySubsequences: false)
        #expect(user.home == String(record[5]))
    }

    @Test("a user that isn't there is named", arguments: ["nonesuch-user", "", "a:b"])
    func unknown(name: String) {
        #expect(throws: SystemError("find user", name, code: ENOENT)) { try SystemUser(named: name) }
    }

    @Test("the child is that user, with that user's groups alone", .enabled(if: isRoot))
    func identity() throws {
        let user = try SystemUser(named: "nobody")
        let lines = try output(
            of: "id -u; id -ru; id -g; id -G; grep -E '^(Uid|Gid|Cap(Prm|Eff|Inh|Amb)):' /proc/self/status",
            as: user)
        #expect(
            lines.prefix(4) == ["\(user.identifier)", "\(user.identifier)", "\(user.group)", "\(user.group)"])
        let status = lines.dropFirst(4).map { $0.split(separator: "\t").map(String.init) }
        // Real, effective, saved and of the file system: no way back.
        for values in status where values[0].hasSuffix("id:") {
            #expect(Set(values.dropFirst()).count == 1, "\(values)")
        }
        for values in status where values[0].hasPrefix("Cap") { #expect(values[1].allSatisfy { $0 == "0" }) }
        // Neither this process nor any thread of it has changed, nor what may be seen of it.
        #expect(geteuid() == 0 && ducc_is_dumpable() == 1)
        for thread in try DirectoryEntry.names(in: "/proc/self/task") {
            guard let status = try? text(of: "/proc/self/task/\(thread)/status") else { continue }
            #expect(status.contains("Uid:\t0\t0\t0\t0"))
        }
    }

    @Test(
        "descriptors, signals, mask, group, umask and environment are as for any child", .enabled(if: isRoot))
    func surroundings() throws {
        let stray = dup(0)
        defer { close(stray) }
        let mask = umask(0o027)
        defer { umask(mask) }
        let lines = try output(
            of: """
                ls /proc/self/fd | wc -l; umask; ps -o pgid= -p $$ | tr -d ' '; echo $$; pwd; echo "$A"
                env | wc -l; cat; grep -E '^Sig(Blk|Ign)' /proc/self/status
                """, as: try SystemUser(named: "nobody"), environment: ["A=b c"], in: "/usr")
        // 0, 1, 2 and the directory that ls reads.
        #expect(lines.prefix(2) == ["4", "0027"])
        #expect(lines[2] == lines[3])
        // A, and what a shell adds: PWD, and perhaps _ and SHLVL.
        #expect(lines[4...5] == ["/usr", "b c"] && Int(lines[6]).map { (2...4).contains($0) } == true)
        #expect(lines.suffix(2).allSatisfy { $0.hasSuffix("\t0000000000000000") }, "\(lines)")
    }

    @Test("descriptors arrive in their places, whatever their numbers are", .enabled(if: isRoot))
    func crossed() throws {
        let user = try SystemUser(named: "nobody")
        var ends: [CInt] = [0, 0]
        var others: [CInt] = [0, 0]
        #expect(ducc_pipe(&ends) == 0 && ducc_pipe(&others) == 0)
        defer { for end in ends + others { close(end) } }
        let source = try OwnedDescriptor(opening: try directory.write("in", "input"), O_RDONLY)
        let child = try ChildProcess.start(
            "sh", ["-c", "cat; echo o; echo e >&2"], input: source.raw, output: ends[1], errors: others[1],
            user: user)
        #expect(child.wait() == .exited(0))
        var buffer = [UInt8](repeating: 0, count: 64)
        #expect(read(ends[0], &buffer, 64) == 7 && buffer.starts(with: Array("inputo\n".utf8)))
        #expect(read(others[0], &buffer, 64) == 2 && buffer.starts(with: Array("e\n".utf8)))
        // 1 becomes 0 there, and what is given as 0 becomes 1: neither may be overwritten before it is taken.
        let own = try (0...1).map { try #require(Files.linkTarget("/proc/self/fd/\($0)")) }
        let low = try ChildProcess.start(
            "sh",
            [
                "-c",
                "[ \"$(readlink /proc/$$/fd/0)\" = '\(own[1])' ] && [ \"$(readlink /proc/$$/fd/1)\" = '\(own[0])' ]",
            ],
            input: 1, output: 0, user: user)
        #expect(low.wait() == .exited(0))
    }

    @Test("what can't be run is said, with the reason", .enabled(if: isRoot))
    func failures() throws {
        let user = try SystemUser(named: "nobody")
        let file = try directory.write("hook", "#!/bin/sh\n", mode: 0o700)
        let noShebang = try directory.write("text", "echo ran\n", mode: 0o755)
        try Files.makeDirectories(directory.path("closed"), mode: 0o700)
        for (program, code) in [
            (file, EACCES), ("/nonesuch/program", ENOENT), (noShebang, ENOEXEC),
        ] {
            #expect(throws: SystemError("run", program, code: code)) {
                try ChildProcess.start(program, [], user: user)
            }
        }
        // The reason depends on what of PATH the user may look into.
        #expect(throws: SystemError.self) { try ChildProcess.start("nonesuch-program", [], user: user) }
        #expect(throws: SystemError("enter directory", directory.path("closed"), code: EACCES)) {
            try ChildProcess.start("true", [], directory: directory.path("closed"), user: user)
        }
        // What failed has been collected: a copy of this process that nobody waited for still has its name. Other tests'
        // children are theirs to wait for, and have names of their own or are gone in a moment.
        let own = try text(of: "/proc/self/comm")
        try waitUntil("nothing of it is left behind") {
            let children = try text(of: "/proc/self/task/\(getpid())/children").split(separator: " ")
            return children.allSatisfy { (try? text(of: "/proc/\($0)/comm")) != own }
        }
    }

    @Test("who may not become somebody else is told so; oneself is nobody else")
    func refused() throws {
        let own = String(cString: getpwuid(geteuid()).pointee.pw_name)
        #expect(try output(of: "id -u", as: SystemUser(named: own)) == ["\(geteuid())"])
        // On a thread that has given all its capabilities away, which says nothing about the other threads.
        let user = try SystemUser(named: Self.isRoot ? "nobody" : "root")
        let found = Mutex<SystemError?>(nil)
        let thread = try Threads.start {
            Self.dropCapabilities()
            do throws(SystemError) {
                _ = try ChildProcess.start("true", [], user: user)
            } catch { found.withLock { $0 = error } }
        }
        thread.join()
        #expect(found.withLock { $0 } == SystemError("run true as user", user.name, code: EPERM))
    }

    /// capset(2), of which the C library has the function but no header.
    private static func dropCapabilities() {
        typealias Call = @convention(c) (UnsafeMutableRawPointer, UnsafeMutableRawPointer) -> CInt
        var header: [UInt32] = [0x2008_0522, 0]
        var none = [UInt32](repeating: 0, count: 6)
        guard let symbol = dlsym(nil, "capset") else { return }
        _ = unsafeBitCast(symbol, to: Call.self)(&header, &none)
    }
}
