// What the writer does when it can't write: nothing is lost in silence, and nothing ever waits.

import Glibc
import Notifications
import Platform
import Support
import Testing

struct LossTests {
    let directory: TemporaryDirectory
    let path: String

    init() throws {
        directory = try TemporaryDirectory()
        path = directory.path("notifications.log")
    }

    @Test("a file that ends in the middle of a line is repaired by the first event's own write")
    func unterminated() throws {
        try directory.write("notifications.log", "{\"action\":\"torn")
        let writer = try NotificationWriter(path: path)
        writer.emit(.startDUCC)
        writer.end()
        let content = try text(of: path)
        #expect(content.hasPrefix("{\"action\":\"torn\n{\"time\""))
        #expect(!content.contains("\n\n"))
        #expect(content.split(separator: "\n").count == 3)
    }

    @Test("a file that ends with a line feed, and an empty one, get no empty line")
    func terminated() throws {
        for (name, before) in [("a", ""), ("b", "{\"action\":\"x\"}\n"), ("c", "\n")] {
            try directory.write(name, before)
            try NotificationWriter(path: directory.path(name)).emit(.startDUCC)
            #expect(try text(of: directory.path(name)).hasPrefix(before + "{\"time\""), "\(name)")
        }
    }

    @Test("an event is one write: a packet socket gets one packet for each")
    func oneWrite() throws {
        var ends: [CInt] = [0, 0]
        try #require(socketpair(AF_UNIX, CInt(SOCK_SEQPACKET.rawValue), 0, &ends) == 0)
        let ours = OwnedDescriptor(raw: ends[0])
        let theirs = OwnedDescriptor(raw: ends[1])
        let process = try ChildProcess.start(
            Programs.emitter, ["--count", "20", "--", "-"], output: theirs.raw)
        var packets: [String] = []
        while packets.count < 20 {
            var packet = [UInt8](repeating: 0, count: 64 << 10)
            let count = recv(ours.raw, &packet, packet.count, 0)
            guard count > 0 else { break }
            packets.append(String(decoding: packet[..<count], as: UTF8.self))
        }
        _ = process.wait()
        #expect(packets.count == 20)
        for packet in packets {
            #expect(packet.hasSuffix("\"}\n"))
            #expect(try Event(line: Array(packet.utf8)).isProven == true)
        }
    }

    @Test("a short write is followed by the whole event, losses are printed, counted and declared")
    func fileSizeLimit() throws {
        let writer = try WriterProcess(path, in: directory, prefix: ["prlimit", "--fsize=4096:unlimited"])
        let kept = String(repeating: "a", count: 1000)
        for _ in 0..<2 { try writer.emit(kept) }
        // The third fits only in part, and then nothing does.
        let lost = String(repeating: "b", count: 2000)
        for _ in 0..<2 { try writer.emit(lost) }
        #expect(try text(of: path).utf8.count == 4096)
        try runSuccessfully(
            "prlimit", ["--pid", "\(writer.command.process.identifier)", "--fsize=unlimited"])
        try writer.emit("c")

        var readable: [Event] = []
        var torn: [String] = []
        for line in try lines(of: path) {
            if let event = try? Event(line: Array(line.utf8)) {
                readable.append(event)
            } else {
                torn.append(line)
            }
        }
        #expect(torn.count == 1 && torn[0].contains("bbb"))
        #expect(readable.map { $0[.sequence] } == ["1", "2", "6", "7"])
        let notice = readable[2]
        #expect(notice.action == .notificationWriteFailed)
        #expect(notice[.lostFirst] == "3" && notice[.lostLast] == "5")
        #expect(notice[.error] == "File too large")
        // prev skips what isn't in the file.
        #expect(notice[.previous] == readable[1][.check])
        #expect(readable[3][.previous] == notice[.check])
        let reported = try writer.reports(2)
        #expect(reported.count == 2)
        #expect(reported[0].contains(lost) && reported[0].contains("File too large"))
    }

