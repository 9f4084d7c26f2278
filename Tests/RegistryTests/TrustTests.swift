import Images
import Platform
import Registry
import Support
import Testing

@Suite("Certificates and mirrors")
struct TrustTests {
    @Test(
        "a registry with a certificate of one's own: by curl's variables, docker's and podman's directories")
    func authority() throws {
        let certificates = try Certificates()
        let (open, written) = try AccessTests.filled()
        let registry = try DockerRegistry(
            .encrypted(certificates.certificate("server"), key: certificates.key("server")), over: open)
        let name = "\(registry.host)/group/image:1"
        let trust = try AccessTests.trust(certificates, registry.host)
        let sources = [
            try RegistryTests.source(name, certificates: trust.path),
            try RegistryTests.source(name, ["CURL_CA_BUNDLE": certificates.authority]),
            try RegistryTests.source(name, ["SSL_CERT_FILE": certificates.authority]),
        ]
        for source in sources { #expect(try source.currentDigest().hex == written.manifest) }
        try AccessTests.pull(sources[0])

        // Another host's directory says nothing here; and what isn't believed is not asked again without encryption.
        let other = try AccessTests.trust(certificates, "localhost:1")
        let requests = try registry.requests {
            let complaint = try AccessTests.complaint(RegistryTests.source(name, certificates: other.path))
            #expect(complaint.contains("certs.d/\(registry.host)/"), "says: \(complaint)")
        }
        #expect(requests.isEmpty)
    }

    @Test("SSL_CERT_FILE and SSL_CERT_DIR name the authorities that are believed, and no other is")
    func variables() throws {
        let certificates = try Certificates()
        let others = try Certificates()
        let (open, written) = try AccessTests.filled()
        let registry = try DockerRegistry(
            .encrypted(certificates.certificate("server"), key: certificates.key("server")), over: open)
        let name = "\(registry.host)/group/image:1"
        for (authority, isBelieved) in [(certificates.authority, true), (others.authority, false)] {
            let directory = try TemporaryDirectory()
            try directory.write("authority.pem", try text(of: authority))
            try runSuccessfully("openssl", ["rehash", directory.path])
            for variables in [["SSL_CERT_FILE": authority], ["SSL_CERT_DIR": directory.path]] {
                let source = try RegistryTests.source(name, variables)
                if isBelieved {
                    #expect(try source.currentDigest().hex == written.manifest, "\(variables)")
                } else {
                    let requests = try registry.requests { _ = try AccessTests.complaint(source) }
                    #expect(requests.isEmpty, "\(variables)")
                }
            }
        }
    }

    @Test("what a certificate calls itself does nothing to a terminal")
    func certificateName() throws {
        let certificates = try Certificates(name: "\u{1b}[31mred", hosts: "subjectKeyIdentifier=hash")
        let registry = try DockerRegistry(
            .encrypted(certificates.certificate("server"), key: certificates.key("server")))
        let complaint = try AccessTests.complaint(
            RegistryTests.source(
                "\(registry.host)/a/b:1", ["CURL_CA_BUNDLE": certificates.authority]))
        #expect(complaint.contains("?[31mred") && !complaint.contains("\u{1b}"), "says: \(complaint)")
    }

    @Test("a client's certificate and key are shown where they are; one without the other is one line")
    func client() throws {
        let certificates = try Certificates()
        let (open, written) = try AccessTests.filled()
        let registry = try DockerRegistry(
            .encrypted(
                certificates.certificate("server"), key: certificates.key("server"),
                clients: certificates.authority), over: open)
        let name = "\(registry.host)/group/image:1"
        let trust = try AccessTests.trust(certificates, registry.host)
        #expect(throws: SourceError.self) {
            try RegistryTests.source(name, certificates: trust.path).currentDigest()
        }
        try trust.write("\(registry.host)/me.cert", try text(of: certificates.certificate("client")))
        let complaint = try AccessTests.complaint(RegistryTests.source(name, certificates: trust.path))
        #expect(complaint.contains("me.cert has no key"), "says: \(complaint)")
        try trust.write("\(registry.host)/me.key", try text(of: certificates.key("client")))
        #expect(
            try RegistryTests.source(name, certificates: trust.path).currentDigest().hex == written.manifest)
    }

    @Test(
        "a mirror is asked instead, below its prefix, with what the variables say, and never the registry's password"
    )
    func mirror() throws {
        let directory = try TemporaryDirectory()
        let mirror = try DockerRegistry()
        let written = try RegistryTests.image.write(to: directory.path("layout"), tag: "1")
        for name in ["cache/hub/library/busybox:1", "group/image:1"] {
            try mirror.push(directory.path("layout"), tag: "1", as: name)
        }
        var variables = [
            "DUCC_AUTH_REGISTRIES": "A,B", "DUCC_A_IDENT": "docker.io",
            "DUCC_A_PROXY": "\(mirror.host)/cache/hub/",
            "DUCC_B_IDENT": "registry.invalid", "DUCC_B_PROXY": mirror.host,
        ]
        let requests = try mirror.requests {
            let source = try RegistryTests.source("http://docker.io/busybox:1", variables)
            #expect(try source.currentDigest().hex == written.manifest)
            try AccessTests.pull(source)
        }
        #expect(requests.count == 5 && requests.allSatisfy { $0.contains(" /v2/cache/hub/library/busybox/") })
        // https to a mirror on this machine falls back, as to a registry.
        #expect(
            try RegistryTests.source("registry.invalid/group/image:1", variables).currentDigest().hex
                == written.manifest)

        // What docker's file has for the registry is not for the mirror.
        let thief = try ScriptedServer { _ in .init(401, [("WWW-Authenticate", "Basic realm=\"x\"")]) }
        variables["DUCC_B_PROXY"] = thief.host
        variables["HOME"] = directory.path
        try directory.write(
            ".docker/config.json",
            #"{"auths":{"registry.invalid":{"username":"reader","password":"s3cret"}}}"#)
        let complaint = try AccessTests.complaint(
            RegistryTests.source("http://registry.invalid/group/image:1", variables))
        #expect(
            complaint.contains("no credentials were sent")
                && complaint.contains("the mirror of registry.invalid"))
        #expect(thief.requests.allSatisfy { $0.headers["authorization"] == nil })
    }
}
