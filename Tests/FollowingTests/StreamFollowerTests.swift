// Following a live stream on real files.

import Following
import Glibc
import Platform
import Support
import Testing

struct StreamFollowerTests {
    let stream: Stream
    init() throws { stream = try Stream() }

    @Test("events come in order, each once, and a line only when it is complete")
    func plain() throws {
        try stream.emit(3)
        let follower = try stream.follower()
        #expect(try drain(follower).numbers == [1, 2, 3])
        #expect(try drain(follower).numbers == [])
        try stream.append(String(Stream.line(4).prefix(20)))
        #expect(try drain(follower).numbers == [])
        try stream.append(Stream.line(4).dropFirst(20) + "\n")
        #expect(try drain(follower).numbers == [4])
    }

    @Test("a file that appears later is read from its beginning")
    func appearsLater() throws {
        let follower = try stream.follower(.end)
        #expect(!follower.isThere)
        #expect(try drain(follower).numbers == [])
        try stream.emit(2)
        #expect(try drain(follower).numbers == [1, 2])
    }

    @Test("a renamed file is read to its end before the new one")
    func rename() throws {
        try stream.emit(2)
        let follower = try stream.follower()
        #expect(try drain(follower).numbers == [1, 2])
        try stream.emit(1)
        try stream.rotate()
        try stream.emit(1, to: "notifications.log.1")
        try stream.emit(2)
        #expect(try drain(follower).numbers == [3, 4, 5, 6])
    }

    @Test("what a suspended writer still writes into the renamed file is read there")
    func lateWriter() throws {
        try stream.emit(1)
        let follower = try stream.follower()
        let writer = try stream.holdingWriter()
        try stream.rotate()
        #expect(try drain(follower).numbers == [1])
        try stream.emit(1, by: writer)
        #expect(try drain(follower).numbers == [2])
        try stream.emit(1)
        #expect(try drain(follower).numbers == [3])
        try stream.emit(1, by: writer)
        #expect(try drain(follower).numbers == [4])
    }

    @Test("several rotations between two looks lose nothing")
    func severalRotations() throws {
        try stream.emit(1)
        let follower = try stream.follower()
        #expect(try drain(follower).numbers == [1])
        for _ in 0..<5 {
            try stream.emit(2)
            try stream.rotate()
        }
        try stream.emit(1)
        #expect(try drain(follower).numbers == Array(2...12))
    }

    @Test("rotation without a new file, and with the file that comes much later")
    func noCreate() throws {
        try stream.emit(1)
        let follower = try stream.follower()
        try stream.rotate(create: false)
        #expect(try drain(follower).numbers == [1])
        try stream.emit(1, to: "notifications.log.1")
        #expect(try drain(follower).numbers == [2])
        try stream.emit(1)
        #expect(try drain(follower).numbers == [3])
    }

    @Test("dates in the names order the files too")
    func dates() throws {
        try stream.emit(1)
        let follower = try stream.follower()
        #expect(try drain(follower).numbers == [1])
        for (index, name) in ["20261124", "20261125", "20261201"].enumerated() {
            try stream.emit(1)
            try stream.rename(to: "notifications.log-\(name)")
            if index == 0 { try stream.append("") }
        }
        try stream.emit(1)
        #expect(try drain(follower).numbers == [2, 3, 4, 5])
    }

    @Test("a truncated file is read from its beginning, also where it has regrown beyond what was read")
    func truncation() throws {
        try stream.emit(5)
        let follower = try stream.follower()
        #expect(try drain(follower).numbers.count == 5)
        truncate(stream.path, 0)
        try stream.emit(1)
        let (numbers, notices) = try drain(follower)
        #expect(numbers == [6])
        #expect(notices.count == 1 && notices[0].contains("truncated"))
        truncate(stream.path, 0)
        try stream.emit(4)
        #expect(try drain(follower).numbers == [7, 8, 9, 10])
    }

    @Test("a file that lost its end goes on where it ends, and that is said")
    func lostEnd() throws {
        try stream.emit(5)
        let follower = try stream.follower()
        #expect(try drain(follower).numbers.count == 5)
        truncate(stream.path, off_t(2 * (Stream.line(1).utf8.count + 1)))
        let (numbers, notices) = try drain(follower)
        #expect(numbers == [] && notices.count == 1 && notices[0].contains("shorter"))
        try stream.emit(1)
        #expect(try drain(follower).numbers == [6])
    }

