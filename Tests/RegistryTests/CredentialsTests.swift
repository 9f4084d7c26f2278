import HTTP
import Images
import Platform
import Registry
import Support
import Testing

@Suite("Credentials are found for the registry they are for")
struct CredentialsTests {
    static func find(_ image: String, _ environment: [String: String]) throws -> Credential? {
        let credentials = Credentials(environment: environment)
        let reference = try ImageReference(parsing: image)
        return try credentials.find(
            RegistryEndpoint(reference, try credentials.variables(for: reference)))
    }

    static func user(_ image: String, _ environment: [String: String]) throws -> String? {
        switch try find(image, environment)?.kind {
        case .password(let user, let password): "\(user):\(password)"
        case .identityToken(let token): "token \(token)"
        case .registryToken(let token): "as it is: \(token)"
        case nil: nil
        }
    }

    static func complaint(_ image: String, _ environment: [String: String]) throws -> String {
        let error = #expect(throws: SourceError.self) { try find(image, environment) }
        let text = "\(try #require(error))"
        #expect(!text.contains("\n") && !text.contains("s3cret"), "says: \(text)")
        return text
    }

    @Test("DUCC's variables are for the host they name, exactly")
    func variables() throws {
        let environment = [
            "DUCC_AUTH_REGISTRIES": "A, B2", "DUCC_A_IDENT": "registry.example:5000", "DUCC_A_USER": "u",
            "DUCC_A_PASS": "p:w", "DUCC_B2_IDENT": "docker.io", "DUCC_B2_USER": "hub", "DUCC_B2_PASS": "x",
        ]
        #expect(try Self.user("registry.example:5000/a:1", environment) == "u:p:w")
        for other in ["registry.example", "registry.example:50", "a.registry.example:5000", "evil.org"] {
            #expect(try Self.user("\(other)/registry.example:5000", environment) == nil)
        }
        #expect(try Self.user("docker.io/busybox:1", environment) == "hub:x")
        #expect(try Self.user("registry.hub.docker.com/busybox:1", environment) == "hub:x")
    }

    @Test(
        "what is wrong with the variables is one line that names the variable",
        arguments: [
            (["DUCC_A_USER": "u", "DUCC_A_PASS": "s3cret"], "DUCC_A_IDENT is not set"),
            (["DUCC_A_IDENT": "https://h"], "DUCC_A_IDENT is 'https://h'"),
            (["DUCC_A_IDENT": "h.x/a"], "host[:port] alone"),
            (["DUCC_A_IDENT": "https://u:s3cret@h.x"], "DUCC_A_IDENT is no host"),
            (["DUCC_A_IDENT": "h.x", "DUCC_A_USER": "u"], "but DUCC_A_PASS is not"),
            (["DUCC_A_IDENT": "h.x", "DUCC_A_PASS": "s3cret"], "but DUCC_A_USER is not"),
            (["DUCC_A_IDENT": "h.x", "DUCC_A_USER": "u:v", "DUCC_A_PASS": "s3cret"], "holds a ':'"),
            (["DUCC_A_IDENT": "h.x", "DUCC_A_PROXY": "http://u:s3cret@h"], "DUCC_A_PROXY is no HOST"),
            (["DUCC_A_IDENT": "h.x", "DUCC_A_PROXY": "h.y/../a"], "DUCC_A_PROXY is no HOST"),
            (["DUCC_AUTH_REGISTRIES": "A-B"], "DUCC_AUTH_REGISTRIES names 'A-B'"),
            (
                ["DUCC_AUTH_REGISTRIES": "A,B", "DUCC_A_IDENT": "h.x", "DUCC_B_IDENT": "H.x"],
                "DUCC_B_IDENT is 'H.x' like"
            ),
        ])
    func badVariables(environment: [String: String], text: String) throws {
        let complaint = try Self.complaint(
            "h.x/a:1", ["DUCC_AUTH_REGISTRIES": "A"].merging(environment) { $1 })
        #expect(complaint.contains(text), "says: \(complaint)")
    }

