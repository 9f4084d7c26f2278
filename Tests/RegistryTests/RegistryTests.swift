import HTTP
import Images
import Platform
import Registry
import Support
import Testing

@Suite("A registry as a source")
struct RegistryTests {
    /// A source with the credentials and certificates of a test alone.
    static func source(
        _ name: String, _ environment: [String: String] = [:], certificates: String? = nil,
        speed: SpeedLimit = SpeedLimit()
    ) throws -> any ImageSource {
        try ImageSources.open(
            try ImageReference(parsing: name),
            client: RegistryClient(
                agent: "test", settings: settings(environment, certificates: certificates, speed: speed)))
    }

    /// Settings with waits that a test can afford.
    static func settings(
        _ environment: [String: String] = [:], certificates: String? = nil, speed: SpeedLimit = SpeedLimit()
    ) -> RegistrySettings {
        var settings = RegistrySettings(environment: environment)
        settings.certificateDirectories = certificates.map { [$0] } ?? []
        settings.retry.firstWait = 0.01
        settings.retry.longestRetryAfter = 2
        settings.speed = speed
        return settings
    }

    static let image = TestImage({ $0.file("etc/name", "one") }, { $0.file("etc/second", "two") })

    @Test("a real registry gives manifest, configuration and blobs, and the digest for one request")
    func real() throws {
        let directory = try TemporaryDirectory()
        let registry = try DockerRegistry()
        let written = try Self.image.write(to: directory.path("layout"), tag: "1")
        try registry.push(directory.path("layout"), tag: "1", as: "group/image:1")
        let source = try Self.source("http://\(registry.host)/group/image:1")

        var current: Digest?
        let requests = try registry.requests { current = try source.currentDigest() }
        #expect(current?.hex == written.manifest)
        #expect(requests == ["HEAD /v2/group/image/manifests/1 200"])

        let (document, manifest, digest) = try source.resolve(.default)
        #expect(document.digest.hex == written.manifest && digest == document.digest)
        #expect(manifest.layers.map(\.digest.hex) == written.layers)
        #expect(try source.configuration(manifest).0.platform == .default)
        for (descriptor, layer) in zip(manifest.layers, Self.image.layers) {
            let blob = try source.blob(descriptor).collect(limit: 1 << 20)
            let expected = try layer.compression.apply(layer.archive)
            #expect(blob == expected)
        }
    }

    @Test("https to a registry on this machine that speaks http is tried as http, and stays so")
    func localFallback() throws {
        let directory = try TemporaryDirectory()
        let registry = try DockerRegistry()
        try Self.image.write(to: directory.path("layout"), tag: "1")
        try registry.push(directory.path("layout"), tag: "1", as: "image:1")
        let source = try Self.source("\(registry.host)/image:1")
        #expect(try source.resolve(.default).manifest.layers.count == 2)
    }

