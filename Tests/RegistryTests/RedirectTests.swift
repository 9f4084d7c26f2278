import HTTP
import Images
import Platform
import Registry
import Support
import Testing

@Suite("Redirects lead where they may")
struct RedirectTests {
    /// What a source says of the bytes "content".
    static func complaint(_ source: any ImageSource) throws -> String {
        let error = #expect(throws: SourceError.self) { try TokenTests.blob(source) }
        let text = "\(try #require(error))"
        #expect(!text.contains("\n"), "says: \(text)")
        return text
    }

    @Test("no more than ten are followed", .timeLimit(.minutes(40)))
    func bounded() throws {
        let server = try ScriptedServer { .init(307, [("Location", "\($0.target)x")]) }
        let complaint = try Self.complaint(RegistryTests.source("http://\(server.host)/a/b:1"))
        #expect(complaint.contains("redirect"), "says: \(complaint)")
        #expect(server.requests.count == 11)
    }

    @Test(
        "neither a password nor a token goes with one, to another host or another port",
        arguments: ["127.0.0.1", "localhost"])
    func authorization(host: String) throws {
        let other = try ScriptedServer { _ in .init(200, body: Array("content".utf8)) }
        let location = "http://\(host):\(other.host.split(separator: ":")[1])/elsewhere"
        for scheme in ["Basic", "Bearer"] {
            let server = try ScriptedServer { request in
                if request.target.hasPrefix("/token") {
                    return .init(200, body: Array(#"{"token":"x"}"#.utf8))
                }
                let realm = "http://\(request.headers["host"] ?? "")/token"
                return request.headers["authorization"] == nil
                    ? .init(401, [("WWW-Authenticate", "\(scheme) realm=\"\(realm)\"")])
                    : .init(307, [("Location", location)])
            }
            let source = try RegistryTests.source(
                "http://\(server.host)/a/b:1", AccessTests.variables(server.host))
            #expect(try TokenTests.blob(source) == Array("content".utf8))
            #expect(server.requests.last?.headers["authorization"]?.hasPrefix(scheme) == true)
        }
        #expect(other.requests.map(\.target) == ["/elsewhere", "/elsewhere"])
        #expect(other.requests.allSatisfy { $0.headers["authorization"] == nil })
    }

    @Test("none leads from https to http: a real registry that tries is refused")
    func downgrade() throws {
        let certificates = try Certificates()
        let other = try ScriptedServer { _ in .init(200, body: Array("content".utf8)) }
        let (open, written) = try AccessTests.filled()
        var access = DockerRegistry.Access.encrypted(
            certificates.certificate("server"), key: certificates.key("server"))
        access.middleware = "{storage: [{name: redirect, options: {baseurl: \"http://\(other.host)/\"}}]}"
        let registry = try DockerRegistry(access, over: open)
        let trust = try AccessTests.trust(certificates, registry.host)
        let source = try RegistryTests.source(
            "\(registry.host)/group/image:1", certificates: trust.path)
        let digest = try #require(Digest(sha256Hex: written.layers[0]))
        let requests = try registry.requests {
            let error = #expect(throws: SourceError.self) {
                try source.blob(Descriptor(mediaType: "", digest: digest, size: 1)).collect(limit: 100)
            }
            #expect(error?.description.contains("cannot reach https://\(registry.host)/") == true)
        }
        #expect(requests == ["GET /v2/group/image/blobs/\(digest) 307"])
        #expect(other.requests.isEmpty)
    }

    @Test(
        "none leads out of http and https", .timeLimit(.minutes(40)),
        arguments: [
            "file:///etc/passwd", "FILE:///etc/passwd", "ftp://HOST/x", "gopher://HOST/_x", "dict://HOST/d",
            "telnet://HOST", "scp://HOST/x", "smb://HOST/x", "http+unix://HOST/x",
        ])
    func schemes(location: String) throws {
        // Whoever follows it connects here.
        let other = try ScriptedServer { _ in .init(200, body: Array("content".utf8)) }
        let server = try ScriptedServer { _ in
            .init(307, [("Location", location.replacing("HOST", with: other.host))])
        }
        let complaint = try Self.complaint(RegistryTests.source("http://\(server.host)/a/b:1"))
        #expect(
            complaint.contains("rotocol") || complaint.contains("Unsupported URL scheme"),
            "says: \(complaint)")
        #expect(server.requests.count == 1 && other.connections == 0)
    }
}
