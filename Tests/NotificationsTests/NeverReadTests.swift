// Standard output that nobody reads: a full pipe and a stopped terminal stop no writer, and change nothing for whoever
// else writes there.

import Glibc
import Notifications
import Platform
import Support
import Testing

struct NeverReadTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    /// Starts a writer of so many events into standard output.
    private func start(
        _ count: Int, output: CInt, errors: String, prefix: [String] = []
    ) throws -> ChildProcess {
        let file = try OwnedDescriptor(opening: errors, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600)
        let words = prefix + [Programs.emitter, "--count", "\(count)", "--", "-"]
        return try ChildProcess.start(
            words[0], Array(words.dropFirst()), output: output, errors: file.raw)
    }

    private func isNonBlocking(_ descriptor: CInt) -> Bool { fcntl(descriptor, F_GETFL) & O_NONBLOCK != 0 }

    @Test(
        "a pipe that is full and never read stops no writer, and stays a blocking one for the others",
        arguments: [false, true])
    func fullPipe(isTakenMeanwhile: Bool) throws {
        var ends: [CInt] = [0, 0]
        try #require(pipe(&ends) == 0)
        let reading = OwnedDescriptor(raw: ends[0])
        let writing = OwnedDescriptor(raw: ends[1])
        // Fill it, without waiting for that ourselves.
        _ = fcntl(writing.raw, F_SETFL, O_NONBLOCK)
        let block = [UInt8](repeating: UInt8(ascii: "\n"), count: 4096)
        while write(writing.raw, block, block.count) > 0 {}
        _ = fcntl(writing.raw, F_SETFL, 0)
        _ = fcntl(reading.raw, F_SETFL, O_NONBLOCK)

        let errors = directory.path("errors")
        // As it is where another writer takes the room that there was.
        let interposed = try Interposed(
            """
            #include <poll.h>
            int poll(struct pollfd *descriptors, nfds_t count, int timeout) {
                for (nfds_t i = 0; i < count; i++) descriptors[i].revents = POLLOUT;
                return count;
            }
            """, stream: "", in: directory)
        let prefix = isTakenMeanwhile ? interposed.prefix : []
        let process = try start(300, output: writing.raw, errors: errors, prefix: prefix)
        var isEnded = false
        defer {
            if !isEnded {
                process.signalGroup(SIGKILL)
                _ = process.wait()
            }
        }
        try waitUntil("all events are reported lost") { try lines(of: errors).count == 300 }
        #expect(!isNonBlocking(writing.raw))
        // What it prints at its end is its own affair, and does wait.
        var text = available(reading.raw)
        #expect(process.wait() == .exited(1))
        isEnded = true
        text += available(reading.raw)
        // 300 events, and a declaration before each but the first.
        #expect(text.drop { $0 == "\n" }.hasPrefix("lost 599\n"))
        #expect(try lines(of: errors).allSatisfy { $0.contains("(-: Resource temporarily unavailable): {") })
    }

    @Test("standard error that is full and never read doesn't stop the writer that reports its losses there")
    func fullStandardError() throws {
        var ends: [CInt] = [0, 0]
        try #require(pipe(&ends) == 0)
        let reading = OwnedDescriptor(raw: ends[0])
        let writing = OwnedDescriptor(raw: ends[1])
        // More than a pipe holds; the first report that finds it full waits for a second, and no other.
        let begin = MonotonicClock.nanoseconds()
        let process = try ChildProcess.start(
            Programs.emitter, ["/dev/full", "--count", "500"], errors: writing.raw)
        let end = try process.endDescriptor()
        var descriptor = pollfd(fd: end.raw, events: Int16(POLLIN), revents: 0)
        let hasEnded = poll(&descriptor, 1, 20_000) == 1
        if !hasEnded { process.signalGroup(SIGKILL) }
        #expect(process.wait() == .exited(1))
        #expect(MonotonicClock.nanoseconds() - begin < 10_000_000_000)
        #expect(!isNonBlocking(writing.raw))
        _ = fcntl(reading.raw, F_SETFL, O_NONBLOCK)
        #expect(available(reading.raw).hasPrefix("notification lost (/dev/full: No space left on device): {"))
    }

    @Test(
        "nor where its pipe is another user's, which can't be opened anew, and reports are longer than the room in it"
    )
    func fullForeignStandardError() throws {
        let interposed = try Interposed(
            ["open", "open64"].map { name in
                """
                int \(name)(const char *path, int flags, ...) {
                    int (*next)(const char *, int, int) = dlsym(RTLD_NEXT, "\(name)");
                    if (!strncmp(path, "/proc/", 6)) { errno = EACCES; return -1; }
                    return next(path, flags, 0600);
                }

                """
            }.joined(), stream: "", in: directory)
        // Each is nearly what a pipe holds.
        let line = String(repeating: "x", count: 60_000) + "\n"
        let input = try OwnedDescriptor(
            opening: directory.write("lines", String(repeating: line, count: 5)), O_RDONLY)
        let output = try OwnedDescriptor(opening: "/dev/null", O_WRONLY)
        var ends: [CInt] = [0, 0]
        try #require(pipe(&ends) == 0)
        let reading = OwnedDescriptor(raw: ends[0])
        let writing = OwnedDescriptor(raw: ends[1])
        let words = interposed.prefix + [Programs.emitter, "/dev/full", "--input"]
        let process = try ChildProcess.start(
            words[0], Array(words.dropFirst()), input: input.raw, output: output.raw, errors: writing.raw)
        let end = try process.endDescriptor()
        var descriptor = pollfd(fd: end.raw, events: Int16(POLLIN), revents: 0)
        let hasEnded = poll(&descriptor, 1, 20_000) == 1
        if !hasEnded { process.signalGroup(SIGKILL) }
        #expect(process.wait() == .exited(0))
        _ = fcntl(reading.raw, F_SETFL, O_NONBLOCK)
        #expect(available(reading.raw).hasPrefix("notification lost (/dev/full: No space left on device): {"))
    }

    @Test("a terminal that is never read, as after Ctrl-S, stops no writer, and stays a blocking one")
    func stoppedTerminal() throws {
        let terminal = try PseudoTerminal(columns: 80)
        let errors = directory.path("errors")
        let process = try start(400, output: terminal.descriptor, errors: errors)
        var isEnded = false
        defer {
            if !isEnded {
                process.signalGroup(SIGKILL)
                _ = process.wait()
            }
        }
        // A terminal takes some dozen events before it is full.
        try waitUntil("the events that found no room are reported") { try lines(of: errors).count > 250 }
        #expect(!isNonBlocking(terminal.descriptor))
        let end = try process.endDescriptor()
        var text = ""
        try waitUntil("the process ends") {
            text += terminal.written()
            var descriptor = pollfd(fd: end.raw, events: Int16(POLLIN), revents: 0)
            return poll(&descriptor, 1, 0) == 1
        }
        #expect(process.wait() == .exited(1))
        isEnded = true
        text += terminal.written()
        #expect(text.hasPrefix("{\"time\"") && text.contains("lost "))
    }

    @Test("a FIFO whose reader left, and one that comes back: the loss is declared to it")
    func readerLeaves() throws {
        let path = directory.path("fifo")
        mkfifo(path, 0o600)
        var reader: OwnedDescriptor? = try OwnedDescriptor(opening: path, O_RDONLY | O_NONBLOCK)
        let writer = try WriterProcess(path, in: directory)
        try writer.emit("a")
        reader = nil
        _ = reader
        try writer.emit("b")
        #expect(try writer.reports(1).first?.contains("(\(path): Broken pipe): {") == true)
        let next = try OwnedDescriptor(opening: path, O_RDONLY | O_NONBLOCK)
        try writer.emit("c")
        let read = try available(next.raw).split(separator: "\n").map { try Event(line: Array($0.utf8)) }
        // The first event was still in the pipe.
        try #require(read.map { $0[.sequence] } == ["1", "3", "4"])
        #expect(read[1][.lostFirst] == "2" && read[1][.lostLast] == "2")
    }
}
