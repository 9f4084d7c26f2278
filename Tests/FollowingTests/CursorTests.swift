// Stopping and going on: whatever rotation did meanwhile.

import Following
import Glibc
import Platform
import Support
import Testing

struct CursorTests {
    let stream: Stream
    init() throws { stream = try Stream() }

    /// Follows from a cursor, and returns what came and where it is then.
    private func resume(_ cursor: Cursor) throws -> (numbers: [Int], notices: [String], cursor: Cursor) {
        let follower = try stream.follower(.cursor(cursor))
        let (numbers, notices) = try drain(follower)
        return (numbers, notices, follower.cursor)
    }

    private func readAll() throws -> Cursor {
        let follower = try stream.follower()
        _ = try drain(follower)
        return follower.cursor
    }

    @Test("a cursor goes on behind the last event, and knows which that was")
    func simple() throws {
        try stream.emit(3)
        let cursor = try readAll()
        #expect(cursor.lastEventIdentifier == "run:3")
        try stream.emit(2)
        let resumed = try resume(cursor)
        #expect(resumed.numbers == [4, 5] && resumed.notices.isEmpty)
        #expect(try resume(resumed.cursor).numbers == [])
    }

    @Test("in the middle of a file it is behind what was returned, not behind what was read")
    func middle() throws {
        try stream.emit(5)
        let follower = try stream.follower()
        for _ in 0..<2 { _ = try follower.next() }
        #expect(try resume(follower.cursor).numbers == [3, 4, 5])
    }

    @Test("rotations while nobody followed: the rest of the file, then the later ones, oldest first")
    func rotatedMeanwhile() throws {
        try stream.emit(2)
        try stream.rotate()
        try stream.emit(2)
        let cursor = try readAll()
        try stream.emit(1)
        for _ in 0..<3 {
            try stream.rotate()
            try stream.emit(2)
        }
        let resumed = try resume(cursor)
        #expect(resumed.numbers == Array(5...11))
        #expect(resumed.notices.isEmpty)
    }

    @Test("while a renamed file may still grow, the cursor holds a position in it too")
    func twoFiles() throws {
        try stream.emit(2)
        let follower = try stream.follower()
        #expect(try drain(follower).numbers == [1, 2])
        let writer = try stream.holdingWriter()
        try stream.rotate()
        try stream.emit(1)
        #expect(try drain(follower).numbers == [3])
        let cursor = follower.cursor
        #expect(cursor.files.count == 2)
        try stream.emit(1, by: writer)
        try stream.emit(1)
        #expect(try resume(cursor).numbers == [4, 5])
    }

    @Test("a file is recognised by its first line, not by its inode: a restored copy is the same file")
    func copied() throws {
        try stream.emit(3)
        let cursor = try readAll()
        try runSuccessfully("cp", [stream.path, stream.path + ".tmp"])
        unlink(stream.path)
        try stream.rename("notifications.log.tmp", to: "notifications.log")
        try stream.emit(1)
        #expect(try resume(cursor).numbers == [4])
    }

    @Test("another file with the same inode is another file")
    func reusedInode() throws {
        try stream.emit(3)
        let cursor = try readAll()
        // Rewritten in place: the inode stays, the first line doesn't.
        truncate(stream.path, 0)
        try stream.emit(6)
        let resumed = try resume(cursor)
        #expect(resumed.numbers == Array(4...9))
        #expect(resumed.notices.count == 1 && resumed.notices[0].contains("gone"))
    }

    @Test("a file that lost its end while nobody followed goes on at its end, and that is said")
    func lostEnd() throws {
        try stream.emit(5)
        let cursor = try readAll()
        truncate(stream.path, off_t(2 * (Stream.line(1).utf8.count + 1)))
        try stream.emit(1)
        let resumed = try resume(cursor)
        #expect(resumed.notices.count == 1)
        #expect(resumed.numbers.allSatisfy { $0 == 6 })
    }

    @Test("a cursor that points to nothing left says so and goes on at the oldest event there is")
    func nothingLeft() throws {
        try stream.emit(2)
        let cursor = try readAll()
        unlink(stream.path)
        try stream.emit(1)
        try stream.rotate()
        try stream.emit(1)
        let resumed = try resume(cursor)
        #expect(resumed.numbers == [3, 4])
        #expect(resumed.notices.count == 1 && resumed.notices[0].contains("notifications.log"))
    }

