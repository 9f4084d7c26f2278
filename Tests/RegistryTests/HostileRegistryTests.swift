// What no registry does, and what must not hurt all the same.

import HTTP
import Images
import Platform
import Registry
import Support
import Testing

@Suite("A registry that means harm")
struct HostileRegistryTests {
    static func limit(head: Double) -> SpeedLimit {
        var limit = SpeedLimit()
        limit.headSeconds = head
        return limit
    }

    @Test("one that takes the request and says nothing is left, and tried again", .timeLimit(.minutes(40)))
    func silent() throws {
        let server = try ScriptedServer { _ in .silence }
        let complaint = try AccessTests.complaint(
            RegistryTests.source("http://\(server.host)/a/b:1", speed: Self.limit(head: 0.2)))
        #expect(complaint.contains("no answer within 0.2 s"), "says: \(complaint)")
        #expect(server.requests.count == 5)
    }

    @Test(
        "one that keeps sending before its answer comes is left in time", .timeLimit(.minutes(40)),
        arguments: [
            ("HTTP/1.1 307 Away\r\nLocation: /x\r\nContent-Length: 99999999999999\r\n\r\n", "x"),
            ("", "HTTP/1.1 102 Processing\r\n\r\n"),
        ])
    func endlessBefore(head: String, refrain: String) throws {
        let server = try ScriptedServer { _ in
            .init(raw: head, refrain: String(repeating: refrain, count: 100))
        }
        _ = try AccessTests.complaint(
            RegistryTests.source("http://\(server.host)/a/b:1", speed: Self.limit(head: 0.2)))
        #expect(server.requests.count <= 5)
    }

    @Test(
        "a head without end is cut off", .timeLimit(.minutes(40)),
        arguments: [("\r\n", "the head of its answer has no end"), ("", "cannot reach")])
    func endlessHead(end: String, text: String) throws {
        let line = "X-Header: " + String(repeating: "x", count: 1000) + end
        let server = try ScriptedServer { _ in .init(raw: "HTTP/1.1 200 OK\r\n", refrain: line) }
        let complaint = try AccessTests.complaint(RegistryTests.source("http://\(server.host)/a/b:1"))
        #expect(complaint.contains(text), "says: \(complaint)")
        #expect(server.requests.count <= 5)
    }

