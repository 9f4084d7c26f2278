import Following
import Glibc
import Notifications
import Platform
import Support
import Testing

/// Streams in which names, first lines and dates are not what one would like.
struct OddFileTests {
    let stream: Stream
    init() throws { stream = try Stream() }

    @Test("dates behind a dot order the files as dates do", arguments: [".20261122", ".1795500001"])
    func datesBehindDots(first: String) throws {
        let follower = try stream.follower(.beginning)
        let number = try #require(Int(first.dropFirst()))
        try stream.emit()
        #expect(try numbers(follower) == [1])
        let cursor = follower.cursor
        for rotation in 0..<3 {
            try stream.rename(to: "notifications.log.\(number + rotation)")
            try stream.emit()
        }
        #expect(try numbers(follower) == [2, 3, 4])
        #expect(try numbers(try stream.follower(.cursor(cursor))) == [2, 3, 4])
    }

    @Test("a file whose first line is too long to be an event is followed, by its inode, and read once")
    func longFirstLine() throws {
        try stream.append(String(repeating: "x", count: 5_000_000) + "\n")
        try stream.emit(2)
        let noted = try Interposed(
            """
            #include <stdio.h>
            ssize_t pread(int descriptor, void *bytes, size_t count, off_t offset) {
                ssize_t (*next)(int, void *, size_t, off_t) = dlsym(RTLD_NEXT, "pread");
                ssize_t result = next(descriptor, bytes, count, offset);
                char text[32];
                snprintf(text, sizeof text, "%zd", result);
                if (isStream(descriptor)) note(text);
                return result;
            }
            """, stream: stream.path, in: stream.directory)
        let result = try run(Programs.follow, [stream.path, "--no-follow"], environment: noted.environment)
        #expect(result.code == 0 && result.output.split(separator: "\n").count == 2)
        let bytes = try noted.calls().compactMap { Int($0.what) }
        #expect(bytes.reduce(0, +) < 12_000_000, "\(bytes.reduce(0, +)) bytes were read")
    }

    @Test(
        "NUL bytes, CRLF, text that is no UTF-8 and empty files stop nobody, and no event beside them is lost"
    )
    func oddBytes() throws {
        let follower = try stream.follower(.beginning)
        try stream.append("")
        #expect(try numbers(follower) == [])
        try stream.append("\0\0\0\n")
        try stream.emit()
        try stream.append("{\"action\":\"x\",\"layer\":\"2\"}\r\n\r\n")
        let file = try stream.holdingWriter()
        try Files.writeAll(
            Array("{\"action\":\"".utf8) + [0xff, 0xfe, 0x0a], to: file.raw, path: stream.path)
        try stream.append("\0\0\0\0\n{\"action\":\"x\",\"layer\":\"3\"}\n")
        try stream.rotate()
        try stream.rotate()
        try stream.append("{\"action\":\"x\",\"layer\":\"4\"}\n")
        let found = try numbers(follower)
        #expect(found == [1, 2, 3, 4], "\(found)")
    }

    @Test("a line of 100 MB takes no memory, is told once, and what comes behind it is read")
    func hugeLine() throws {
        try stream.emit()
        let follower = try stream.follower(.beginning)
        try runSuccessfully(
            "sh",
            ["-c", "head -c 100000000 /dev/zero | tr '\\0' x >> '\(stream.path)'; echo >> '\(stream.path)'"])
        try stream.emit()
        let (numbers, notices) = try drain(follower)
        #expect(numbers == [1, 2] && notices.count == 1)
    }

    @Test("files that all begin with an empty line are told apart by the first that isn't")
    func emptyFirstLines() throws {
        try stream.append("\n")
        let follower = try stream.follower(.beginning)
        try stream.emit()
        #expect(try numbers(follower) == [1])
        let cursor = follower.cursor
        // As `echo > notifications.log` empties it.
        #expect(truncate(stream.path, 0) == 0)
        try stream.append("\n")
        try stream.emit(2)
        #expect(try numbers(follower) == [2, 3])
        #expect(try numbers(try stream.follower(.cursor(cursor))) == [2, 3])
    }

    @Test("files that begin with the same event are different files all the same")
    func equalFirstLines() throws {
        let same = "{\"action\":\"same\",\"layer\":\"0\"}\n"
        try stream.append(same)
        let follower = try stream.follower(.beginning)
        try stream.emit()
        #expect(try numbers(follower) == [0, 1])
        for name in ["notifications.log.2", "notifications.log.1"] {
            try stream.rename(to: name)
            try stream.append(same)
            try stream.emit()
        }
        #expect(try numbers(follower) == [0, 2, 0, 3])
        // Truncated, and grown again beyond what was read, with the same beginning.
        #expect(truncate(stream.path, 0) == 0)
        try stream.append(same)
        try stream.emit(5)
        #expect(try numbers(follower) == [0, 4, 5, 6, 7, 8])
    }

    @Test(
        "a copy with a name of its own is not told again after a restart",
        arguments: [".bak", "-20261124.bak"])
    func copies(suffix: String) throws {
        let follower = try stream.follower(.beginning)
        try stream.emit(2)
        #expect(try numbers(follower) == [1, 2])
        let cursor = follower.cursor
        try runSuccessfully("cp", [stream.path, stream.path + suffix])
        try stream.emit()
        try stream.rotate()
        try stream.emit()
        #expect(try numbers(try stream.follower(.cursor(cursor))) == [3, 4])
    }

    @Test(
        "a rotated file whose time is nonsense stops nobody",
        arguments: [
            " 3 Nov 2026 - 08:05:02.-12", " 3 Nov 2026 - 08:05:02.+12", "99 Nov 2026 - 99:99:99.120",
            " 3 Nov 99999999999 - 08:05:02.120", "-3 Nov 2026 - 08:05:02.120", " 3 Nov 2026 - 08:05:02",
        ])
    func nonsenseTime(time: String) throws {
        try stream.append(
            "{\"action\":\"x\",\"layer\":\"9\",\"time\":\"\(time)\"}\n", to: "notifications.log.old")
        try stream.emit()
        #expect(try numbers(try stream.follower(.beginning)) == [1])
        #expect(try Event(line: Array("{\"action\":\"x\",\"time\":\"\(time)\"}".utf8)).timestamp == nil)
    }
}

private func numbers(_ follower: StreamFollower) throws -> [Int] { try drain(follower).numbers }
