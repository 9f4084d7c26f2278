// Pushing, into a real docker-registry and through servers that break off.

import HTTP
import Images
import Platform
import Registry
import Support
import Synchronization
import Testing

@Suite("Pushing a small image")
struct PushTests {
    private static let mediaType = "application/vnd.docker.distribution.manifest.v2+json"

    private static func client(chunk: Int) -> RegistryClient {
        var settings = RegistrySettings(environment: [:])
        settings.chunkSize = chunk
        settings.retry.firstWait = 0.001
        return RegistryClient(agent: "test", settings: settings)
    }

    /// An image of one blob, which is its configuration too.
    private static func image(_ blob: [UInt8]) throws -> PushedImage {
        let blob = try PushedImage.Blob(blob)
        let descriptor = #""size":\#(blob.bytes.count),"digest":"\#(blob.digest)"}"#
        let manifest =
            #"{"schemaVersion":2,"mediaType":"\#(mediaType)","config":{"mediaType":"application/vnd.docker.container.image.v1+json","#
            + descriptor + #","layers":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar","#
            + descriptor + "]}"
        return PushedImage(
            manifest: try PushedImage.Blob(Array(manifest.utf8)), mediaType: mediaType, blobs: [blob])
    }

    private static let content = (0..<10_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }

    @Test("in chunks, then from another repository of the registry without a byte, then not at all")
    func registry() throws {
        let registry = try DockerRegistry()
        let client = Self.client(chunk: 3000)
        let image = try Self.image(Self.content)
        let one = try ImageReference(parsing: "http://\(registry.host)/push/one:1")
        let first = try registry.requests { try client.push(image, as: one) }
        #expect(
            first.map { $0.split(separator: " ").first ?? "" } == [
                "HEAD", "POST", "PATCH", "PATCH", "PATCH", "PATCH", "PUT", "PUT",
            ])
        #expect(try client.digest(of: one, accepting: Self.mediaType) == image.manifest.digest)
        let two = try ImageReference(parsing: "http://\(registry.host)/push/two:1")
        #expect(try client.digest(of: two, accepting: Self.mediaType) == nil)
        let second = try registry.requests { try client.push(image, as: two) }
        #expect(
            second == [
                "HEAD /v2/push/two/blobs/\(image.blobs[0].digest) 404",
                "POST /v2/push/two/blobs/uploads/?mount=\(image.blobs[0].digest)&from=push/one 201",
                "PUT /v2/push/two/manifests/1 201",
            ])
        let third = try registry.requests { try client.push(image, as: two) }
        #expect(third.allSatisfy { $0.hasPrefix("HEAD") || $0.hasPrefix("PUT /v2/push/two/manifests") })
        let copy = try TemporaryDirectory()
        try runSuccessfully(
            "skopeo",
            [
                "copy", "--quiet", "--src-tls-verify=false", "docker://\(registry.host)/push/two:1",
                "dir:\(copy.path("copy"))",
            ])
        #expect(
            try Files.read(copy.path("copy/\(image.blobs[0].digest.hex)"), limit: 1 << 20) == Self.content)
    }

    /// A registry that breaks off as a test says, and keeps what it got.
    private final class Breaking: Sendable {
        let held = Mutex<[UInt8]>([])
        let calls = Mutex<[String]>([])
        /// The only address that the next request may go to.
        let next = Mutex("")
    }

    /// How an upload goes wrong once.
    enum Fault: String, CaseIterable, Sendable {
        /// Part of a chunk arrives, and no answer.
        case partial
        /// The chunk arrives whole, and a 500 is the answer.
        case unanswered
        /// The upload is forgotten.
        case forgotten
        /// Every answer names a relative address.
        case relative
        /// Each request is sent on to another address.
        case redirected
        /// Bytes are said to be at another place.
        case shifted
    }

    @Test("goes on where it broke off, wherever the registry says", arguments: Fault.allCases)
    func resumes(fault: Fault) throws {
        let state = Breaking()
        let blob = try PushedImage.Blob(Self.content)
        let scripted = try ScriptedServer { request in
            let count = state.calls.withLock { calls in
                calls.append("\(request.method) \(request.target)")
                return calls.count
            }
            let body = request.content
            let path = "/upload/\(count)?_state=a%2Fb"
            let isUpload = ["GET", "PATCH"].contains(request.method) || request.target.contains("digest=")
            let expected = state.next.withLock { $0 }
            if isUpload, !request.target.hasPrefix(expected), !request.target.hasPrefix("/moved\(expected)") {
                return .init(404)
            }
            let location = (
                "Location", fault == .relative ? path : "http://\(request.headers["host"] ?? "")\(path)"
            )
            let patches = state.calls.withLock { $0.count { $0.hasPrefix("PATCH") } }
            let isFirst = request.method == "PATCH" && patches == 2
            // What the client is told of, and not what is lost on the way.
            let isTold = !isFirst || [.relative, .redirected].contains(fault)
            if isTold, fault != .redirected || request.method != "PATCH" || request.target.hasPrefix("/moved")
            {
                state.next.withLock { $0 = path }
            }
            switch request.method {
            case "HEAD": return .init(404)
            case "POST":
                state.held.withLock { $0 = [] }
                return .init(202, [location])
            case "GET":
                let held = state.held.withLock { $0.count }
                return .init(204, [location, ("Range", "0-\(max(0, held - 1))")])
            case "PATCH":
                if fault == .redirected, !request.target.hasPrefix("/moved") {
                    return .init(307, [("Location", "/moved\(request.target)")])
                }
                if fault == .forgotten, isFirst { return .init(404) }
                if fault == .shifted, isFirst { return .init(416) }
                state.held.withLock { $0 += fault == .partial && isFirst ? Array(body.prefix(700)) : body }
                if fault == .partial, isFirst { return .init(raw: "") }
                if fault == .unanswered, isFirst { return .init(500) }
                let held = state.held.withLock { $0.count }
                return .init(202, [location, ("Range", "0-\(held - 1)")])
            case "PUT" where request.target.contains("manifests"): return .init(201)
            case "PUT":
                let isWhole =
                    request.target.hasSuffix("&digest=\(blob.digest)")
                    && state.held.withLock { SHA256.hex(of: $0) } == blob.digest.hex
                return .init(isWhole ? 201 : 400)
            default: return .init(405)
            }
        }
        let reference = try ImageReference(parsing: "http://\(scripted.host)/push/one:1")
        try Self.client(chunk: 3000).push(try Self.image(Self.content), as: reference)
        #expect(state.held.withLock { $0 } == Self.content)
        let calls = state.calls.withLock { $0.map { $0.prefix { $0 != " " } } }
        let begun = calls.count { $0 == "POST" }
        #expect(begun == (fault == .forgotten ? 2 : 1), "\(calls)")
        let asked = [.partial, .unanswered, .shifted].contains(fault) ? 1 : 0
        #expect(calls.count { $0 == "GET" } == asked, "\(calls)")
    }

    @Test("a registry that takes nothing, and says that all is well, is given up")
    func stuck() throws {
        let scripted = try ScriptedServer { request in
            let location = ("Location", "/upload")
            switch request.method {
            case "HEAD": return .init(404)
            case "PATCH", "GET": return .init(202, [location, ("Range", "0-0")])
            default: return .init(202, [location])
            }
        }
        let reference = try ImageReference(parsing: "http://\(scripted.host)/push/one:1")
        let client = Self.client(chunk: 3000)
        let error = #expect(throws: SourceError.self) {
            try client.push(Self.image(Self.content), as: reference)
        }
        #expect(error?.description.contains("takes nothing of what is pushed") == true)
        #expect(scripted.requests.count < 20)
    }

    @Test("a registry that doesn't tell a manifest's digest is asked for the manifest")
    func noDigest() throws {
        let scripted = try ScriptedServer {
            .init(200, body: $0.method == "GET" ? Array("manifest".utf8) : [])
        }
        let reference = try ImageReference(parsing: "http://\(scripted.host)/push/one:1")
        let digest = try Self.client(chunk: 1).digest(of: reference, accepting: Self.mediaType)
        #expect(digest?.hex == SHA256.hex(of: Array("manifest".utf8)))
    }

    @Test("an address with the scheme's own port is the registry's own; another port, scheme or host is not")
    func own() throws {
        for (name, url, isOwn) in [
            ("https://h.org/a:1", "https://h.org:443/v2/", true),
            ("https://h.org:443/a:1", "https://h.org/v2/", true),
            ("http://h.org/a:1", "http://h.org:80/v2/", true),
            ("https://h.org/a:1", "https://H.ORG/v2/", true),
            ("https://h.org/a:1", "https://h.org:444/v2/", false),
            ("https://h.org/a:1", "https://h.org.evil/", false),
            ("https://h.org/a:1", "https://user@h.org.evil/", false),
        ] {
            let endpoint = RegistryEndpoint(try ImageReference(parsing: name), nil)
            #expect(endpoint.isOwn(url) == isOwn, "\(name) \(url)")
        }
    }
}
