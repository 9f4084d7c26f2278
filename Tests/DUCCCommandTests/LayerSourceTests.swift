import Notifications
import Platform
import Support
import Synchronization
import Testing

@Suite("Layers come from where they are, and are what they are", .onBothRepositories)
struct LayerSourceTests {
    @Test("a layer that isn't distributable comes from its own address, verified; without one it is left out")
    func foreign() throws {
        let converting = try Converting()
        let archives = ["one", "two", "three"].map { name in TarBuilder.archive { $0.file(name, name) } }
        let blobs = try archives.map { try Compression.gzip.apply($0) }
        let elsewhere = try ScriptedServer { request in
            request.target == "/two" ? .init(200, body: blobs[1]) : .init(404)
        }
        var image = TestImage(archives.map { TestImage.Layer($0) })
        image.layers[1].urls = ["http://\(elsewhere.host)/missing", "http://\(elsewhere.host)/two"]
        image.layers[2].urls = []
        let written = try image.write(to: converting.layout, tag: "1")
        let server = try TransferTests.registry(converting.layout, written) { digest, _ in
            digest == written.layers[0] ? nil : .init(404)
        }
        let result = try converting.convert("http://\(server.host)/a/b:1")
        #expect(result.code == 0, "says: \(result.errors)")
        let link = converting.path("127.0.0.1:\(server.port)/a/b:1")
        #expect(Files.exists("\(link)/one") && Files.exists("\(link)/two") && !Files.exists("\(link)/three"))
        let warnings = result.errors.split(separator: "\n").filter { $0.contains("left out") }
        #expect(
            warnings.count == 1 && warnings[0].contains(written.layers[2])
                && warnings[0].contains("names no address"))
        // Nothing is done again for what is left out.
        _ = try converting.convert("http://\(server.host)/a/b:1")
        #expect(try converting.last(.skipImage) != nil)

