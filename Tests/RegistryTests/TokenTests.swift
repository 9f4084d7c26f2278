import Glibc
import HTTP
import Images
import Platform
import Registry
import Support
import Synchronization
import Testing

@Suite("Tokens")
struct TokenTests {
    /// A registry of blobs that wants the newest token, and gives tokens.
    final class Issuer: Sendable {
        private let issued = Atomic<Int>(0)
        /// The number of the token that is good; a new one becomes it.
        let good = Atomic<Int>(0)
        /// So many refusals are kept back until all of them are asked for.
        let together = Atomic<Int>(1)
        private let refused = Atomic<Int>(0)

        func answer(_ request: ScriptedServer.Request) -> ScriptedServer.Answer {
            if request.target.hasPrefix("/token") {
                let number = issued.add(1, ordering: .relaxed).newValue
                good.store(number, ordering: .relaxed)
                return .init(200, body: Array(#"{"token":"t\#(number)"}"#.utf8))
            }
            let number = good.load(ordering: .relaxed)
            guard number > 0, request.headers["authorization"] == "Bearer t\(number)" else {
                refused.add(1, ordering: .relaxed)
                let all = together.load(ordering: .relaxed)
                try? waitUntil("all were refused") { self.refused.load(ordering: .relaxed) >= all }
                let realm = "http://\(request.headers["host"] ?? "")/token"
                return .init(401, [("WWW-Authenticate", "Bearer realm=\"\(realm)\"")])
            }
            return .init(200, body: Array("content".utf8))
        }

        /// All tokens are good for nothing from now on; the next refusals come together.
        func revoke(_ count: Int) {
            good.store(0, ordering: .relaxed)
            refused.store(0, ordering: .relaxed)
            together.store(count, ordering: .relaxed)
        }
    }

    static func blob(_ source: any ImageSource) throws -> [UInt8]? {
        let content = Array("content".utf8)
        let digest = try #require(Digest(sha256Hex: SHA256.hex(of: content)))
        return try source.blob(Descriptor(mediaType: "", digest: digest, size: Int64(content.count)))
            .collect(limit: 100)
    }

    @Test("threads that see the same token expire fetch one between them, and so do those that have none yet")
    func sharedFetch() throws {
        let issuer = Issuer()
        let server = try ScriptedServer(issuer.answer)
        let source = try RegistryTests.source("http://\(server.host)/a/b:1")
        let count = 6
        for round in 1...3 {
            issuer.revoke(count)
            try Threads.forEach(count, width: count) { _ in
                let found = try Self.blob(source)
                #expect(found == Array("content".utf8))
            }
            let requests = server.requests
            #expect(requests.filter { $0.target.hasPrefix("/token") }.count == round)
            // One refusal and one success for each thread.
            #expect(requests.count == round * (2 * count + 1))
        }
    }

    @Test("a token service that keeps one registry waiting holds up no other")
    func unrelated() throws {
        let isOpen = Atomic<Bool>(false)
        let slow = try ScriptedServer { request in
            if request.headers["authorization"] != nil { return .init(200, body: Array("content".utf8)) }
            if request.target.hasPrefix("/token") {
                try? waitUntil("the other one is done") { isOpen.load(ordering: .relaxed) }
                return .init(200, body: Array(#"{"token":"x"}"#.utf8))
            }
            return .init(
                401, [("WWW-Authenticate", "Bearer realm=\"http://\(request.headers["host"] ?? "")/token\"")])
        }
        let issuer = Issuer()
        let quick = try ScriptedServer(issuer.answer)
        let client = RegistryClient(agent: "test", settings: RegistryTests.settings())
        let sources = try [slow, quick].map {
            try ImageSources.open(try ImageReference(parsing: "http://\($0.host)/a/b:1"), client: client)
        }
        let waiting = try Threads.start {
            #expect(throws: Never.self) { try Self.blob(sources[0]) }
        }
        try waitUntil("a token was asked for") { slow.requests.count == 2 }
        #expect(try Self.blob(sources[1]) == Array("content".utf8))
        isOpen.store(true, ordering: .relaxed)
        waiting.join()
        #expect(slow.requests.count == 3)
    }

    @Test("a registry's token of docker's file is shown as it is, and no token service is asked")
    func registryToken() throws {
        let service = try TokenService { _ in false }
        let (open, _) = try AccessTests.filled()
        let registry = try DockerRegistry(service.access, over: open)
        let name = "http://\(registry.host)/group/image:1"
        let home = try TemporaryDirectory()
        func file(_ token: String) -> String {
            #"{"auths":{"\#(registry.host)":{"registrytoken":"\#(token)","auth":"bm86bm8="}}}"#
        }
        try home.write(".docker/config.json", file(try service.token()))
        let requests = try registry.requests {
            try AccessTests.pull(RegistryTests.source(name, ["HOME": home.path]))
        }
        #expect(requests.count == 5 && requests.filter { $0.hasSuffix(" 401") }.count == 1)
        #expect(service.server.requests.isEmpty)

        try home.write(".docker/config.json", file("s3cret"))
        let refusals = try registry.requests {
            let complaint = try AccessTests.complaint(RegistryTests.source(name, ["HOME": home.path]))
            #expect(complaint.contains("the registry token of \(home.path)"), "says: \(complaint)")
        }
        #expect(refusals.count == 2 && refusals.allSatisfy { $0.hasSuffix(" 401") })
        #expect(service.server.requests.isEmpty)
    }

    @Test(
        "a registry that refuses each token is asked twice, and so is one that refuses a password",
        arguments: ["Bearer", "Basic"])
    func refusedTwice(scheme: String) throws {
        let server = try ScriptedServer { request in
            if request.target.hasPrefix("/token") { return .init(200, body: Array(#"{"token":"x"}"#.utf8)) }
            let realm = "http://\(request.headers["host"] ?? "")/token"
            return .init(401, [("WWW-Authenticate", "\(scheme) realm=\"\(realm)\"")])
        }
        let complaint = try AccessTests.complaint(
            RegistryTests.source("http://\(server.host)/a/b:1", AccessTests.variables(server.host)))
        #expect(complaint.contains("denies access"))
        #expect(server.requests.filter { $0.target.hasPrefix("/v2/") }.count == 2)
        #expect(server.requests.count == (scheme == "Bearer" ? 3 : 2))
    }

    @Test("a token service that answers without end is left", .timeLimit(.minutes(40)))
    func endless() throws {
        let server = try ScriptedServer { request in
            if request.target.hasPrefix("/token") {
                return .init(
                    raw: "HTTP/1.1 200 OK\r\n\r\n{\"token\":\"", refrain: String(repeating: "x", count: 4096))
            }
            let realm = "http://\(request.headers["host"] ?? "")/token"
            return .init(401, [("WWW-Authenticate", "Bearer realm=\"\(realm)\"")])
        }
        let complaint = try AccessTests.complaint(RegistryTests.source("http://\(server.host)/a/b:1"))
        #expect(complaint.contains("gave an endless answer"), "says: \(complaint)")
        #expect(server.requests.count == 2)
    }
}
