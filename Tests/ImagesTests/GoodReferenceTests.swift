import Images
import Testing

/// One text that is a reference, with everything that is derived from it.
struct GoodReference: CustomTestStringConvertible, Sendable {
    let text: String
    let normalised: String
    let publicPath: String
    let registry: String
    let repository: String
    let tag: String?

    init(_ text: String, _ normalised: String, _ publicPath: String, _ parts: (String, String, String?)) {
        self.text = text
        self.normalised = normalised
        self.publicPath = publicPath
        (registry, repository, tag) = parts
    }

    var testDescription: String { text }
}

private let hex = String(repeating: "0123456789abcdef", count: 4)
private let long = String(repeating: "a", count: 100)

private let good: [GoodReference] = [
    .init(
        "docker.io/library/alpine:3.20", "https://docker.io/library/alpine:3.20",
        "docker.io/library/alpine:3.20",
        ("docker.io", "library/alpine", "3.20")),
    .init(
        "https://docker.io/library/alpine:3.20", "https://docker.io/library/alpine:3.20",
        "docker.io/library/alpine:3.20", ("docker.io", "library/alpine", "3.20")),
    .init("http://host/a:1", "http://host/a:1", "host/a:1", ("host", "a", "1")),
    .init("HTTPS://host/a:1", "https://host/a:1", "host/a:1", ("host", "a", "1")),
    .init("HttP://host/a", "http://host/a:latest", "host/a:latest", ("host", "a", nil)),
    .init(
        "docker.io/alpine", "https://docker.io/alpine:latest", "docker.io/alpine:latest",
        ("docker.io", "alpine", nil)),
    .init(
        "docker.io/alpine/", "https://docker.io/alpine:latest", "docker.io/alpine:latest",
        ("docker.io", "alpine", nil)),
    .init(
        "docker.io/alpine:3/", "https://docker.io/alpine:3", "docker.io/alpine:3",
        ("docker.io", "alpine", "3")),
    .init(
        "library/alpine", "https://library/alpine:latest", "library/alpine:latest", ("library", "alpine", nil)
    ),
    .init(
        "registry.hub.docker.com/a/b:c", "https://registry.hub.docker.com/a/b:c",
        "registry.hub.docker.com/a/b:c", ("registry.hub.docker.com", "a/b", "c")),
    .init("localhost/a:1", "https://localhost/a:1", "localhost/a:1", ("localhost", "a", "1")),
    .init(
        "localhost:5000/a/b/c/d/e:1", "https://localhost:5000/a/b/c/d/e:1", "localhost:5000/a/b/c/d/e:1",
        ("localhost:5000", "a/b/c/d/e", "1")),
    .init(
        "127.0.0.1:5050/edge/tags:1.0-a", "https://127.0.0.1:5050/edge/tags:1.0-a",
        "127.0.0.1:5050/edge/tags:1.0-a", ("127.0.0.1:5050", "edge/tags", "1.0-a")),
    .init("http://[::1]:5000/a:1", "http://[::1]:5000/a:1", "[::1]:5000/a:1", ("[::1]:5000", "a", "1")),
    .init(
        "[2001:db8::1]/a", "https://[2001:db8::1]/a:latest", "[2001:db8::1]/a:latest",
        ("[2001:db8::1]", "a", nil)),
    .init(
        "[::ffff:192.0.2.1]:1/a", "https://[::ffff:192.0.2.1]:1/a:latest", "[::ffff:192.0.2.1]:1/a:latest",
        ("[::ffff:192.0.2.1]:1", "a", nil)),
    .init("host:1/a", "https://host:1/a:latest", "host:1/a:latest", ("host:1", "a", nil)),
    .init("host:65535/a", "https://host:65535/a:latest", "host:65535/a:latest", ("host:65535", "a", nil)),
    .init(
        "Registry.CERN.ch/a:1", "https://Registry.CERN.ch/a:1", "Registry.CERN.ch/a:1",
        ("Registry.CERN.ch", "a", "1")),
    .init(
        "my-host.example/a", "https://my-host.example/a:latest", "my-host.example/a:latest",
        ("my-host.example", "a", nil)),
    .init(
        "podmanStore:5000/a:1", "https://podmanStore:5000/a:1", "podmanStore:5000/a:1",
        ("podmanStore:5000", "a", "1")),
    .init(
        "host/a.b_c__d---e:1", "https://host/a.b_c__d---e:1", "host/a.b_c__d---e:1",
        ("host", "a.b_c__d---e", "1")),
    .init("host/0/1:2", "https://host/0/1:2", "host/0/1:2", ("host", "0/1", "2")),
    .init("host/a:_", "https://host/a:_", "host/a:_", ("host", "a", "_")),
    .init("host/a:V1.2-rc_3", "https://host/a:V1.2-rc_3", "host/a:V1.2-rc_3", ("host", "a", "V1.2-rc_3")),
    .init("host/a:1..2", "https://host/a:1..2", "host/a:1..2", ("host", "a", "1..2")),
    .init("host/a:\(long)", "https://host/a:\(long)", "host/a:\(long)", ("host", "a", long)),
    .init("host/sha256:1", "https://host/sha256:1", "host/sha256:1", ("host", "sha256", "1")),
    .init("host/a:sha256", "https://host/a:sha256", "host/a:sha256", ("host", "a", "sha256")),
    .init("host/a@sha256:\(hex)", "https://host/a@sha256:\(hex)", "host/a:sha256:\(hex)", ("host", "a", nil)),
    .init("host/a:1@sha256:\(hex)", "https://host/a:1@sha256:\(hex)", "host/a:1", ("host", "a", "1")),
    .init(
        "http://h:80/a/b@sha256:\(hex)/", "http://h:80/a/b@sha256:\(hex)", "h:80/a/b:sha256:\(hex)",
        ("h:80", "a/b", nil)),
    .init("host/a:*", "https://host/a:*", "host/a:*", ("host", "a", "*")),
    .init("host/a:3.*", "https://host/a:3.*", "host/a:3.*", ("host", "a", "3.*")),
    .init("host/a:v?.[0-9]", "https://host/a:v?.[0-9]", "host/a:v?.[0-9]", ("host", "a", "v?.[0-9]")),
    .init("host/a:[!a]*", "https://host/a:[!a]*", "host/a:[!a]*", ("host", "a", "[!a]*")),
    .init("host/a:[^a-z]", "https://host/a:[^a-z]", "host/a:[^a-z]", ("host", "a", "[^a-z]")),
    .init("oci:5000/x", "", "localhost/x:latest", ("localhost", "x", nil)),
    .init("oci:/srv/images/alpine", "", "localhost/alpine:latest", ("localhost", "alpine", nil)),
    .init("oci:/srv/images/alpine:3.20", "", "localhost/alpine:3.20", ("localhost", "alpine", "3.20")),
    .init("oci:../My Images/alpine:3", "", "localhost/alpine:3", ("localhost", "alpine", "3")),
    .init("oci:alpine/", "", "localhost/alpine:latest", ("localhost", "alpine", nil)),
    .init("oci:./alpine///:3", "", "localhost/alpine:3", ("localhost", "alpine", "3")),
    .init("oci:/été/x:1", "", "localhost/x:1", ("localhost", "x", "1")),
    .init(
        "docker-archive:/tmp/alpine.tar", "", "localhost/alpine.tar:latest", ("localhost", "alpine.tar", nil)),
    .init("docker-archive:alpine.tar:3", "", "localhost/alpine.tar:3", ("localhost", "alpine.tar", "3")),
]