    @Test("a large blob arrives whole, however slowly it is read")
    func large() throws {
        let bytes = (0..<5_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        let server = try ScriptedServer { _ in .init(200, body: bytes) }
        let digest = try #require(Digest(sha256Hex: SHA256.hex(of: bytes)))
        let blob = try Self.source("http://\(server.host)/image:1")
            .blob(Descriptor(mediaType: "", digest: digest, size: Int64(bytes.count)))
        var found: [UInt8] = []
        while true {
            let chunk = try blob.next()
            if chunk.isEmpty { break }
            found.append(contentsOf: chunk)
        }
        #expect(found == bytes)
    }

    @Test("a token that anybody may have is fetched once and used for the rest")
    func anonymousToken() throws {
        let directory = try TemporaryDirectory()
        let layout = directory.path("layout")
        let written = try Self.image.write(to: layout, tag: "1")
        let server = try ScriptedServer { request in
            if request.target.hasPrefix("/token?") {
                return .init(200, body: Array(#"{"token":"for-anybody"}"#.utf8))
            }
            guard request.headers["authorization"] == "Bearer for-anybody" else {
                let host = request.headers["host"] ?? ""
                return .init(
                    401,
                    [
                        (
                            "WWW-Authenticate",
                            #"Bearer realm="http://\#(host)/token",service="a registry",scope="repository:a/b:pull""#
                        )
                    ])
            }
            let name = request.target.split(separator: "/").last ?? ""
            let digest = name.hasPrefix("sha256:") ? String(name.dropFirst(7)) : written.manifest
            guard let bytes = try? Files.read("\(layout)/blobs/sha256/\(digest)") else { return .init(404) }
            return .init(200, [("Docker-Content-Digest", "sha256:\(digest)")], body: bytes)
        }
        let source = try Self.source("http://\(server.host)/a/b:1")
        #expect(try source.currentDigest().hex == written.manifest)
        let manifest = try source.resolve(.default).manifest
        _ = try source.configuration(manifest)
        let tokens = server.requests.filter { $0.target.hasPrefix("/token") }
        #expect(tokens.map(\.target) == ["/token?service=a%20registry&scope=repository%3Aa%2Fb%3Apull"])
        #expect(server.requests.count == 5)
    }

    @Test("a manifest that isn't the one asked for is refused")
    func wrongManifest() throws {
        let server = try ScriptedServer { _ in .init(200, body: Array("{}".utf8)) }
        let digest = String(repeating: "a", count: 64)
        let source = try Self.source("http://\(server.host)/image@sha256:\(digest)")
        let error = #expect(throws: SourceError.self) { try source.resolve(.default) }
        #expect("\(try #require(error))".contains("another manifest"))
    }

    @Test("a configuration that isn't the one its digest names is refused", arguments: ["other", "longer"])
    func wrongConfiguration(way: String) throws {
        let directory = try TemporaryDirectory()
        let layout = directory.path("layout")
        let written = try Self.image.write(to: layout, tag: "1")
        let server = try ScriptedServer { request in
            var answer = AccessTests.serve(layout, request)
            if request.target.hasSuffix(written.configuration) {
                // It reads the same.
                let text = String(decoding: answer.body, as: UTF8.self)
                answer.body = Array(
                    (way == "longer" ? text + " " : text.replacing("2023", with: "2024")).utf8)
            }
            return answer
        }
        let source = try Self.source("http://\(server.host)/a/b:1")
        let manifest = try source.resolve(.default).manifest
        let error = #expect(throws: SourceError.self) { try source.configuration(manifest) }
        #expect("\(try #require(error))".contains("is not the one its digest names"))
    }

    @Test("a body that breaks off is an error, not a shorter blob")
    func cut() throws {
        let server = try ScriptedServer { _ in .init(200, body: [1, 2, 3], length: 1000) }
        let digest = try #require(Digest(sha256Hex: String(repeating: "a", count: 64)))
        let blob = try Self.source("http://\(server.host)/image:1")
            .blob(Descriptor(mediaType: "", digest: digest, size: 1000))
        #expect(throws: (any Error).self) { try blob.collect(limit: 1 << 20) }
    }

    @Test("a manifest without end is cut off at the limit", .timeLimit(.minutes(40)))
    func endless() throws {
        let server = try ScriptedServer { _ in
            .init(200, body: [UInt8](repeating: 0x20, count: 6 << 20), length: 1 << 40)
        }
        let error = #expect(throws: SourceError.self) {
            try Self.source("http://\(server.host)/image:1").resolve(.default)
        }
        #expect("\(try #require(error))".contains("more than"))
    }

    @Test(
        "each refusal is one line that says what to do",
        arguments: [
            (404, "", "is it spelled right?"), (401, "", "needs credentials"), (403, "", "needs credentials"),
            (429, "", "try later"), (500, "", "answered 500"),
            (
                404, #"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest\u001b[31m unknown"}]}"#,
                "('manifest\\u{1b}[31m unknown')"
            ),
        ])
    func refusals(status: Int, body: String, text: String) throws {
        let server = try ScriptedServer { _ in .init(status, body: Array(body.utf8)) }
        let error = #expect(throws: SourceError.self) {
            try Self.source("http://\(server.host)/group/image:1").resolve(.default)
        }
        let message = "\(try #require(error))"
        #expect(
            message.contains(text) && message.contains("image") && !message.contains("\n"), "says: \(message)"
        )
    }