    @Test(
        "a challenge that leads nowhere good is none: nobody is shown a password",
        arguments: [
            "file:///etc/passwd", "ftp://thief.invalid/", "/token", "http://127.0.0.1\\@thief.invalid/token",
            "http://thief.invalid/ /", String(repeating: "x", count: 50_000), "http://thief.invalid/token",
            "http://127.0.0.1@thief.invalid/token", "http:///thief.invalid/token",
        ])
    func realms(realm: String) throws {
        let certificates = try Certificates()
        let registry = try DockerRegistry(
            .encryptedWithTokens(certificates, realm: realm.replacing("\\", with: "\\\\")))
        let trust = try AccessTests.trust(certificates, registry.host)
        let complaint = try AccessTests.complaint(
            RegistryTests.source(
                "\(registry.host)/a/b:1", AccessTests.variables(registry.host), certificates: trust.path))
        #expect(
            complaint.contains("in the clear: refused") || complaint.contains("denies access"),
            "says: \(complaint)")
    }

    @Test("a message is no longer than a person reads, whatever a challenge is made of")
    func longChallenge() throws {
        let realm = "http://127.0.0.1:\(try LoopbackPort.free())/token"
        let service = String(repeating: "x", count: 50_000)
        let server = try ScriptedServer { _ in
            .init(401, [("WWW-Authenticate", "Bearer realm=\"\(realm)\",service=\"\(service)\"")])
        }
        let complaint = try AccessTests.complaint(RegistryTests.source("http://\(server.host)/a/b:1"))
        #expect(complaint.contains("cannot reach \(realm)") && complaint.utf8.count < 1000)
    }

    @Test("of a layer's addresses no more are tried than a real one could have", .timeLimit(.minutes(40)))
    func addresses() throws {
        let server = try ScriptedServer { _ in .init(404) }
        let source = try RegistryTests.source("http://\(server.host)/a/b:1")
        let digest = try #require(Digest(sha256Hex: String(repeating: "a", count: 64)))
        let layer = Descriptor(
            mediaType: "application/vnd.oci.image.layer.nondistributable.v1.tar", digest: digest, size: 1,
            urls: (0..<1000).map { "http://\(server.host)/layer/\($0)" })
        #expect(throws: SourceError.self) { try source.blob(layer) }
        #expect(server.requests.filter { $0.target.hasPrefix("/layer/") }.count == 16)
        #expect(server.requests.last?.target == "/v2/a/b/blobs/\(digest)")
    }

    @Test("a trailer behind the body is no header")
    func trailers() throws {
        let body = #"{"tags":["1"]}"#
        let server = try ScriptedServer { _ in
            .init(
                raw: "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + "\(String(body.utf8.count, radix: 16))\r\n\(body)\r\n0\r\nLink: <?last=1>; rel=next\r\n\r\n"
            )
        }
        let reference = try ImageReference(parsing: "http://\(server.host)/a/b:*")
        let tags = try RegistryClient(agent: "test").tags(of: reference)
        #expect(tags == ["1"] && server.requests.count == 1)
    }

    @Test("HTTP/1.0 without a length is read to its end, and no HTTP at all is refused")
    func old() throws {
        let server = try ScriptedServer { _ in .init(raw: "HTTP/1.0 200 OK\r\n\r\ncontent") }
        let found = try TokenTests.blob(RegistryTests.source("http://\(server.host)/a/b:1"))
        #expect(found == Array("content".utf8))
        let older = try ScriptedServer { _ in .init(raw: "content") }
        _ = try RedirectTests.complaint(RegistryTests.source("http://\(older.host)/a/b:1"))
    }

    @Test(
        "what calls itself compressed is not inflated", arguments: ["Content-Encoding", "Transfer-Encoding"])
    func encodings(header: String) throws {
        let bomb = try Compression.tool("gzip", ["-9"], [UInt8](repeating: 0x20, count: 64 << 20))
        let server = try ScriptedServer { _ in
            .init(200, [(header, "gzip")], body: bomb)
        }
        let digest = try #require(Digest(sha256Hex: SHA256.hex(of: bomb)))
        let stream = try RegistryTests.source("http://\(server.host)/a/b:1")
            .blob(Descriptor(mediaType: "", digest: digest, size: Int64(bomb.count)))
        if header == "Content-Encoding" {
            #expect(try stream.collect(limit: bomb.count) == bomb)
        } else {
            // Nobody asked for it; whoever reads stops at the size that the manifest says.
            _ = try? stream.collect(limit: bomb.count)
        }
        // Of a manifest the limit counts what comes out.
        #expect(throws: (any Error).self) {
            try RegistryTests.source("http://\(server.host)/a/b:1").resolve(.default)
        }
    }

    @Test(
        "a digest header that is nonsense is no digest",
        arguments: [
            "sha256:../../etc", "sha256:", "md5:abc", "\u{1b}[31m", String(repeating: "a", count: 10_000),
        ])
    func digestHeader(text: String) throws {
        let directory = try TemporaryDirectory()
        let layout = directory.path("layout")
        let written = try RegistryTests.image.write(to: layout, tag: "1")
        let server = try ScriptedServer { request in
            var answer = AccessTests.serve(layout, request)
            answer.headers = [("Docker-Content-Digest", text)]
            return answer
        }
        let source = try RegistryTests.source("http://\(server.host)/a/b:1")
        #expect(try source.currentDigest().hex == written.manifest)
        try AccessTests.pull(source)
    }

    @Test("tags that no reference may have are none, whatever they would do to a path or a terminal")
    func tags() throws {
        let names = [
            "1", "../../etc", ".", "..", "a/b", "\\u001b[31mred", "a\\nb", "", "x\\u0000",
            String(repeating: "1", count: 129),
        ]
        let list = names.map { "\"\($0)\"" }.joined(separator: ",")
        let server = try ScriptedServer { _ in .init(200, body: Array("{\"tags\":[\(list)]}".utf8)) }
        let reference = try ImageReference(parsing: "http://\(server.host)/a/b:*")
        let client = RegistryClient(agent: "test", settings: RegistryTests.settings())
        #expect(try client.expand(reference).map(\.tag) == ["1"])
    }

    @Test("pages that are each as large as can be come to an end", .timeLimit(.minutes(40)))
    func largePages() throws {
        let page = Array("{\"tags\":[]\(String(repeating: " ", count: 15 << 20))}".utf8)
        let server = try ScriptedServer { request in
            // Each page has another address than all before.
            .init(200, [("Link", "<?last=\(request.target)x>; rel=next")], body: page)
        }
        let reference = try ImageReference(parsing: "http://\(server.host)/a/b:*")
        let client = RegistryClient(agent: "test", settings: RegistryTests.settings())
        let error = #expect(throws: SourceError.self) { try client.tags(of: reference) }
        #expect("\(try #require(error))".contains("without end"))
        #expect(server.requests.count < 10)
    }
}
