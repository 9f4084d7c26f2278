import Glibc
import HTTP
import Images
import Platform
import Registry
import Support
import Synchronization
import Testing

@Suite("What passes is tried again, and what broke off goes on")
struct RetryTests {
    @Test("waits double, up to a bound, half of each by chance, and end")
    func backoff() {
        var policy = RetryPolicy()
        policy.tries = 7
        policy.firstWait = 1
        policy.longestWait = 5
        for (chance, waits) in [
            (0.0, [500, 1000, 2000, 2500, 2500, 2500]), (1, [1000, 2000, 4000, 5000, 5000, 5000]),
        ] {
            var machine = RetryMachine(policy) { chance }
            for wait in waits { #expect(machine.failed() == .again(milliseconds: wait)) }
            #expect(machine.failed() == .giveUp)
        }
        var machine = RetryMachine(policy)
        #expect(machine.failed(retryAfter: 7) == .again(milliseconds: 7000))
        #expect(machine.failed(retryAfter: 301) == .giveUp)
    }

    @Test("progress makes a failure the first one again, a trickle doesn't")
    func progress() {
        var policy = RetryPolicy()
        policy.tries = 2
        policy.progressBytes = 100
        var machine = RetryMachine(policy)
        for _ in 0..<10 {
            machine.advanced(100)
            #expect(machine.failed() != .giveUp)
        }
        machine.advanced(99)
        #expect(machine.failed() == .giveUp)
    }

    @Test(
        "Retry-After is seconds or a date",
        arguments: [
            ("0", 0.0), ("120", 120), ("Sun, 06 Nov 1994 08:49:37 GMT", 10),
            ("Sun, 06 Nov 1994 08:49:00 GMT", 0),
            ("soon", nil), ("", nil), ("-5", nil), ("99999999999999999999999", .infinity),
        ])
    func retryAfter(text: String, seconds: Double?) {
        #expect(RetryMachine.retryAfter(text, now: 784_111_767) == seconds)
    }

    @Test("which answers pass")
    func classes() {
        #expect([429, 500, 502, 503, 504, 599].allSatisfy(RetryMachine.isTransient))
        #expect(![200, 301, 400, 401, 403, 404, 416, 501, 600].contains(where: RetryMachine.isTransient))
    }

    @Test("a slow sender is given up, a slow reader is not")
    func speed() {
        var limit = SpeedLimit()
        limit.bytesPerSecond = 100
        limit.seconds = 2
        limit.headSeconds = 5
        var watch = SpeedWatch(limit)
        // What the head takes is not the body's.
        #expect(watch.waited(4_000_000_000, isHead: true) == nil)
        watch.received(1)
        #expect(watch.waited(1_900_000_000, isHead: false) == nil)
        watch = SpeedWatch(limit)
        #expect(watch.waited(4_000_000_000, isHead: true) == nil)
        #expect(watch.waited(1_000_000_000, isHead: true) != nil)
        watch = SpeedWatch(limit)
        for _ in 0..<10 {
            watch.received(200)
            #expect(watch.waited(2_000_000_000, isHead: false) == nil)
        }
        watch.received(199)
        #expect(watch.waited(1_000_000_000, isHead: false) == nil)
        #expect(watch.waited(1_000_000_000, isHead: false) == "only 199 bytes came in 2.0 s")
    }

    @Test("a transfer asks for what is missing, and steps over what it has where it gets the whole")
    func resume() {
        var resume = BlobResume(size: 10)
        #expect(resume.headers.isEmpty)
        let first = resume.answered(200, contentRange: nil, tag: "\"t\"")
        #expect(first && resume.received(4) == 0..<4)
        #expect(resume.headers == [HTTPHeader("Range", "bytes=4-"), HTTPHeader("If-Range", "\"t\"")])
        let part = resume.answered(206, contentRange: "bytes 4-9/10", tag: nil)
        #expect(part && resume.received(2) == 0..<2)
        let whole = resume.answered(200, contentRange: nil, tag: "W/\"u\"")
        #expect(whole && resume.received(5) == 5..<5 && resume.received(4) == 1..<4)
        #expect(resume.headers == [HTTPHeader("Range", "bytes=9-")] && !resume.isComplete)
        for range in ["bytes 8-9/10", "bytes 9-9/11", "items 9-9/10", "bytes 9-9", ""] {
            var other = resume
            let isOfUse = other.answered(206, contentRange: range, tag: nil)
            #expect(!isOfUse && other.headers.isEmpty)
        }
    }

    static let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }

