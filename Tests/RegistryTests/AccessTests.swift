import HTTP
import Images
import Platform
import Registry
import Support
import Synchronization
import Testing

@Suite("Registries that want to know who asks")
struct AccessTests {
    /// A registry anybody may push to, with an image.
    static func filled() throws -> (DockerRegistry, TestImage.Written) {
        let directory = try TemporaryDirectory()
        let registry = try DockerRegistry()
        let written = try RegistryTests.image.write(to: directory.path("layout"), tag: "1")
        try registry.push(directory.path("layout"), tag: "1", as: "group/image:1")
        return (registry, written)
    }

    static func variables(_ host: String, password: String = "s3cret pass") -> [String: String] {
        [
            "DUCC_AUTH_REGISTRIES": "A", "DUCC_A_IDENT": host, "DUCC_A_USER": "reader",
            "DUCC_A_PASS": password,
        ]
    }

    /// Reads a whole image.
    static func pull(_ source: any ImageSource) throws {
        let manifest = try source.resolve(.default).manifest
        _ = try source.configuration(manifest)
        for (descriptor, layer) in zip(manifest.layers, RegistryTests.image.layers) {
            let blob = try source.blob(descriptor).collect(limit: 1 << 20)
            let expected = try layer.compression.apply(layer.archive)
            #expect(blob == expected)
        }
    }

    static func complaint(_ source: any ImageSource) throws -> String {
        let error = #expect(throws: SourceError.self) { try source.resolve(.default) }
        let text = "\(try #require(error))"
        #expect(!text.contains("\n") && !text.contains("s3cret"), "says: \(text)")
        return text
    }

    @Test(
        "a real registry with passwords: asked once too often, then not again; refusals say who was refused")
    func password() throws {
        let directory = try TemporaryDirectory()
        // "s3cret pass", as `htpasswd -B` hashes it.
        let file = try directory.write(
            "htpasswd", "reader:$2b$04$abcdefghijklmnopqrstuuoBpIrM0OnplXjsOI8DWYJTHUhJDuUv.\n")
        let (open, written) = try Self.filled()
        let registry = try DockerRegistry(.password(file), over: open)
        let name = "http://\(registry.host)/group/image:1"
        let client = RegistryClient(
            agent: "test", settings: RegistryTests.settings(Self.variables(registry.host)))
        let source = try ImageSources.open(try ImageReference(parsing: name), client: client)
        var current: Digest?
        let requests = try registry.requests { current = try source.currentDigest() }
        #expect(current?.hex == written.manifest)
        let head = "HEAD /v2/group/image/manifests/1"
        #expect(requests == ["\(head) 401", "\(head) 200"])
        #expect(try registry.requests { _ = try source.currentDigest() } == ["\(head) 200"])
        // Another image of the same registry: no question any more.
        let other = try ImageSources.open(
            try ImageReference(parsing: "http://\(registry.host)/other:1"), client: client)
        let missing = try registry.requests {
            #expect(throws: SourceError.self) { try other.currentDigest() }
        }
        #expect(missing == ["HEAD /v2/other/manifests/1 404"])
        try Self.pull(source)

        let wrong = try Self.complaint(
            RegistryTests.source(name, Self.variables(registry.host, password: "s3cret?")))
        #expect(wrong.contains("user 'reader' (from DUCC_A_USER)"), "says: \(wrong)")
        let none = try Self.complaint(RegistryTests.source(name))
        #expect(none.contains("no credentials were sent"), "says: \(none)")
    }

    @Test(
        "a real registry with tokens: the token service is shown the password, the registry the token alone")
    func token() throws {
        let service = try TokenService { request in
            // "reader:s3cret pass"
            request.headers["authorization"] == "Basic cmVhZGVyOnMzY3JldCBwYXNz"
        }
        let (open, written) = try Self.filled()
        let registry = try DockerRegistry(service.access, over: open)
        let name = "http://\(registry.host)/group/image:1"
        let source = try RegistryTests.source(name, Self.variables(registry.host))
        var current: Digest?
        let requests = try registry.requests { current = try source.currentDigest() }
        #expect(current?.hex == written.manifest)
        let head = "HEAD /v2/group/image/manifests/1"
        #expect(requests == ["\(head) 401", "\(head) 200"])
        #expect(try registry.requests { _ = try source.currentDigest() } == ["\(head) 200"])
        try Self.pull(source)
        #expect(service.server.requests.count == 1)

        let wrong = try Self.complaint(
            RegistryTests.source(name, Self.variables(registry.host, password: "s3cret?")))
        #expect(wrong.contains("token service") && wrong.contains("user 'reader'"), "says: \(wrong)")
        let none = try Self.complaint(RegistryTests.source(name))
        #expect(none.contains("no credentials were sent"), "says: \(none)")
    }

