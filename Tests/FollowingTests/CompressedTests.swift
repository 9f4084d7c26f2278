// Rotated files that are compressed, in other directories, or very many.

import Following
import Glibc
import Platform
import Support
import Testing

struct CompressedTests {
    let stream: Stream
    init() throws { stream = try Stream() }

    private func resume(_ cursor: Cursor, rotated: [String] = []) throws -> (
        numbers: [Int], notices: [String]
    ) {
        try drain(try stream.follower(.cursor(cursor), rotated: rotated))
    }

    private func cursor(afterReading count: Int) throws -> Cursor {
        let follower = try stream.follower()
        for _ in 0..<count { _ = try follower.next() }
        return follower.cursor
    }

    @Test(
        "five rotations while nobody followed, all but the newest compressed: the rest of the file, then the later ones",
        arguments: [["gzip"], ["xz"], ["zstd", "-q", "--rm"], ["bzip2"]])
    func compressedMeanwhile(tool: [String]) throws {
        try stream.emit(5)
        let cursor = try cursor(afterReading: 3)
        for _ in 0..<5 {
            try stream.rotate()
            try stream.emit(2)
        }
        for number in 2...5 { try stream.compress("notifications.log.\(number)", tool) }
        let (numbers, notices) = try resume(cursor)
        #expect(numbers == Array(4...15) && notices.isEmpty, "\(notices)")
    }

    @Test("a cursor in the middle of a compressed file goes on there, and in the live one")
    func cursorInCompressed() throws {
        try stream.emit(4)
        let cursor = try cursor(afterReading: 1)
        try stream.rotate()
        try stream.compress("notifications.log.1")
        try stream.emit(1)
        let follower = try stream.follower(.cursor(cursor))
        for _ in 0..<2 { _ = try follower.next() }
        let middle = follower.cursor
        #expect(try drain(follower).numbers == [4, 5])
        #expect(follower.cursor.files.count == 1)
        #expect(try resume(middle).numbers == [4, 5])
        try stream.rotate()
        try stream.compress("notifications.log.1")
        #expect(try resume(middle).numbers == [4, 5])
        #expect(try resume(follower.cursor).numbers == [])
    }

    @Test("a file beside a half-written compressed one of it counts once")
    func halfWritten() throws {
        try stream.emit(3)
        let cursor = try cursor(afterReading: 1)
        try stream.rotate()
        try stream.emit(1)
        try runSuccessfully("sh", ["-c", "gzip -c \(stream.path).1 | head -c 40 > \(stream.path).1.gz"])
        let (numbers, notices) = try resume(cursor)
        #expect(numbers == [2, 3, 4] && notices.isEmpty)
    }

