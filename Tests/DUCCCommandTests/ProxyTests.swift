import Platform
import Support
import Testing

@Suite("Proxies stand between")
struct ProxyTests {
    @Test("the proxy of http_proxy is asked, but for no_proxy's hosts")
    func proxy() throws {
        let converting = try Converting()
        let written = try TransferTests.image.write(to: converting.layout, tag: "1")
        let server = try TransferTests.registry(converting.layout, written) { _, _ in nil }
        let image = "http://registry.invalid/a/b:1"
        let proxied = ["http_proxy": "http://\(server.host)", "no_proxy": "other.invalid"]
        let arguments = ["convert-single-image", image, converting.repository]
        let result = try converting.start(arguments, environment: proxied).wait()
        #expect(result.code == 0, "says: \(result.errors)")
        #expect(server.requests.allSatisfy { $0.target.hasPrefix("http://registry.invalid/v2/a/b/") })
        let before = server.requests.count
        let direct = try converting.start(
            [
                "convert-single-image", "http://127.0.0.1:\(try LoopbackPort.free())/a/b:1",
                converting.repository,
            ],
            environment: ["http_proxy": "http://\(server.host)", "no_proxy": "127.0.0.1"]
        ).wait()
        #expect(direct.code == 1 && server.requests.count == before)
    }

    @Test("the proxy of https_proxy is a tunnel: it sees where to, its own password, and nothing else")
    func tunnel() throws {
        let converting = try Converting()
        let certificates = try Certificates()
        let open = try DockerRegistry()
        let written = try TransferTests.image.write(to: converting.layout, tag: "1")
        try open.push(converting.layout, tag: "1", as: "a/b:1")
        let file = try converting.directory.write(
            "htpasswd", "reader:$2b$04$abcdefghijklmnopqrstuuoBpIrM0OnplXjsOI8DWYJTHUhJDuUv.\n")
        var access = DockerRegistry.Access.encrypted(
            certificates.certificate("server"), key: certificates.key("server"))
        access.auth = DockerRegistry.Access.password(file).auth
        let registry = try DockerRegistry(access, over: open)
        let proxy = try TunnelProxy()
        func manifest(_ further: [String: String]) throws -> CommandResult {
            let environment = [
                "CURL_CA_BUNDLE": certificates.authority, "https_proxy": "http://me:pass@\(proxy.host)",
                "DUCC_AUTH_REGISTRIES": "A", "DUCC_A_IDENT": registry.host, "DUCC_A_USER": "reader",
                "DUCC_A_PASS": "s3cret pass",
            ]
            return try converting.start(
                ["download-manifest", "https://\(registry.host)/a/b:1"], notifying: false,
                environment: environment.merging(further) { $1 }
            ).wait()
        }
        let result = try manifest([:])
        #expect(result.code == 0, "says: \(result.errors)")
        #expect(SHA256.hex(of: Array(result.output.utf8)) == written.manifest)
        let heads = try proxy.requests()
        #expect(!heads.isEmpty && heads.allSatisfy { $0[0] == "CONNECT \(registry.host) HTTP/1.1" })
        let lines = heads.joined().map { $0.lowercased() }
        #expect(lines.contains("proxy-authorization: basic bwu6cgfzcw=="), "\(lines)")
        #expect(!lines.contains { $0.hasPrefix("authorization") })

        #expect(try manifest(["no_proxy": "127.0.0.1"]).code == 0)
        #expect(try proxy.requests().count == heads.count)
    }
}
