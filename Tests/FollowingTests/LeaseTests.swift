// When a renamed file is finished: a read lease tells, where one can be had.

import Following
import Glibc
import Platform
import Support
import Testing

struct LeaseTests {
    let stream: Stream
    init() throws { stream = try Stream() }

    @Test(
        "a renamed file that a writer keeps open is kept far longer than any wait, and what it writes then is read"
    )
    func writerStays() throws {
        try stream.emit()
        let follower = try stream.follower(rotateWait: 0)
        let writer = try stream.holdingWriter()
        try stream.rotate()
        try stream.emit()
        #expect(try drain(follower).numbers == [1, 2])
        for _ in 0..<5 {
            // Newer files come and go meanwhile.
            try stream.rotate()
            try stream.emit()
            _ = try drain(follower)
            #expect(follower.cursor.files.count == 2)
        }
        try stream.emit(2, by: writer)
        #expect(try drain(follower).numbers == [8, 9])
    }

    @Test("a renamed file that no writer has is finished at once, and what was written just before is read")
    func writerLeaves() throws {
        try stream.emit()
        let follower = try stream.follower(rotateWait: 1000)
        var writer: SharedDescriptor? = try stream.holdingWriter()
        try stream.rotate()
        try stream.emit()
        #expect(try drain(follower).numbers == [1, 2])
        #expect(follower.cursor.files.count == 2)
        if let writer { try stream.emit(by: writer) }
        writer = nil
        #expect(try drain(follower).numbers == [3])
        #expect(follower.cursor.files.map(\.name) == ["notifications.log"])
    }

    @Test("a finished file that is moved back to the path is not read again")
    func movedBack() throws {
        try stream.emit(2)
        let follower = try stream.follower()
        try stream.rotate()
        try stream.emit()
        #expect(try drain(follower).numbers == [1, 2, 3])
        #expect(follower.cursor.files.count == 1)
        try stream.rename("notifications.log.1", to: "notifications.log")
        try stream.emit()
        #expect(try drain(follower).numbers == [4])
    }

    @Test("a lease tells whether anybody has the file open for writing, and disturbs nobody who opens it")
    func probe() throws {
        try stream.emit()
        let reading = try OwnedDescriptor(opening: stream.path, O_RDONLY)
        #expect(ReadLease.probe(reading.raw) == .granted)
        let writer = try stream.holdingWriter()
        #expect(ReadLease.probe(reading.raw) == .refused)
        withExtendedLifetime(writer) {}
        let pipe = stream.directory.path("pipe")
        mkfifo(pipe, 0o600)
        let other = try OwnedDescriptor(opening: pipe, O_RDONLY | O_NONBLOCK)
        #expect(ReadLease.probe(other.raw) == .unavailable)
    }

    @Test("writers that open the file all the time are neither held up nor do they end whoever asks")
    func undisturbed() throws {
        try stream.emit()
        let script = """
            import os, sys, time
            longest = 0
            for _ in range(3000):
                begin = time.monotonic()
                os.close(os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND))
                longest = max(longest, time.monotonic() - begin)
            print(longest)
            """
        let writer = try RunningCommand("python3", ["-c", script, stream.path])
        let reading = try OwnedDescriptor(opening: stream.path, O_RDONLY)
        var probes = 0
        try waitUntil("the writer is done") {
            for _ in 0..<200 { if ReadLease.probe(reading.raw) == .granted { probes += 1 } }
            return !writer.outputSoFar.isEmpty
        }
        let result = try writer.wait()
        // A lease that is not given back holds a writer up for 45 seconds.
        #expect(result.code == 0 && (Double(result.output.dropLast()) ?? 99) < 5 && probes > 0)
    }
}
