// Certificates of an authority of the test's own, made by openssl.

import Platform

/// An authority, a server's certificate for the loopback address and one for a client.
package final class Certificates: Sendable {
    private let directory: TemporaryDirectory

    /// The authority's certificate.
    package var authority: String { directory.path("ca.crt") }
    /// The certificate of a name: "server" or "client".
    package func certificate(_ name: String) -> String { directory.path("\(name).crt") }
    /// Its key.
    package func key(_ name: String) -> String { directory.path("\(name).key") }

    /// - Parameters:
    ///   - name: the server's own.
    ///   - hosts: the hosts that the certificates are for.
    package init(
        name server: String = "server", hosts: String = "subjectAltName=IP:127.0.0.1,DNS:localhost"
    ) throws {
        directory = try TemporaryDirectory()
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        try runSuccessfully(
            "openssl",
            ["req", "-x509", "-subj", "/CN=test authority", "-days", "2", "-out", authority]
                + ["-keyout", directory.path("ca.key")] + curve)
        try directory.write(
            "extensions",
            "\(hosts)\nextendedKeyUsage=serverAuth,clientAuth\n")
        for name in ["server", "client"] {
            try runSuccessfully(
                "openssl",
                [
                    "req", "-new", "-subj", "/CN=\(name == "server" ? server : name)", "-out",
                    directory.path("csr"), "-keyout", key(name),
                ]
                    + curve)
            try runSuccessfully(
                "openssl",
                [
                    "x509", "-req", "-in", directory.path("csr"), "-CA", authority, "-CAkey",
                    directory.path("ca.key"), "-CAcreateserial", "-days", "2", "-extfile",
                    directory.path("extensions"), "-out", certificate(name),
                ])
        }
    }
}
