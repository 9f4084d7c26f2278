// A file that is copied and truncated while it is followed: what was not yet read of it lies in the copy.

import Following
import Glibc
import Platform
import Support
import Testing

struct CopyTruncateTests {
    let stream: Stream
    init() throws { stream = try Stream() }

    /// As logrotate's `copytruncate`.
    private func copyTruncate() throws {
        let names = try DirectoryEntry.names(in: stream.directory.path)
        for number in names.compactMap({ Int($0.dropFirst("notifications.log.".utf8.count)) }).sorted(by: >) {
            try stream.rename("notifications.log.\(number)", to: "notifications.log.\(number + 1)")
        }
        try copy()
        try #require(truncate(stream.path, 0) == 0)
    }

    @Test("what was written between the last look and the copy is read in the copy, before what comes later")
    func unread() throws {
        try stream.emit(2)
        let follower = try stream.follower()
        #expect(try drain(follower).numbers == [1, 2])
        try stream.emit(2)
        try copyTruncate()
        try stream.emit(1)
        #expect(try drain(follower).numbers == [3, 4, 5])
    }

    /// As `copytruncate` does it, up to the truncation.
    private func copy() throws {
        let bytes = try Files.read(stream.path, limit: 1 << 20)
        try Files.replace(stream.path + ".1", with: bytes, mode: 0o644, sync: false)
    }

    @Test("what was written behind the copy, and read, makes the copy no file of its own")
    func readBehindCopy() throws {
        try stream.emit(2)
        let follower = try stream.follower()
        #expect(try drain(follower).numbers == [1, 2])
        try stream.emit(1)
        try copy()
        try stream.emit(1)
        #expect(try drain(follower).numbers == [3, 4])
        try #require(truncate(stream.path, 0) == 0)
        try stream.emit(1)
        #expect(try drain(follower).numbers == [5])
    }

    @Test(
        "a copy that is seen before its file is truncated is read as nothing new, nor is it by another follower"
    )
    func untruncated() throws {
        try stream.emit(2)
        let follower = try stream.follower()
        #expect(try drain(follower).numbers == [1, 2])
        for rotates in [true, false] {
            if rotates { try stream.rotate() } else { try copyTruncate() }
            let first = stream.written.count + 1
            try stream.emit(1)
            if rotates { try stream.rename("notifications.log.1", to: "notifications.log.2") }
            if !rotates {
                try stream.rename("notifications.log.2", to: "notifications.log.3")
                try stream.rename("notifications.log.1", to: "notifications.log.2")
            }
            try copy()
            #expect(try drain(follower).numbers == [first])
            #expect(try drain(stream.follower(.cursor(follower.cursor))).numbers == [])
            try #require(truncate(stream.path, 0) == 0)
            #expect(try drain(follower).numbers == [])
        }
        try stream.emit(1)
        #expect(try drain(follower).numbers == [5])
    }

    @Test(
        "copies are read also where nothing of the file itself had been read, or it was copied twice, or renamed since"
    )
    func unseen() throws {
        let follower = try stream.follower()
        try stream.append("")
        #expect(try drain(follower).numbers == [])
        for _ in 0..<2 {
            try stream.emit(2)
            try copyTruncate()
        }
        #expect(try drain(follower).numbers == [1, 2, 3, 4])
        try stream.emit(2)
        try copyTruncate()
        try stream.rotate()
        try stream.emit(1)
        #expect(try drain(follower).numbers == [5, 6, 7])
    }

    @Test("a copy whose file is gone is the file by another name: its rest is read, and nothing twice")
    func gone() throws {
        try stream.emit(2)
        let follower = try stream.follower()
        #expect(try drain(follower).numbers == [1, 2])
        try stream.emit(1)
        try copyTruncate()
        unlink(stream.path)
        #expect(try drain(follower).numbers == [3])
    }

    @Test("begun anew while the truncated file has no line yet, nothing is read twice")
    func restarted() throws {
        try stream.emit(2)
        let follower = try stream.follower()
        _ = try drain(follower)
        try copyTruncate()
        _ = try drain(follower)
        let next = try stream.follower(.cursor(follower.cursor))
        try stream.emit(1)
        #expect(try drain(next).numbers == [3])
    }

    @Test(
        "a file that had no whole line, truncated and grown beyond what was read, is read from its beginning")
    func partial() throws {
        try stream.append("{\"action\":")
        let follower = try stream.follower()
        #expect(try drain(follower).numbers == [])
        truncate(stream.path, 0)
        try stream.emit(2)
        #expect(try drain(follower).numbers == [1, 2])
    }

    @Test(
        "a file of the cursor's that holds something else by now is read from its beginning, whatever is newer"
    )
    func renewed() throws {
        try stream.emit(2)
        let writer = try stream.holdingWriter()
        let follower = try stream.follower()
        try stream.rotate()
        try stream.emit(1)
        #expect(try drain(follower).numbers == [1, 2, 3])
        truncate(stream.path + ".1", 0)
        try stream.emit(1, by: writer)
        let next = try stream.follower(.cursor(follower.cursor))
        #expect(try drain(next).numbers == [4])
    }

    @Test("with nothing at the path, and an empty file among the older ones, none is read twice")
    func missing() throws {
        try stream.emit(1)
        let follower = try stream.follower()
        try stream.rotate()
        try stream.rotate()
        try stream.emit(1)
        #expect(try drain(follower).numbers == [1, 2])
        try stream.rotate()
        try stream.compress("notifications.log.1")
        try stream.emit(1)
        #expect(try drain(follower).numbers == [3])
        unlink(stream.path)
        #expect(try drain(follower).numbers == [])
        #expect(try drain(follower).numbers == [])
    }
}