    @Test("an identity token is exchanged by POST")
    func identityToken() throws {
        let service = try TokenService { $0.method == "POST" && $0.target == "/token" }
        let (open, _) = try Self.filled()
        let registry = try DockerRegistry(service.access, over: open)
        let home = try TemporaryDirectory()
        try home.write(
            ".docker/config.json", #"{"auths":{"\#(registry.host)":{"identitytoken":"re fresh"}}}"#)
        try Self.pull(
            RegistryTests.source("http://\(registry.host)/group/image:1", ["HOME": home.path]))
        let request = try #require(service.server.requests.first)
        #expect(request.headers["authorization"] == nil)
        #expect(
            request.body
                == "grant_type=refresh_token&refresh_token=re%20fresh&client_id=cvmfs_ducc&service=test&scope=repository%3Agroup%2Fimage%3Apull"
        )
    }

    @Test("a token that expires in the middle of a pull is fetched anew, once for each time")
    func expiring() throws {
        let directory = try TemporaryDirectory()
        let layout = directory.path("layout")
        try RegistryTests.image.write(to: layout, tag: "1")
        let issued = Atomic<Int>(0)
        let uses = Atomic<Int>(0)
        let server = try ScriptedServer { request in
            let host = request.headers["host"] ?? ""
            if request.target.hasPrefix("/token") {
                uses.store(0, ordering: .relaxed)
                let number = issued.add(1, ordering: .relaxed).newValue
                return .init(200, body: Array(#"{"token":"t\#(number)"}"#.utf8))
            }
            // Each token is good for two requests.
            let number = issued.load(ordering: .relaxed)
            guard request.headers["authorization"] == "Bearer t\(number)",
                uses.add(1, ordering: .relaxed).newValue <= 2
            else { return .init(401, [("WWW-Authenticate", #"Bearer realm="http://\#(host)/token""#)]) }
            return Self.serve(layout, request)
        }
        try Self.pull(RegistryTests.source("http://\(server.host)/a/b:1"))
        // Manifest, configuration, two layers.
        #expect(issued.load(ordering: .relaxed) == 2)
    }

    @Test("a challenge of another host, behind a redirect, gets nothing")
    func foreignChallenge() throws {
        let thief = try ScriptedServer { request in
            request.target == "/steal"
                ? .init(200, body: Array(#"{"token":"x"}"#.utf8))
                : .init(
                    401,
                    [
                        (
                            "WWW-Authenticate",
                            "Bearer realm=\"http://\(request.headers["host"] ?? "")/steal\", Basic realm=\"x\""
                        )
                    ])
        }
        let server = try ScriptedServer { _ in .init(307, [("Location", "http://\(thief.host)/elsewhere")]) }
        let complaint = try Self.complaint(
            RegistryTests.source("http://\(server.host)/a/b:1", Self.variables(server.host)))
        #expect(complaint.contains("denies access"))
        #expect(thief.requests.map(\.target) == ["/elsewhere"])
        #expect(thief.requests.allSatisfy { $0.headers["authorization"] == nil })
    }

    @Test("a password never goes in the clear to another host than the wish's: not to a realm of http either")
    func clear() throws {
        let certificates = try Certificates()
        // A registry behind TLS that names a token service without it, elsewhere.
        let realm = #"http://token.example/token"#
        let registry = try DockerRegistry(.encryptedWithTokens(certificates, realm: realm))
        let trust = try Self.trust(certificates, registry.host)
        let complaint = try Self.complaint(
            RegistryTests.source(
                "\(registry.host)/a/b:1", Self.variables(registry.host), certificates: trust.path))
        #expect(
            complaint.contains("in the clear: refused") && complaint.contains("'reader'"),
            "says: \(complaint)")
    }

    /// A directory of certificates for one host.
    static func trust(_ certificates: Certificates, _ host: String) throws -> TemporaryDirectory {
        let directory = try TemporaryDirectory()
        try directory.write("\(host)/ca.crt", try text(of: certificates.authority))
        return directory
    }

    /// What a registry that has a layout's blobs answers.
    static func serve(_ layout: String, _ request: ScriptedServer.Request) -> ScriptedServer.Answer {
        let name = request.target.split(separator: "/").last ?? ""
        let index = (try? text(of: "\(layout)/index.json")) ?? ""
        let tagged = index.components(behind: "sha256:").prefix(64)
        let digest = name.hasPrefix("sha256:") ? String(name.dropFirst(7)) : String(tagged)
        guard let bytes = try? Files.read("\(layout)/blobs/sha256/\(digest)") else { return .init(404) }
        return .init(200, [("Docker-Content-Digest", "sha256:\(digest)")], body: bytes)
    }
}

extension String {
    /// What stands behind the first occurrence of a text.
    fileprivate func components(behind mark: String) -> Substring {
        var rest = self[...]
        while !rest.isEmpty, !rest.hasPrefix(mark) { rest.removeFirst() }
        return rest.dropFirst(mark.count)
    }
}