@Suite("Image references that are right")
struct GoodReferenceTests {
    @Test("every part, the normalised form and the published path", arguments: good)
    func parts(_ expected: GoodReference) throws {
        let reference = try ImageReference(parsing: expected.text)
        #expect(reference.registry == expected.registry)
        #expect(reference.repository == expected.repository)
        #expect(reference.tag == expected.tag)
        #expect(reference.publicPath == expected.publicPath)
        guard case .registry = reference.source else {
            #expect(reference.normalised == expected.text)
            return
        }
        #expect(reference.normalised == expected.normalised)
        #expect(reference.description == expected.normalised)
        // What is normalised means the same image.
        #expect(try ImageReference(parsing: reference.normalised) == reference.resolved)
    }

    @Test("an absent tag stays absent until it is resolved")
    func resolving() throws {
        let reference = try ImageReference(parsing: "host/a")
        #expect(reference.tag == nil)
        #expect(reference.resolved.tag == "latest")
        #expect(reference.imageName == "host/a:latest")
        let pinned = try ImageReference(parsing: "host/a@sha256:\(hex)")
        #expect(pinned.resolved.tag == nil)
        #expect(pinned.imageName == "host/a")
        #expect(pinned.digest?.hex == hex)
        let layout = try ImageReference(parsing: "oci:/srv/a")
        #expect(layout.resolved.tag == nil)
        #expect(layout.imageName == "localhost/a:latest")
    }

    @Test("where an image comes from")
    func sources() throws {
        #expect(try ImageReference(parsing: "host/a").source == .registry(scheme: .https, host: "host"))
        #expect(try ImageReference(parsing: "http://h:1/a").source == .registry(scheme: .http, host: "h:1"))
        #expect(try ImageReference(parsing: "oci:a/b/:1").source == .ociLayout(path: "a/b"))
        #expect(try ImageReference(parsing: "docker-archive:/a:1").source == .dockerArchive(path: "/a"))
    }

    @Test(
        "Docker Hub has its own host and prefix, in requests only",
        arguments: [
            ("docker.io/alpine:3", "registry-1.docker.io", "library/alpine"),
            ("registry.hub.docker.com/alpine:3", "registry-1.docker.io", "library/alpine"),
            ("docker.io/library/alpine:3", "registry-1.docker.io", "library/alpine"),
            ("docker.io/rootproject/root:3", "registry-1.docker.io", "rootproject/root"),
            ("quay.io/alpine:3", "quay.io", "alpine"),
            ("docker.io:443/alpine:3", "docker.io:443", "alpine"),
        ])
    func dockerHub(text: String, host: String, repository: String) throws {
        let reference = try ImageReference(parsing: text)
        #expect(reference.requestRegistry == host)
        #expect(reference.requestRepository == repository)
        #expect(reference.publicPath == text)
    }

    @Test("a wildcard stands for the tags that it matches, and is replaced by them")
    func wildcards() throws {
        let pattern = try ImageReference(parsing: "host/a:3.[0-9]*")
        #expect(pattern.tagHasWildcard)
        #expect(pattern.includes(tag: "3.20"))
        #expect(!pattern.includes(tag: "3x20"))
        #expect(!pattern.includes(tag: "13.20"))
        let one = try pattern.replacing(tag: "3.20")
        #expect(!one.tagHasWildcard)
        #expect(try one == ImageReference(parsing: "host/a:3.20"))
        #expect(one.normalised == "https://host/a:3.20")
        #expect(throws: ReferenceError.self) { try pattern.replacing(tag: "../../etc") }
        #expect(throws: ReferenceError.self) { try pattern.replacing(tag: "3.*") }
        #expect(throws: ReferenceError.self) { try pattern.replacing(tag: "") }
    }
}