    @Test(
        "a file that lost its end, and grew before anybody looked, is read from where it is still the same",
        arguments: [
            (12, 3, 100), (12, 3, 1), (200, 5, 100), (200, 5, 2), (200, 0, 100), (200, 60, 100),
            (200, 199, 9),
        ])
    func regrown(read: Int, lost: Int, grown: Int) throws {
        try stream.emit(read)
        let follower = try stream.follower()
        #expect(try drain(follower).numbers.count == read)
        let cursor = follower.cursor
        let kept = read - lost
        let size = (1...kept).reduce(0) { $0 + Stream.line($1).utf8.count + 1 }
        #expect(truncate(stream.path, off_t(size)) == 0)
        try stream.emit(grown)
        let (numbers, notices) = try drain(stream.follower(.cursor(cursor)))
        #expect(numbers.suffix(grown) == Array(read + 1...read + grown)[...])
        // What was lost is nowhere; of what was read at the most as much comes again as was lost, and mostly nothing.
        let again = numbers.dropLast(grown)
        #expect(again.elementsEqual((kept - again.count + 1)..<(kept + 1)), "\(again)")
        #expect(again.count <= (lost < 30 ? 0 : lost), "\(again)")
        #expect(notices.count == (lost == 0 ? 0 : 1), "\(notices)")
        if lost > 0 { #expect(notices[0].contains("has lost its end")) }
    }

    @Test("what was done beyond a cursor's offset counts no further than the file is still the same")
    func doneBeyond() throws {
        try stream.emit(5)
        let follower = try stream.follower()
        #expect(try drain(follower).numbers.count == 5)
        var cursor = follower.cursor
        let length = Int64(Stream.line(1).utf8.count + 1)
        cursor.files[0].offset = length
        cursor.files[0].done = [3 * length, 4 * length, 5 * length]
        follower.mark(&cursor)
        #expect(truncate(stream.path, off_t(3 * length)) == 0)
        try stream.emit(2)
        let resumed = try stream.follower(.cursor(cursor))
        #expect(resumed.resumed.map(\.end) == [3 * length])
        let (numbers, notices) = try drain(resumed)
        #expect(numbers == [2, 3, 6, 7] && notices.count == 1)
    }

    @Test("a line that lost its end, and was ended by others, is no event, and nothing is lost behind it")
    func regrownInLine() throws {
        try stream.emit(5)
        let follower = try stream.follower()
        #expect(try drain(follower).numbers.count == 5)
        let cursor = follower.cursor
        let size = try Files.read(stream.path, limit: 1 << 20).count
        #expect(truncate(stream.path, off_t(size - 30)) == 0)
        try stream.append("\n")
        try stream.emit(3)
        let (numbers, notices) = try drain(stream.follower(.cursor(cursor)))
        #expect(numbers == [6, 7, 8] && notices.count == 2, "\(notices)")
    }

    @Test("a deleted file is left and its successor followed")
    func deleted() throws {
        try stream.emit(1)
        let follower = try stream.follower()
        #expect(try drain(follower).numbers == [1])
        unlink(stream.path)
        try stream.emit(2)
        #expect(try drain(follower).numbers == [2, 3])
    }

    @Test("rotated files that were there before are not taken for newer ones")
    func oldSiblings() throws {
        try stream.append(Stream.line(-1) + "\n", to: "notifications.log.2")
        try stream.append(Stream.line(-1) + "\n", to: "notifications.log.1")
        try stream.emit(1)
        let follower = try stream.follower()
        #expect(try drain(follower).numbers == [1])
        try stream.rotate()
        try stream.emit(1)
        #expect(try drain(follower).numbers == [2])
        // The oldest goes, as at each rotation, and the one that was read as well.
        unlink(stream.directory.path("notifications.log.3"))
        unlink(stream.path)
        try stream.emit(1)
        #expect(try drain(follower).numbers == [3])
    }

    @Test("a copy of the file beside it is not told twice")
    func copy() throws {
        try stream.emit(3)
        let follower = try stream.follower()
        #expect(try drain(follower).numbers == [1, 2, 3])
        try runSuccessfully("cp", [stream.path, stream.path + ".old"])
        try stream.rotate()
        try stream.emit(1)
        #expect(try drain(follower).numbers == [4])
    }

    @Test("a symbolic link is followed to where it leads, and to where it leads next")
    func symbolicLink() throws {
        try stream.emit(1)
        let link = stream.directory.path("link")
        symlink("notifications.log", link)
        let follower = try StreamFollower(path: link, start: .beginning, watcher: nil)
        #expect(try drain(follower).numbers == [1])
        try stream.emit(1)
        try stream.rotate()
        try stream.emit(1)
        #expect(try drain(follower).numbers == [2, 3])
    }

    @Test("the last events that match, from a file longer than any window")
    func last() throws {
        var content = ""
        for number in 1...30_000 { content += Stream.line(number) + "\n" }
        try stream.append(content + "{\"action\":\"incompl")
        func numbers(_ count: Int, _ matches: @escaping (Int) -> Bool) throws -> [Int] {
            let follower = try stream.follower(.last(count) { matches($0[.layer].flatMap { Int($0) } ?? 0) })
            return try drain(follower).numbers.filter(matches)
        }
        #expect(try numbers(3) { _ in true } == [29_998, 29_999, 30_000])
        #expect(try numbers(0) { _ in true } == [])
        #expect(try numbers(3) { $0 % 10_000 == 1 } == [1, 10_001, 20_001])
        #expect(try numbers(5) { $0 == 7 } == [7])
    }

    @Test("a directory or a FIFO in the file's place is an error, not a wait")
    func wrongKind() throws {
        try Files.makeDirectories(stream.path)
        #expect(throws: SystemError.self) { try stream.follower() }
        rmdir(stream.path)
        mkfifo(stream.path, 0o600)
        #expect(throws: SystemError.self) { try stream.follower() }
    }

    @Test("a directory in the file's place later is said once, and the file that comes instead is followed")
    func wrongKindLater() throws {
        try stream.emit(1)
        let follower = try stream.follower()
        try stream.rotate(create: false)
        try Files.makeDirectories(stream.path)
        let (numbers, notices) = try drain(follower)
        #expect(numbers == [1] && notices.count == 1)
        #expect(try drain(follower).notices.isEmpty)
        rmdir(stream.path)
        try stream.emit(1)
        #expect(try drain(follower).numbers == [2])
    }
}