    /// A `write` that leaves out the end of the first line, as a disk does that is full for a moment.
    private func writerWithShortWrite(missing: Int) throws -> WriterProcess {
        let interposed = try Interposed(
            """
            ssize_t write(int descriptor, const void *bytes, size_t count) {
                static int done;
                ssize_t (*next)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
                if (isStream(descriptor) && !done++) count -= \(missing);
                return next(descriptor, bytes, count);
            }
            """, stream: path, in: directory)
        return try WriterProcess(path, in: directory, prefix: interposed.prefix)
    }

    @Test("where only the line feed was missing, a lone line feed completes the event")
    func loneLineFeed() throws {
        let writer = try writerWithShortWrite(missing: 1)
        for layer in ["a", "b"] { try writer.emit(layer) }
        #expect(try events(of: path).map { $0[.text] } == ["a", "b"])
        #expect(try events(of: path).map { $0[.sequence] } == ["1", "2"])
        #expect(!(try text(of: path)).contains("\n\n"))
        #expect(writer.command.errorsSoFar == "")
    }

    @Test("where more was missing, the same event is written whole again, and nothing is lost")
    func shortWrite() throws {
        let writer = try writerWithShortWrite(missing: 2)
        for layer in ["a", "b"] { try writer.emit(layer) }
        let found = try lines(of: path)
        #expect(found.count == 3 && found[1].hasPrefix(found[0]))
        let whole = try found.dropFirst().map { try Event(line: Array($0.utf8)) }
        #expect(whole.map { $0[.sequence] } == ["1", "2"])
        #expect(whole[1][.previous] == whole[0][.check])
        #expect(writer.command.errorsSoFar == "")
    }

    @Test("an event of which only the line feed was lost is still read, though it counts as lost")
    func lostLineFeed() throws {
        let writer = try WriterProcess(path, in: directory, prefix: ["prlimit"])
        try writer.emit("a")
        let length = try text(of: path).utf8.count
        let process = "\(writer.command.process.identifier)"
        try runSuccessfully("prlimit", ["--pid", process, "--fsize=\(2 * length - 1):unlimited"])
        try writer.emit("a")
        #expect(try text(of: path).last == "}")
        try runSuccessfully("prlimit", ["--pid", process, "--fsize=unlimited"])
        try writer.emit("a")
        let read = try events(of: path)
        #expect(read.map { $0[.sequence] } == ["1", "2", "3", "4"])
        #expect(read[2][.lostFirst] == "2" && read[2][.lostLast] == "2")
        #expect(read[2][.previous] == read[0][.check])
        #expect(!(try text(of: path)).contains("\n\n"))
    }

    @Test("a FIFO without a reader is no error, and what was lost is declared to the first reader")
    func fifo() throws {
        mkfifo(path, 0o600)
        let writer = try WriterProcess(path, in: directory)
        try writer.emit("a")
        // The second event comes after its own failed declaration: 1, 2 (declaration), 3.
        try writer.emit("b")
        let reader = try OwnedDescriptor(opening: path, O_RDONLY | O_NONBLOCK)
        try writer.emit("c")
        let received = available(reader.raw).split(separator: "\n")
        let read = try received.map { try Event(line: Array($0.utf8)) }
        #expect(read.map(\.action) == [.notificationWriteFailed, .publishTest])
        #expect(read[0][.lostFirst] == "1" && read[0][.lostLast] == "3")
        #expect(read[0][.sequence] == "4" && read[1][.sequence] == "5")
        let reported = try writer.reports(2)
        #expect(reported.count == 2)
        #expect(reported[0].contains("\"text\":\"a\"") && reported[1].contains("\"text\":\"b\""))
    }

