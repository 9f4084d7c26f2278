// A token service for a real registry (distribution project, "Token Authentication Specification" and "Token
// Authentication Implementation"): it signs what docker-registry verifies itself.

import Glibc
import Platform

/// A token service that gives tokens to whoever the test says.
package final class TokenService: Sendable {
    private let certificates: Certificates
    /// The service; its requests are in `server.requests`.
    package let server: ScriptedServer
    /// What a registry is to be configured with.
    package var access: DockerRegistry.Access {
        .token(realm: "http://\(server.host)/token", certificate: certificates.authority)
    }

    /// - Parameters:
    ///   - life: what tokens say of their own life, in seconds.
    ///   - allows: whether a request gets one.
    package init(life: Int = 300, allows: @escaping @Sendable (ScriptedServer.Request) -> Bool) throws {
        let certificates = try Certificates()
        self.certificates = certificates
        server = try ScriptedServer { request in
            guard allows(request) else { return .init(401) }
            do {
                let token = try Self.token(for: "group/image", certificates, life: life)
                return .init(200, body: Array(#"{"token":"\#(token)","expires_in":\#(life)}"#.utf8))
            } catch { return .init(500) }
        }
    }

    /// A token, for whoever got it otherwise.
    package func token() throws -> String { try Self.token(for: "group/image", certificates, life: 300) }

    /// A JSON web token (RFC 7519) signed with the service's key.
    private static func token(for repository: String, _ certificates: Certificates, life: Int) throws
        -> String
    {
        let directory = try TemporaryDirectory()
        let now = time(nil)
        let pem = try text(of: certificates.certificate("server"))
        let chain = pem.split(separator: "\n").filter { !$0.hasPrefix("-") }.joined()
        let script = #"""
            import base64, json, subprocess, sys
            def url(data): return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
            chain, key, repository, now, life = sys.argv[1:6]
            head = {"typ": "JWT", "alg": "ES256", "x5c": [chain]}
            body = {"iss": "test", "aud": "test", "sub": "", "nbf": int(now) - 60, "iat": int(now), "exp": int(now) + int(life),
                    "jti": "1", "access": [{"type": "repository", "name": repository, "actions": ["pull"]}]}
            text = url(json.dumps(head).encode()) + "." + url(json.dumps(body).encode())
            der = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=text.encode(), stdout=subprocess.PIPE, check=True).stdout
            # DER: 30 len 02 len r 02 len s
            length = der[3]; r = der[4:4 + length]; s = der[6 + length:]
            print(text + "." + url(int.from_bytes(r, "big").to_bytes(32, "big") + int.from_bytes(s, "big").to_bytes(32, "big")), end="")
            """#
        let file = try directory.write("sign.py", script)
        return try runSuccessfully(
            "python3", [file, chain, certificates.key("server"), repository, "\(now)", "\(life)"])
    }
}