    @Test(
        "a cursor older than every file: what is missing is said, and the oldest event, compressed or not, is next"
    )
    func olderThanAll() throws {
        try stream.emit(2)
        let cursor = try readAll()
        unlink(stream.path)
        for _ in 0..<3 {
            try stream.emit(1)
            try stream.rotate()
        }
        try stream.emit(1)
        for number in 2...3 { try stream.compress("notifications.log.\(number)") }
        let resumed = try resume(cursor)
        #expect(resumed.numbers == [3, 4, 5, 6])
        #expect(
            resumed.notices.count == 1 && resumed.notices[0].contains("notifications.log, read up to byte"))
    }

    @Test("a later file that got the inode of the cursor's, or begins as it does, is another file")
    func confusable() throws {
        try stream.append("{\"action\":\"same\",\"layer\":\"0\"}\n")
        var cursor = try readAll()
        try stream.emit(1)
        try stream.rotate()
        try stream.compress("notifications.log.1")
        try stream.append("{\"action\":\"other\",\"layer\":\"0\"}\n")
        var information = stat()
        #expect(stat(stream.path, &information) == 0)
        cursor.files[0].inode = UInt64(information.st_ino)
        #expect(try resume(cursor).numbers == [1, 0])
        truncate(stream.path, 0)
        try stream.append("{\"action\":\"same\",\"layer\":\"0\"}\n")
        cursor.files[0].inode = 1
        #expect(try resume(cursor).numbers == [1, 0])
    }

    @Test(
        "a clock that was set back changes nothing where the names tell the order", arguments: [false, true])
    func clockSetBack(isCompressed: Bool) throws {
        func line(_ number: Int) -> String {
            "{\"action\":\"x\",\"layer\":\"\(number)\",\"timestamp\":\"2026-11-24T10:0\(9 - number):00.000000000Z\"}\n"
        }
        try stream.append(line(1))
        let cursor = try readAll()
        for number in 2...5 {
            try stream.rotate()
            try stream.append(line(number))
        }
        if isCompressed { for number in 2...4 { try stream.compress("notifications.log.\(number)") } }
        #expect(try resume(cursor).numbers == [2, 3, 4, 5])
    }

    @Test("begun at the end of an empty new file, the events that come are all there, whatever rotates")
    func emptyFile() throws {
        try stream.emit(2)
        try stream.rotate()
        let cursor = try stream.follower(.end).cursor
        try stream.emit(2)
        try stream.rotate()
        try stream.emit(1)
        #expect(try resume(cursor).numbers == [3, 4, 5])
        // Not even the inode is needed, which an empty file is otherwise recognised by.
        try runSuccessfully("cp", [stream.path + ".1", stream.path + ".tmp"])
        try stream.rename("notifications.log.tmp", to: "notifications.log.1")
        #expect(try resume(cursor).numbers == [3, 4, 5])
    }

    @Test("begun where no stream was, everything that appears is new")
    func nothingThere() throws {
        let cursor = try stream.follower(.end).cursor
        try stream.emit(1)
        try stream.rotate()
        try stream.emit(1)
        #expect(try resume(cursor).numbers == [1, 2])
    }

    @Test("a saved cursor is read back as it was, and the file is never half written")
    func file() throws {
        let state = stream.directory.path("state")
        let file = try CursorFile(name: "mail", state: state)
        #expect(try file.load() == nil)
        try stream.emit(3)
        let cursor = try readAll()
        for _ in 0..<20 { try file.save(cursor) }
        #expect(try file.load() == cursor)
        #expect(try DirectoryEntry.names(in: state + "/cursors") == ["mail.json", "mail.lock"])
        let json = try runSuccessfully("python3", ["-m", "json.tool", file.path])
        #expect(json.contains("\"last_event_id\": \"run:3\""))
    }

    @Test("a cursor belongs to one process; another name is another cursor")
    func lock() throws {
        let state = stream.directory.path("state")
        let held = try CursorFile(name: "a", state: state)
        let error = #expect(throws: CursorError.self) { try CursorFile(name: "a", state: state) }
        #expect(error?.isInUse == true)
        _ = try CursorFile(name: "b", state: state)
        withExtendedLifetime(held) {}
    }

    @Test(
        "what a process left that was killed while it saved is removed at the next opening, and nothing else")
    func leftovers() throws {
        let state = stream.directory.path("state")
        let others = ["a.json", "a.json.ab.json", "a.json.ab.json.0123.tmp", "b.json.0123.tmp"]
        for name in others + ["a.json.0123456789abcdef.tmp"] {
            try stream.directory.write("state/cursors/\(name)", "{")
        }
        let file = try CursorFile(name: "a", state: state)
        #expect(Set(try DirectoryEntry.names(in: state + "/cursors")) == Set(others + ["a.lock"]))
        withExtendedLifetime(file) {}
    }

    @Test("a damaged cursor file is an error that says what to do")
    func damaged() throws {
        let state = stream.directory.path("state")
        let file = try CursorFile(name: "a", state: state)
        for text in ["", "{", "[]", "{\"version\":2,\"files\":[]}", "\0\0\0\0"] {
            try stream.directory.write("state/cursors/a.json", text)
            let error = #expect(throws: CursorError.self) { try file.load() }
            #expect(error?.description.contains(file.path) == true)
        }
    }

    @Test("names that could leave the directory are no cursor names")
    func names() {
        for name in ["a", "mail-2", "A_b.c"] { #expect(CursorFile.isValid(name: name)) }
        for name in [
            "", ".", "..", ".a", "a/b", "../a", "ä", "a b", "a\0", String(repeating: "a", count: 300),
        ] {
            #expect(!CursorFile.isValid(name: name), "\(name)")
        }
    }
}