    @Test("a registry that is down is one line that names it")
    func down() throws {
        let host = "127.0.0.1:\(try LoopbackPort.free())"
        let error = #expect(throws: SourceError.self) {
            try Self.source("http://\(host)/image:1").currentDigest()
        }
        #expect("\(try #require(error))".contains("cannot reach http://\(host)/v2/image/manifests/1"))
    }

    @Test("a redirect is followed, and no token goes with it to another host")
    func redirect() throws {
        let bytes = Array("content".utf8)
        let other = try ScriptedServer { _ in .init(200, body: bytes) }
        let location = "http://localhost:\(other.host.split(separator: ":")[1])/elsewhere"
        let server = try ScriptedServer { request in
            let host = request.headers["host"] ?? ""
            if request.target.hasPrefix("/token") {
                return .init(200, body: Array(#"{"access_token":"secret"}"#.utf8))
            }
            guard request.headers["authorization"] != nil else {
                return .init(401, [("WWW-Authenticate", #"Bearer realm="http://\#(host)/token""#)])
            }
            return .init(307, [("Location", location)])
        }
        let digest = try #require(Digest(sha256Hex: SHA256.hex(of: bytes)))
        let blob = try Self.source("http://\(server.host)/image:1")
            .blob(Descriptor(mediaType: "", digest: digest, size: Int64(bytes.count)))
        #expect(try blob.collect(limit: 100) == bytes)
        #expect(other.requests.map(\.target) == ["/elsewhere"])
        #expect(other.requests.allSatisfy { $0.headers["authorization"] == nil })
    }
}

@Suite("An OCI layout as a source")
struct OCILayoutTests {
    @Test("an image is found by its name, or without one where it is the only one")
    func names() throws {
        let directory = try TemporaryDirectory()
        let layout = directory.path("layout")
        let written = try RegistryTests.image.write(to: layout, tag: "3.1")
        #expect(try RegistryTests.source("oci:\(layout):3.1").currentDigest().hex == written.manifest)
        #expect(try RegistryTests.source("oci:\(layout)").resolve(.default).manifest.layers.count == 2)
        let error = #expect(throws: SourceError.self) {
            try RegistryTests.source("oci:\(layout):4").currentDigest()
        }
        #expect("\(try #require(error))" == "\(layout) has no image '4'; it has 3.1")
    }

    @Test("a damaged blob, a directory that is no layout and one that isn't there are told apart")
    func damage() throws {
        let directory = try TemporaryDirectory()
        let layout = directory.path("layout")
        let written = try RegistryTests.image.write(to: layout, tag: "1")
        try directory.write("layout/blobs/sha256/\(written.manifest)", "{}")
        for (path, text) in [
            (layout, "is damaged"), (directory.path, "is no OCI image layout"),
            (directory.path("x"), "there is no"),
        ] {
            let error = #expect(throws: SourceError.self) {
                try RegistryTests.source("oci:\(path)").resolve(.default)
            }
            #expect("\(try #require(error))".contains(text))
        }
    }

    @Test("an index leads to the image of the platform, and says what there is where none fits")
    func platforms() throws {
        let directory = try TemporaryDirectory()
        let layout = directory.path("layout")
        var entries: [String] = []
        for architecture in ["amd64", "arm64"] {
            var image = TestImage({ $0.file("architecture", architecture) })
            image.architecture = architecture
            let written = try image.writeBlobs(to: layout)
            entries.append(
                #"{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:\#(written.manifest)","#
                    + #""size":\#(written.manifestSize),"platform":{"architecture":"\#(architecture)","os":"linux"}}"#
            )
        }
        try TestImage.writeIndex(entries, to: layout)
        let index = try Files.read("\(layout)/index.json")
        let digest = try TestImage.add(index, to: layout)
        try TestImage.writeIndex(
            [
                #"{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"sha256:\#(digest)","size":\#(index.count)}"#
            ],
            to: layout)
        let source = try RegistryTests.source("oci:\(layout)")
        let (_, manifest, reference) = try source.resolve(try ImagePlatform(parsing: "linux/arm64"))
        #expect(reference.hex == digest)
        #expect(try source.configuration(manifest).0.architecture == "arm64")
        let error = #expect(throws: PlatformError.self) {
            try source.resolve(try ImagePlatform(parsing: "linux/s390x"))
        }
        #expect("\(try #require(error))".contains("linux/amd64, linux/arm64"))
    }
}