    /// Reads the bytes above from a server that does with them what it is told.
    static func blob(_ host: String, speed: SpeedLimit = SpeedLimit()) throws -> [UInt8]? {
        let digest = try #require(Digest(sha256Hex: SHA256.hex(of: bytes)))
        return try RegistryTests.source("http://\(host)/image:1", speed: speed)
            .blob(Descriptor(mediaType: "", digest: digest, size: Int64(bytes.count))).collect(limit: 1 << 24)
    }

    /// Where a request wants the bytes to begin.
    static func start(_ request: ScriptedServer.Request) -> Int {
        Int(request.headers["range"]?.dropFirst("bytes=".count).dropLast() ?? "") ?? 0
    }

    @Test(
        "a blob that breaks off again and again arrives whole, from servers that know ranges and those that don't",
        arguments: [true, false])
    func cut(knowsRanges: Bool) throws {
        let asked = Atomic<Int>(0)
        let server = try ScriptedServer { request in
            let number = asked.add(1, ordering: .relaxed).newValue
            let start = knowsRanges ? Self.start(request) : 0
            let rest = Self.bytes[start...]
            // Each answer is cut a little later than the one before; the last one isn't.
            let end = knowsRanges ? start + 700_000 : 700_000 * number
            var answer = ScriptedServer.Answer(
                start > 0 ? 206 : 200, [("ETag", "\"x\"")],
                body: Array(Self.bytes[start..<min(end, Self.bytes.count)]),
                length: rest.count)
            if start > 0 { answer.headers.append(("Content-Range", "bytes \(start)-2999999/3000000")) }
            return answer
        }
        let found = try Self.blob(server.host)
        #expect(found == Self.bytes)
        #expect(server.requests.count == 5)
        #expect(server.requests.map(Self.start) == [0, 700_000, 1_400_000, 2_100_000, 2_800_000])
        #expect(server.requests.dropFirst().allSatisfy { $0.headers["if-range"] == "\"x\"" })
    }