    @Test("docker's and podman's files are read in their order, whichever way they spell a registry")
    func files() throws {
        let home = try TemporaryDirectory()
        func auth(_ pair: String) -> String { #"{"auth":"\#(Base64.encoded(pair))"}"# }
        try home.write(
            ".docker/config.json",
            #"{"auths":{"r.x":{"registrytoken":"given","identitytoken":"no","auth":"bm86bm8="},"https://index.docker.io/v1/":\#(auth("hub:1")),"https://h.x/v2/":\#(auth("hx:2")),"h.x:80":\#(auth("port:3")),"empty.x":{}},"HttpHeaders":{"a":"b"}}"#
        )
        try home.write(
            "run/containers/auth.json",
            #"{"auths":{"h.x":\#(auth("never:0")),"p.x":\#(auth("p:4")),"p.x/a":\#(auth("pa:5")),"p.x/a/b":\#(auth("pab:6")),"empty.x":\#(auth("full:7"))}}"#
        )
        try home.write(".config/containers/auth.json", #"{"auths":{"c.x":{"identitytoken":"refresh"}}}"#)
        let environment = ["HOME": home.path, "XDG_RUNTIME_DIR": home.path("run")]
        for (image, user) in [
            ("docker.io/busybox:1", "hub:1"), ("h.x/a:1", "hx:2"), ("h.x:80/a:1", "port:3"),
            ("h.x:81/a:1", nil),
            ("p.x/z:1", "p:4"), ("p.x/a:1", "pa:5"), ("p.x/a/c:1", "pa:5"), ("p.x/a/b/c:1", "pab:6"),
            ("p.x/ab:1", "p:4"), ("empty.x/a:1", "full:7"), ("c.x/a:1", "token refresh"),
            ("r.x/a:1", "as it is: given"), ("sub.h.x/a:1", nil),
        ] {
            #expect(try Self.user(image, environment) == user, "of \(image)")
        }
        let other = try home.write("other.json", #"{"auths":{"c.x":\#(auth("other:8"))}}"#)
        #expect(try Self.user("c.x/a:1", ["HOME": home.path, "REGISTRY_AUTH_FILE": other]) == "other:8")
        #expect(
            try Self.user("c.x/a:1", ["DOCKER_CONFIG": home.path("none"), "HOME": home.path])
                == "token refresh")
    }

    @Test(
        "a file that is no use is one line that names it, and nothing of what it holds",
        arguments: [
            ("s3cret", "no JSON object"), (#"{"auths":"s3cret"}"#, "at 'auths'"),
            (#"{"auths":{"h.x":{"auth":["s3cret"]}}}"#, "at 'auths.h.x.auth'"),
            (#"{"auths":{"h.x":{"auth":"s3cret!"}}}"#, "not base64"),
            (#"{"auths":{"h.x":{"registrytoken":"s3cret\r\nX: y"}}}"#, "the 'registrytoken' of 'h.x'"),
            (#"{"credHelpers":{"h.x":"../s3"}}"#, "no program's name"),
            (#"{"credsStore":"missing"}"#, "not in PATH"),
        ])
    func badFiles(content: String, text: String) throws {
        let home = try TemporaryDirectory()
        try home.write(".docker/config.json", content)
        let complaint = try Self.complaint("h.x/a:1", ["HOME": home.path, "PATH": home.path])
        #expect(complaint.contains(text) && complaint.contains(home.path), "says: \(complaint)")
    }

    @Test("a helper is asked for the registry's name, and its answer taken")
    func helper() throws {
        let home = try TemporaryDirectory()
        try home.write(
            "bin/docker-credential-test",
            "#!/bin/sh\nread server; echo \"$1 $server\" >> '\(home.path("asked"))'\n"
                + "case $server in none*) echo 'credentials not found in native keychain'; exit 1;; esac\n"
                + #"echo "{\"ServerURL\":\"$server\",\"Username\":\"u\",\"Secret\":\"of $server\"}""# + "\n",
            mode: 0o755)
        try home.write(
            "bin/docker-credential-token",
            "#!/bin/sh\necho '{\"ServerURL\":\"\",\"Username\":\"<token>\",\"Secret\":\"refresh\"}'\n",
            mode: 0o755)
        try home.write(
            ".docker/config.json",
            #"{"auths":{"none.x":{"auth":"\#(Base64.encoded("a:b"))"}},"credsStore":"test","credHelpers":{"t.x":"token"}}"#
        )
        let environment = ["HOME": home.path, "PATH": "\(home.path("bin")):/usr/bin:/bin"]
        #expect(try Self.user("h.x:5/a:1", environment) == "u:of h.x:5")
        #expect(try Self.user("busybox.x/a:1", environment) == "u:of busybox.x")
        #expect(try Self.user("docker.io/a:1", environment) == "u:of https://index.docker.io/v1/")
        #expect(try Self.user("t.x/a:1", environment) == "token refresh")
        #expect(try Self.user("none.x/a:1", environment) == "a:b")
        #expect(
            try text(of: home.path("asked")).split(separator: "\n") == [
                "get h.x:5", "get busybox.x", "get https://index.docker.io/v1/", "get none.x",
            ])
    }

    @Test(
        "a helper that fails, answers nonsense or without end is one line",
        arguments: [
            ("echo s3cret; exit 3", "failed (exit code 3)"), ("kill -9 $$", "failed (signal 9)"),
            ("echo s3cret", "no answer that can be used"), ("exec yes s3cret", "without end"),
            ("echo '{\"Username\":\"u\",\"Secret\":\"\"}'", "no answer that can be used"),
        ])
    func badHelper(script: String, text: String) throws {
        let home = try TemporaryDirectory()
        try home.write("docker-credential-bad", "#!/bin/sh\n\(script)\n", mode: 0o755)
        try home.write(".docker/config.json", #"{"credHelpers":{"h.x":"bad"}}"#)
        let complaint = try Self.complaint(
            "h.x/a:1", ["HOME": home.path, "PATH": "\(home.path):/usr/bin:/bin"])
        #expect(complaint.contains(text) && complaint.contains("docker-credential-bad"), "says: \(complaint)")
    }

    @Test("a helper that hangs is killed in the end, with what it started", .timeLimit(.minutes(40)))
    func hangingHelper() throws {
        let home = try TemporaryDirectory()
        try home.write(
            "docker-credential-bad", "#!/bin/sh\nsleep 1000 & echo $! > '\(home.path("pid"))'; wait\n",
            mode: 0o755)
        let helper = try CredentialHelper(
            "bad", named: "file", ["PATH": "\(home.path):/usr/bin:/bin"], seconds: 0.3)
        let began = MonotonicClock.nanoseconds()
        let error = #expect(throws: SourceError.self) { try helper.get("h.x") }
        #expect(MonotonicClock.nanoseconds() - began < 20_000_000_000)
        #expect("\(try #require(error))".contains("gave no answer in 0.3 s"))
        let child = try text(of: home.path("pid")).dropLast()
        try waitUntil("the helper's child is gone") {
            guard let status = try? text(of: "/proc/\(child)/stat") else { return true }
            return status.contains(") Z ")
        }
    }

    @Test("base 64 is read as it is written", arguments: ["", "a", "ab", "abc", "abcd", "ü:€ x"])
    func base64(text: String) { #expect(Base64.decoded(Base64.encoded(text)) == text) }
}