    @Test(
        "a damaged compressed file is told, and what is before the damage and behind the file is read",
        arguments: ["-6", "-40", "100000"])
    func damaged(size: String) throws {
        try stream.append((1...20_000).map { Stream.line($0) + "\n" }.joined())
        let cursor = try cursor(afterReading: 1)
        try stream.rotate()
        try stream.append(Stream.line(20_001) + "\n")
        try stream.compress("notifications.log.1")
        try runSuccessfully("truncate", ["-s", size, stream.path + ".1.gz"])
        let readable =
            try run("gzip", ["-dc", stream.path + ".1.gz"]).output.split(
                separator: "\n", omittingEmptySubsequences: false
            ).count - 1
        let (numbers, notices) = try resume(cursor)
        #expect(
            readable > 10_000 && numbers == Array(2...readable) + [20_001], "\(readable) \(numbers.count)")
        #expect(notices.count == 1 && notices[0].contains("notifications.log.1.gz"), "\(notices)")
    }

    @Test(
        "logrotate's backup of a file that was in its way is read, compressed or not",
        arguments: [false, true])
    func backup(isCompressed: Bool) throws {
        try stream.append(
            "{\"action\":\"x\",\"layer\":\"1\",\"timestamp\":\"2026-11-24T10:00:00.000000000Z\"}\n")
        let cursor = try cursor(afterReading: 1)
        for (index, name) in ["notifications.log.1.backup", "notifications.log.1", "notifications.log"]
            .enumerated()
        {
            if index == 0 { try stream.rename(to: "notifications.log.2") }
            try stream.append(
                "{\"action\":\"x\",\"layer\":\"\(index + 2)\",\"timestamp\":\"2026-11-24T10:0\(index + 1):00.000000000Z\"}\n",
                to: name)
        }
        if isCompressed { try stream.compress("notifications.log.1.backup") }
        #expect(try resume(cursor).numbers == [2, 3, 4])
    }

    @Test(
        "files that are compressed while they are open are not read twice, and those between two looks not missed"
    )
    func compressedWhileOpen() throws {
        try stream.emit(2)
        let follower = try stream.follower()
        #expect(try drain(follower).numbers == [1, 2])
        let writer = try stream.holdingWriter()
        try stream.rotate()
        try stream.emit(1)
        #expect(try drain(follower).numbers == [3])
        try stream.compress("notifications.log.1", ["gzip", "-f"])
        try stream.emit(1, by: writer)
        try stream.rotate()
        try stream.emit(1)
        try stream.compress("notifications.log.1")
        try stream.rotate()
        try stream.emit(1)
        try stream.compress("notifications.log.1")
        #expect(try drain(follower).numbers == [4, 5, 6])
        try stream.rotate()
        try stream.emit(1)
        #expect(try drain(follower).numbers == [7])
    }

    @Test("rotated files in another directory are found by patterns, compressed or not")
    func otherDirectory() throws {
        let old = stream.directory.path("old")
        try Files.makeDirectories(old)
        try stream.emit(3)
        let cursor = try cursor(afterReading: 2)
        for number in [20_261_101, 20_261_102, 20_261_103] {
            try stream.rename(to: "old/notifications.log-\(number)")
            try stream.emit(1)
        }
        try stream.compress("old/notifications.log-20261101")
        try stream.append("not an event\n", to: "old/unrelated")
        #expect(try resume(cursor, rotated: [old + "/notifications.log*"]).numbers == [3, 4, 5, 6])
        #expect(try resume(cursor, rotated: [stream.directory.path("o*/*.log-*")]).numbers == [3, 4, 5, 6])
        // And live, with the directory that comes later.
        let later = stream.directory.path("later")
        let follower = try stream.follower(.end, rotated: [later + "/*"])
        try Files.makeDirectories(later)
        for number in 1...3 {
            try stream.emit(1)
            try stream.rename(to: "later/notifications.log-2026110\(number)")
        }
        try stream.emit(1)
        #expect(try drain(follower).numbers == [7, 8, 9, 10])
    }

    @Test("more rotated files than a process may open are read, oldest first", arguments: [false, true])
    func veryMany(isCompressed: Bool) throws {
        try stream.emit(1)
        let cursor = try cursor(afterReading: 1)
        let count = 1500
        try stream.rename(to: "notifications.log.\(count)")
        for number in (1..<count).reversed() {
            try stream.emit(1, to: "notifications.log.\(number)")
            // Some were empty when they were rotated.
            if number % 7 == 0 { truncate(stream.path + ".\(number)", 0) }
        }
        try stream.emit(1)
        if isCompressed {
            try runSuccessfully(
                "sh",
                [
                    "-c",
                    "find '\(stream.directory.path)' -name '*.log.*[02468]' -size +0 -print0 | xargs -0 gzip",
                ])
        }
        let expected = (2...count + 1).filter { $0 == count + 1 || (count + 1 - $0) % 7 != 0 }
        let follower = try stream.follower(.cursor(cursor))
        var numbers: [Int] = []
        var most = 0
        while let followed = try follower.next() {
            if case .event(let event) = followed { numbers.append(event[.layer].flatMap { Int($0) } ?? -1) }
            most = max(most, follower.positions.count)
        }
        #expect(numbers == expected && most < 100, "\(most) open, \(numbers.count) events")
        #expect(follower.cursor.files.map(\.name) == ["notifications.log"])
    }

    @Test("a rotated file that can't be read is told once and passed over")
    func unreadable() throws {
        try stream.emit(1)
        let cursor = try cursor(afterReading: 1)
        try stream.rotate()
        try stream.emit(1)
        mkfifo(stream.path + ".2", 0o600)
        let follower = try stream.follower(.cursor(cursor))
        let (numbers, notices) = try drain(follower)
        #expect(
            numbers == [2] && notices.count == 1 && notices[0].contains("notifications.log.2"), "\(notices)")
        try stream.rotate()
        unlink(stream.path + ".3")
        mkfifo(stream.path + ".3", 0o600)
        try stream.emit(1)
        #expect(try drain(follower).numbers == [3])
    }

    @Test("since an instant: the first event of any file that is not before it, and all behind it")
    func since() throws {
        func line(_ minute: Int) -> String {
            "{\"action\":\"x\",\"layer\":\"\(minute)\",\"timestamp\":\"2026-11-24T10:0\(minute):00.000000000Z\"}\n"
        }
        func numbers(_ text: String) throws -> [Int] {
            let instant = try #require(Timestamp(rfc3339: text))
            return try drain(try stream.follower(.since(instant))).numbers
        }
        for minute in 1...2 { try stream.append(line(minute)) }
        try stream.rotate()
        // The clock was set back here.
        for minute in [3, 2, 4] { try stream.append(line(minute)) }
        try stream.rotate()
        try stream.append(line(5))
        try stream.compress("notifications.log.2")
        #expect(try numbers("2026-11-24T10:00:00Z") == [1, 2, 3, 2, 4, 5])
        #expect(try numbers("2026-11-24T10:02:00Z") == [2, 3, 2, 4, 5])
        #expect(try numbers("2026-11-24T10:02:00.000000001Z") == [3, 2, 4, 5])
        #expect(try numbers("2026-11-24T13:04:00+03:00") == [4, 5])
        #expect(try numbers("2026-11-24T10:05:00Z") == [5])
        let instant = try #require(Timestamp(rfc3339: "2026-11-25"))
        let follower = try stream.follower(.since(instant))
        try stream.append(line(6))
        #expect(try drain(follower).numbers == [6])
    }

    @Test("begun at the end, a compressed newest file is known by its end")
    func endOfCompressed() throws {
        try stream.emit(2)
        try stream.rotate()
        try stream.compress("notifications.log.1")
        let cursor = try stream.follower(.end).cursor
        try stream.emit(1)
        #expect(try resume(cursor).numbers == [3])
        try stream.rotate(create: false)
        try stream.compress("notifications.log.1")
        #expect(try drain(try stream.follower(.last(5) { _ in true })).numbers == [3])
    }
}
