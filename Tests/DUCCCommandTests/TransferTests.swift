import Glibc
import Notifications
import Platform
import Support
import Synchronization
import Testing

@Suite("Transfers that fail, wait or go other ways", .onBothRepositories)
struct TransferTests {
    static let image = TestImage({ $0.file("etc/name", "one") }, { $0.file("etc/second", "two") })

    /// A registry with a layout's image; `layer` may answer for a layer, told how often it was asked for.
    static func registry(
        _ layout: String, _ written: TestImage.Written,
        _ layer: @escaping @Sendable (String, Int) -> ScriptedServer.Answer?
    ) throws -> ScriptedServer {
        let asked = Mutex<[String: Int]>([:])
        return try ScriptedServer { request in
            let name = request.target.split(separator: "/").last ?? ""
            let digest = name.hasPrefix("sha256:") ? String(name.dropFirst(7)) : written.manifest
            let number = asked.withLock { asked in
                asked[digest, default: 0] += 1
                return asked[digest] ?? 0
            }
            if written.layers.contains(digest), let answer = layer(digest, number) { return answer }
            guard let bytes = try? Files.read("\(layout)/blobs/sha256/\(digest)") else { return .init(404) }
            return .init(200, [("Docker-Content-Digest", "sha256:\(digest)")], body: bytes)
        }
    }

    @Test("an attempt that another one follows is a warning, and no end with an error")
    func attempts() throws {
        let converting = try Converting()
        let written = try Self.image.write(to: converting.layout, tag: "1")
        // A layer that is another one at first: it unpacks, but isn't what its digest names.
        let other = try Compression.gzip.apply(TarBuilder.archive { $0.file("etc/others", "two") })
        let server = try Self.registry(converting.layout, written) { digest, number in
            digest == written.layers[1] && number < 3 ? .init(200, body: other) : nil
        }
        let result = try converting.convert("http://\(server.host)/a/b:1", "--attempts", "3")
        #expect(result.code == 0, "says: \(result.errors)")
        let warnings = result.errors.split(separator: "\n").filter {
            $0.contains("level=warning") || $0.contains("level=warn ")
        }
        #expect(
            warnings.count == 2 && warnings.allSatisfy { $0.contains("of 3 failed") },
            "says: \(result.errors)")
        let events = try converting.events()
        #expect(events.allSatisfy { $0[.status] == nil || $0[.status] == "ok" })
        #expect(events.filter { $0.action == .startLayerConversion }.count == 2)
        let link = converting.path("127.0.0.1:\(server.port)/a/b:1")
        #expect(try text(of: "\(link)/etc/second") == "two")
        #expect(!Files.exists("\(link)/etc/others"))
    }

    @Test("the last attempt's failure is the error, once", arguments: [("1", 1), ("2", 2)])
    func finalFailure(attempts: String, tries: Int) throws {
        let converting = try Converting()
        let written = try Self.image.write(to: converting.layout, tag: "1")
        let server = try Self.registry(converting.layout, written) { digest, _ in
            digest == written.layers[1] ? .init(200, body: Array("damaged".utf8)) : nil
        }
        let result = try converting.convert("http://\(server.host)/a/b:1", "-r", attempts)
        #expect(result.code == 1)
        let asked = server.requests.filter { $0.target.hasSuffix(written.layers[1]) }
        #expect(asked.count == tries)
        let ends = try converting.events().filter {
            $0.action == .endLayerConversion && $0[.layer] == written.layers[1]
        }
        #expect(ends.map { $0[.status] } == ["error"])
        #expect(try converting.last(.endImageConversion)?[.status] == "error")
        #expect(try converting.staged().isEmpty)
    }

    @Test("a signal ends the wait that a registry asked for, at once")
    func interruptedWait() throws {
        let converting = try Converting()
        let server = try ScriptedServer { _ in .init(503, [("Retry-After", "250")]) }
        let running = try converting.start(
            ["convert-single-image", "http://\(server.host)/a/b:1", converting.repository])
        try waitUntil("the registry was asked") { !server.requests.isEmpty }
        let began = MonotonicClock.nanoseconds()
        running.signal(SIGTERM)
        #expect(try running.wait().code == 143)
        #expect(MonotonicClock.nanoseconds() - began < 10_000_000_000)
        #expect(try converting.last(.endImageConversion)?[.error] == "interrupted")
    }
}
