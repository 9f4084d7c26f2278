// `-n -` and `-n /dev/stdout`: whatever standard output is, and whoever else writes to it.

import CLinux
import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("Notifications on standard output")
struct StandardOutputTests {
    let converting: Converting

    init() throws { converting = try Converting() }

    private func start(_ arguments: [String], output: CInt) throws -> ChildProcess {
        let variables = ProcessEnvironment.current.merging(converting.environment) { $1 }
        return try ChildProcess.start(
            Programs.ducc, arguments, environment: variables.map { "\($0)=\($1)" }, output: output)
    }

    private func notify(_ name: String, output: CInt) throws -> Platform.ExitStatus {
        try start(["notify", "-n", name, "--action", "ping", "text=x"], output: output).wait()
    }

    /// What a descriptor has to read now.
    private func received(_ descriptor: CInt) -> String {
        var state = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&state, 1, 0) == 1 else { return "" }
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        let count = read(descriptor, &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }

    private func expectPing(_ text: String) throws {
        #expect(text.hasSuffix("}\n") && text.split(separator: "\n").count == 1, "\(text)")
        let event = try Event(line: Array(text.utf8))
        #expect(event.action.rawValue == "ping" && event.isProven == true)
    }

    @Test("a socket, which cannot be opened by its name, gets the event", arguments: ["-", "/dev/stdout"])
    func socket(name: String) throws {
        var ends: [CInt] = [0, 0]
        try #require(socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &ends) == 0)
        let ours = OwnedDescriptor(raw: ends[0])
        let theirs = OwnedDescriptor(raw: ends[1])
        #expect(try notify(name, output: theirs.raw) == .exited(0))
        try expectPing(received(ours.raw))
    }

    @Test(
        "a pipe gets the event, also one that this process's user may not open",
        arguments: ["-", "/dev/stdout"])
    func pipe(name: String) throws {
        var ends: [CInt] = [0, 0]
        try #require(ducc_pipe(&ends) == 0)
        let ours = OwnedDescriptor(raw: ends[0])
        let theirs = OwnedDescriptor(raw: ends[1])
        #expect(try notify(name, output: theirs.raw) == .exited(0))
        try expectPing(received(ours.raw))
        let interposed = try Interposed(
            """
            int open(const char *path, int flags, ...) {
                int (*next)(const char *, int, int) = dlsym(RTLD_NEXT, "open");
                if (!strncmp(path, "/proc/", 6)) { errno = EACCES; return -1; }
                return next(path, flags, 0600);
            }
            int open64(const char *path, int flags, ...) {
                int (*next)(const char *, int, int) = dlsym(RTLD_NEXT, "open64");
                if (!strncmp(path, "/proc/", 6)) { errno = EACCES; return -1; }
                return next(path, flags, 0600);
            }
            """, stream: "", in: converting.directory)
        let process = try ChildProcess.start(
            interposed.prefix[0],
            Array(interposed.prefix.dropFirst()) + [Programs.ducc, "notify", "-n", name, "--action", "ping"],
            output: theirs.raw)
        #expect(process.wait() == .exited(0))
        try expectPing(received(ours.raw))
    }

    @Test("a terminal gets the event", arguments: ["-", "/dev/stdout"])
    func terminal(name: String) throws {
        let terminal = try PseudoTerminal(columns: 80)
        #expect(try notify(name, output: terminal.descriptor) == .exited(0))
        try expectPing(terminal.written().replacing("\r\n", with: "\n"))
    }

    @Test(
        "a file opened with > keeps what another writer has appended meanwhile",
        arguments: ["-", "/dev/stdout"])
    func file(name: String) throws {
        let path = converting.directory.path("output")
        // As a shell opens it: at its beginning, and not for appending.
        let output = try OwnedDescriptor(opening: path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600)
        let other = try OwnedDescriptor(opening: path, O_WRONLY | O_APPEND)
        let line = "{\"action\":\"another_writers\",\"text\":\"\(String(repeating: "x", count: 1000))\"}\n"
        for round in 1...2 {
            try Files.writeAll(Array(line.utf8), to: other.raw, path: path)
            #expect(try notify(name, output: output.raw) == .exited(0))
            let lines = try text(of: path).split(separator: "\n")
            #expect(lines.count == 2 * round, "\(lines)")
            #expect(lines.count { $0 == line.dropLast() } == round)
            try expectPing("\(lines.last ?? "")\n")
        }
    }

    @Test(
        "what a conversion prints and what it notifies stand in one file, each line whole",
        .onBothRepositories)
    func conversion() throws {
        try ConvertTests.image().write(to: converting.layout, tag: "1")
        let path = converting.directory.path("output")
        let output = try OwnedDescriptor(opening: path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600)
        let arguments = ["convert-single-image", "oci:\(converting.layout):1", converting.repository]
        let process = try start(arguments + ["-n", "-"], output: output.raw)
        #expect(process.wait() == .exited(0))
        let lines = try text(of: path).split(separator: "\n").map(String.init)
        let events = lines.compactMap { try? Event(line: Array($0.utf8)) }
        #expect(events.map { $0[.sequence] } == (1...events.count).map(String.init))
        #expect(events.first?.action == .startDUCC && events.last?.action == .endDUCC)
        let printed = lines.filter { !$0.hasPrefix("{") }
        #expect(printed.count == 1 && printed[0].contains(" oci:\(converting.layout):1 "), "\(printed)")
        try converting.directory.write(
            "notifications.log", lines.filter { $0.hasPrefix("{") }.map { $0 + "\n" }.joined())
    }

    @Test("a pipe whose reader left costs the events and not the conversion")
    func readerLeft() throws {
        try ConvertTests.image().write(to: converting.layout, tag: "1")
        var ends: [CInt] = [0, 0]
        try #require(ducc_pipe(&ends) == 0)
        close(ends[0])
        let theirs = OwnedDescriptor(raw: ends[1])
        let errors = converting.directory.path("errors")
        let file = try OwnedDescriptor(opening: errors, O_WRONLY | O_CREAT, mode: 0o600)
        let process = try ChildProcess.start(
            Programs.ducc,
            ["convert-single-image", "oci:\(converting.layout):1", converting.repository, "-n", "-"],
            output: theirs.raw, errors: file.raw)
        #expect(process.wait() == .exited(0))
        #expect(try text(of: converting.path("localhost/layout:1/etc/kept")) == "kept")
        let said = try text(of: errors)
        #expect(
            said.contains("notification lost (-: Broken pipe): {") && said.contains("\"action\":\"end_ducc\"")
        )
    }
}