    @Test("a real registry is asked for the missing part alone")
    func real() throws {
        let directory = try TemporaryDirectory()
        let registry = try DockerRegistry()
        let content = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 5) }
        let image = TestImage([.init(TarBuilder.archive { $0.add("file", content: content) }, .none)])
        let written = try image.write(to: directory.path("layout"), tag: "1")
        try registry.push(directory.path("layout"), tag: "1", as: "image:1")
        let blob = try Files.read(directory.path("layout/blobs/sha256/\(written.layers[0])"))
        // The first answer is cut; the rest comes from the real one.
        let server = try ScriptedServer { request in
            request.headers["range"] == nil
                ? .init(200, body: Array(blob.prefix(100_000)), length: blob.count)
                : .init(307, [("Location", "http://\(registry.host)\(request.target)")])
        }
        let digest = try #require(Digest(sha256Hex: written.layers[0]))
        var found: [UInt8]?
        let requests = try registry.requests {
            found = try RegistryTests.source("http://\(server.host)/image:1")
                .blob(Descriptor(mediaType: "", digest: digest, size: Int64(blob.count))).collect(
                    limit: 1 << 24)
        }
        #expect(found == blob)
        #expect(requests == ["GET /v2/image/blobs/\(digest) 206"])
    }

    @Test("a range that wasn't asked for is not believed: the whole is asked for, once")
    func wrongRange() throws {
        let server = try ScriptedServer { request in
            request.headers["range"] == nil
                ? .init(200, body: Array(Self.bytes.prefix(1000)), length: Self.bytes.count)
                : .init(206, [("Content-Range", "bytes 0-9/3000000")], body: Array(Self.bytes.prefix(10)))
        }
        #expect(throws: SourceError.self) { try Self.blob(server.host) }
        #expect(server.requests.count <= 11)
    }

    @Test(
        "a wrong part costs one request for the whole, and the blob arrives",
        arguments: [
            ("bytes 999-2999999/3000000", "\"x\""), ("bytes 1000-2999999/2999999", "\"x\""),
            ("items 1000-2999999/3000000", "\"x\""), ("bytes 1000-2999999/3000000", "\"another\""),
        ])
    func wrongPart(range: String, tag: String) throws {
        let asked = Atomic<Int>(0)
        let server = try ScriptedServer { request in
            let number = asked.add(1, ordering: .relaxed).newValue
            guard number != 2 else {
                return .init(
                    206, [("Content-Range", range), ("ETag", tag)],
                    body: [UInt8](repeating: 7, count: Self.bytes.count - 1000))
            }
            let body = number == 1 ? Array(Self.bytes.prefix(1000)) : Self.bytes
            return .init(200, [("ETag", "\"x\"")], body: body, length: Self.bytes.count)
        }
        let found = try Self.blob(server.host)
        #expect(found == Self.bytes)
        #expect(server.requests.map { $0.headers["range"] } == [nil, "bytes=1000-", nil])
    }

    @Test("a server that drips is given up, and the rest fetched", .timeLimit(.minutes(40)))
    func drip() throws {
        let server = try ScriptedServer { request in
            let start = Self.start(request)
            guard start > 0 else {
                var answer = ScriptedServer.Answer(
                    200, body: Array(Self.bytes.prefix(1000)), length: Self.bytes.count)
                answer.stalls = true
                return answer
            }
            return .init(
                206, [("Content-Range", "bytes \(start)-2999999/3000000")], body: Array(Self.bytes[start...]))
        }
        var limit = SpeedLimit()
        limit.seconds = 0.3
        let found = try Self.blob(server.host, speed: limit)
        #expect(found == Self.bytes)
        #expect(server.requests.map(Self.start) == [0, 1000])
    }

    @Test(
        "a refusal that passes is waited for, as long as the server says",
        arguments: [(429, "1"), (503, "date"), (500, ""), (502, "0")])
    func transient(status: Int, after: String) throws {
        let asked = Atomic<Int>(0)
        let server = try ScriptedServer { _ in
            guard asked.add(1, ordering: .relaxed).newValue < 3 else {
                return .init(200, [("Docker-Content-Digest", "sha256:" + String(repeating: "a", count: 64))])
            }
            var headers: [(String, String)] = []
            if after == "date" {
                var now = time(nil) + 1
                var parts = tm()
                gmtime_r(&now, &parts)
                var text = [CChar](repeating: 0, count: 64)
                strftime(&text, 64, "%a, %d %b %Y %H:%M:%S GMT", &parts)
                headers = [
                    ("Retry-After", String(decoding: text.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self))
                ]
            } else if !after.isEmpty {
                headers = [("Retry-After", after)]
            }
            return .init(status, headers)
        }
        let began = MonotonicClock.nanoseconds()
        _ = try RegistryTests.source("http://\(server.host)/image:1").currentDigest()
        #expect(server.requests.count == 3)
        if after == "1" { #expect(MonotonicClock.nanoseconds() - began >= 2_000_000_000) }
    }

    @Test(
        "tries are bounded, and what doesn't pass has one",
        arguments: [(500, "", 5), (429, "", 5), (501, "", 1), (404, "", 1), (400, "", 1), (429, "3600", 1)])
    func bounded(status: Int, after: String, tries: Int) throws {
        let server = try ScriptedServer { _ in .init(status, after.isEmpty ? [] : [("Retry-After", after)]) }
        let complaint = try AccessTests.complaint(RegistryTests.source("http://\(server.host)/image:1"))
        #expect(server.requests.count == tries)
        if !after.isEmpty { #expect(complaint.contains("Retry-After: '3600'"), "says: \(complaint)") }
    }
}