        // Other bytes than the digest's are refused.
        let bad = try Converting()
        image.layers[1].urls = ["http://\(elsewhere.host)/two"]
        image.layers[1].archive = TarBuilder.archive { $0.file("two", "tw0") }
        image.layers.removeLast()
        let other = try image.write(to: bad.layout, tag: "1")
        let liar = try TransferTests.registry(bad.layout, other) { _, _ in nil }
        let refused = try bad.convert("http://\(liar.host)/a/b:1")
        #expect(refused.code == 1 && refused.errors.contains("SHA-256"), "says: \(refused.errors)")
    }

    @Test("a layer that isn't distributable is asked for once, also where it is tried again")
    func foreignOnce() throws {
        let converting = try Converting()
        let archives = ["one", "two"].map { name in TarBuilder.archive { $0.file(name, name) } }
        let blob = try Compression.gzip.apply(archives[1])
        let elsewhere = try ScriptedServer { _ in .init(200, body: blob) }
        var image = TestImage(archives.map { TestImage.Layer($0) })
        image.layers[1].urls = ["http://\(elsewhere.host)/two"]
        let written = try image.write(to: converting.layout, tag: "1")
        let server = try TransferTests.registry(converting.layout, written) { _, _ in nil }
        let result = try converting.convert("http://\(server.host)/a/b:1")
        #expect(result.code == 0, "says: \(result.errors)")
        #expect(elsewhere.requests.map { "\($0.method) \($0.target)" } == ["GET /two"])
        #expect(!server.requests.contains { $0.target.hasSuffix(written.layers[1]) })

        // Where the first attempt gets other bytes, each further one asks again, once.
        let other = try Converting()
        let number = Atomic<Int>(0)
        let late = try ScriptedServer { _ in
            number.add(1, ordering: .relaxed).newValue < 3
                ? .init(200, body: [UInt8](repeating: 0, count: blob.count)) : .init(200, body: blob)
        }
        image.layers[1].urls = ["http://\(late.host)/two"]
        let again = try image.write(to: other.layout, tag: "1")
        let registry = try TransferTests.registry(other.layout, again) { _, _ in nil }
        let third = try other.convert("http://\(registry.host)/a/b:1", "--attempts", "3")
        #expect(third.code == 0, "says: \(third.errors)")
        #expect(late.requests.count == 3)
    }

    @Test("a layer that isn't distributable and has no address is left out with a warning, and no error")
    func foreignWithoutAddress() throws {
        let converting = try Converting()
        var image = TestImage({ $0.file("one", "one") }, { $0.file("two", "two") })
        image.layers[1].urls = []
        let written = try image.write(to: converting.layout, tag: "1")
        let server = try TransferTests.registry(converting.layout, written) { digest, _ in
            digest == written.layers[1] ? .init(404) : nil
        }
        let result = try converting.convert("http://\(server.host)/a/b:1")
        #expect(result.code == 0, "says: \(result.errors)")
        #expect(
            result.errors.contains("not distributable and left out: its manifest names no address for it"))
        #expect(try converting.last(.endImageConversion)?[.status] == "ok")
        let link = converting.path("127.0.0.1:\(server.port)/a/b:1")
        #expect(Files.exists("\(link)/one") && !Files.exists("\(link)/two"))
        // It is asked for once: the registry may have it all the same.
        #expect(server.requests.filter { $0.target.hasSuffix(written.layers[1]) }.count == 1)
    }

    @Test(
        "a layer that is shorter, longer, endless or another one than the manifest says is refused, and nothing published",
        .timeLimit(.minutes(40)),
        arguments: [
            ("shorter", "bytes, but the manifest says"), ("longer", "is longer than the"),
            ("endless", "is longer than the"), ("other", "has other bytes"),
        ])
    func wrongBytes(way: String, text: String) throws {
        let converting = try Converting()
        let image = TestImage([.init(TarBuilder.archive { $0.file("etc/name", "one") }, .none)])
        let written = try image.write(to: converting.layout, tag: "1")
        var bytes = image.layers[0].archive
        switch way {
        case "shorter": bytes.removeLast(512)
        case "longer": bytes += [UInt8](repeating: 0, count: 512)
        // Behind the archive's end, where whoever unpacks looks no more.
        case "other": bytes[bytes.count - 1] = 1
        default: break
        }
        let body = bytes
        let server = try TransferTests.registry(converting.layout, written) { _, _ in
            var answer = ScriptedServer.Answer(200, body: body)
            if way == "endless" {
                answer.raw = Array("HTTP/1.1 200 OK\r\n\r\n".utf8) + body
                answer.refrain = [UInt8](repeating: 0, count: 64 << 10)
            }
            return answer
        }
        let result = try converting.convert("http://\(server.host)/a/b:1")
        #expect(result.code == 1 && result.errors.contains(text), "says: \(result.errors)")
        #expect(try converting.staged().isEmpty)
        #expect(!Files.exists(converting.path("127.0.0.1:\(server.port)")))
        #expect(!Files.exists(converting.path(".layers/\(written.layers[0].prefix(2))")))
    }

    @Test(
        "what a real registry's layer is, its content says, not its media type",
        arguments: [Compression.none, .gzip, .zstd], ["", "+gzip", "+zstd"])
    func mislabelled(compression: Compression, label: String) throws {
        let converting = try Converting()
        let registry = try DockerRegistry()
        let archive = TarBuilder.archive { $0.file("etc/name", "one") }
        let written = try TestImage([.init(archive, compression, label: label)])
            .write(to: converting.layout, tag: "1")
        try registry.push(converting.layout, tag: "1", as: "a/b:1")
        var result: CommandResult?
        let requests = try registry.requests {
            result = try converting.convert("http://\(registry.host)/a/b:1")
        }
        #expect(result?.code == 0, "says: \(result?.errors ?? "")")
        #expect(try text(of: converting.path("\(registry.host)/a/b:1/etc/name")) == "one")
        #expect(requests.contains("GET /v2/a/b/blobs/sha256:\(written.layers[0]) 200"))
    }
}

extension ScriptedServer {
    /// The port alone.
    var port: Substring { host.split(separator: ":")[1] }
}