    @Test("a FIFO that fills up never makes the writer wait, and a line fits into one piece")
    func fullFIFO() throws {
        mkfifo(path, 0o600)
        let reader = try OwnedDescriptor(opening: path, O_RDONLY | O_NONBLOCK)
        let writer = try WriterProcess(path, in: directory)
        for _ in 0..<40 { try writer.emit(String(repeating: "x", count: 20_000)) }
        #expect(try writer.reports(1)[0].contains("Resource temporarily unavailable"))
        let received = available(reader.raw).split(separator: "\n")
        #expect(received.count >= 15 && received.count < 40)
        for line in received {
            #expect(line.utf8.count < Int(PIPE_BUF))
            #expect(try Event(line: Array(line.utf8)).isProven == true)
        }
    }

    @Test("a character device is written to, and one that takes nothing stops nobody")
    func device() throws {
        let writer = try NotificationWriter(path: "/dev/null")
        writer.emit(.startDUCC)
        #expect(writer.lostCount == 0)
        let full = try run(Programs.emitter, ["/dev/full", "--count", "3"])
        #expect(full.code == 1)
        #expect(full.errors.split(separator: "\n").count == 3)
    }

    @Test("a file that can't be opened is one clear line")
    func cannotOpen() throws {
        let cases = [
            directory.path: "Is a directory",
            directory.path("no/such/directory"): "No such file or directory",
        ]
        for (path, reason) in cases {
            let error = #expect(throws: NotificationFileError.self) { try NotificationWriter(path: path) }
            let text = try #require(error?.description)
            #expect(text.contains(path) && text.contains(reason) && !text.contains("\n"))
        }
    }

    @Test("a new file has the mode that was asked for, before the umask")
    func mode() throws {
        try NotificationWriter(path: path, fileMode: 0o600).emit(.startDUCC)
        var information = stat()
        #expect(stat(path, &information) == 0)
        #expect(information.st_mode & 0o777 == 0o600)
    }

    @Test("many threads of one writer: every event in order, each durable one on disk")
    func threads() throws {
        let writer = try NotificationWriter(path: path, sync: .every)
        try Threads.forEach(200, width: 8) { writer.emit(.publishTest, [(.layer, "\($0)")]) }
        let read = try events(of: path)
        #expect(read.map { $0[.sequence] } == (1...200).map { "\($0)" })
        #expect(Set(read.compactMap { $0[.layer] }).count == 200)
    }

    @Test("writers that are killed at any instant cost nobody an event")
    func killedWriters() throws {
        let survivor = try NotificationWriter(path: path, sync: .none)
        var size = 0
        func fileSize() -> Int {
            var information = stat()
            return stat(path, &information) == 0 ? Int(information.st_size) : 0
        }
        for round in 0..<TestScale.count(20, long: 200) {
            let victim = try RunningCommand(Programs.emitter, [path, "--count", "10000000"])
            try waitUntil("the writer writes") {
                survivor.emit(.publishTest, [(.layer, "\(round)")])
                return fileSize() > size + 50_000
            }
            victim.signal(SIGKILL)
            _ = try victim.wait()
            survivor.emit(.publishTest, [(.layer, "after \(round)")])
            size = fileSize()
        }
        // A line of which the kernel was still writing the second page may be torn; what follows is recovered.
        var next: [String: Int] = [:]
        var outOfOrder = 0
        let file = try OwnedDescriptor(opening: path, O_RDONLY)
        var reader = NotificationReader()
        while try reader.fill(from: file.raw, path: path) {
            while let item = reader.next() {
                guard case .event(let event) = item else { continue }
                let run = event[.runIdentifier] ?? ""
                if event[.sequence] != "\(next[run, default: 0] + 1)" || event.isProven != true {
                    outOfOrder += 1
                }
                next[run, default: 0] += 1
            }
        }
        #expect(outOfOrder == 0)
        let last = survivor.end()
        #expect("\(survivor.runIdentifier):\((next[survivor.runIdentifier] ?? 0) + 1)" == last)
    }
}
