// Debian's real docker-registry, on a port of its own, with its access log: what a request cost is read there.

import Glibc
import Platform

/// A registry that runs as long as this object lives.
package final class DockerRegistry: Sendable {
    /// Who may read, and how (docker-registry's "Configuring a registry").
    package struct Access: Sendable {
        /// Of the configuration: what stands beside `addr` in `http`.
        package var http = ""
        /// Of the configuration: a line of its own.
        package var auth = ""
        package var isEncrypted = false
        /// Of the configuration: `middleware`.
        package var middleware = "{}"

        package init() {}

        /// Anybody, without encryption.
        package static let open = Access()

        /// With a certificate and its key; with an authority, only for clients that have a certificate of it.
        package static func encrypted(_ certificate: String, key: String, clients: String? = nil) -> Access {
            var access = Access()
            access.http = ", tls: {certificate: \(certificate), key: \(key)"
            if let clients { access.http += ", clientcas: [\(clients)]" }
            access.http += "}"
            access.isEncrypted = true
            return access
        }

        /// With the name and the password of a file that `htpasswd -B` writes.
        package static func password(_ file: String) -> Access {
            var access = Access()
            access.auth = "auth: {htpasswd: {realm: test, path: \(file)}}"
            return access
        }

        /// With the tokens of a service whose certificate is given.
        package static func token(realm: String, certificate: String) -> Access {
            var access = Access()
            access.auth =
                "auth: {token: {realm: \"\(realm)\", service: test, issuer: test, rootcertbundle: \(certificate)}}"
            return access
        }

        /// With tokens, and encrypted itself.
        package static func encryptedWithTokens(_ certificates: Certificates, realm: String) -> Access {
            var access = encrypted(certificates.certificate("server"), key: certificates.key("server"))
            access.auth = token(realm: realm, certificate: certificates.authority).auth
            return access
        }
    }

    private let directory: TemporaryDirectory
    private let data: TemporaryDirectory
    private let process: ChildProcess
    /// "127.0.0.1:PORT".
    package let host: String

    /// - Parameters:
    ///   - access: who may read.
    ///   - other: a registry whose images this one has too, those of later pushes included.
    package init(_ access: Access = .open, over other: DockerRegistry? = nil) throws {
        directory = try TemporaryDirectory()
        data = other?.data ?? directory
        var started: (ChildProcess, String)?
        // A port that was free a moment ago may be taken now: then try another.
        for _ in 0..<10 where started == nil {
            started = try Self.start(in: directory, data.path("data"), access)
        }
        guard let started else { throw SupportError("docker-registry does not start; see its log") }
        (process, host) = started
    }

    deinit {
        process.signalGroup(SIGKILL)
        _ = process.wait()
    }

    /// Copies an image from a layout into the registry.
    package func push(_ layout: String, tag: String, as name: String) throws {
        try runSuccessfully(
            "skopeo",
            [
                "copy", "--quiet", "--dest-tls-verify=false", "--preserve-digests", "oci:\(layout):\(tag)",
                "docker://\(host)/\(name)",
            ])
    }

    /// The requests so far, one line each: "GET /v2/… 200".
    package func requests() throws -> [String] {
        try text(of: directory.path("log")).split(separator: "\n").compactMap { line in
            // Apache's combined form: … "GET /v2/ HTTP/1.1" 200 …
            let parts = line.split(separator: "\"", omittingEmptySubsequences: false)
            guard parts.count > 2, parts[1].hasSuffix(" HTTP/1.1") || parts[1].hasSuffix(" HTTP/2.0") else {
                return nil
            }
            let status = parts[2].split(separator: " ").first ?? ""
            return parts[1].split(separator: " ").prefix(2).joined(separator: " ") + " " + status
        }
    }

    /// The requests that `body` causes.
    package func requests(during body: () throws -> Void) throws -> [String] {
        let before = try requests().count
        try body()
        return Array(try requests().dropFirst(before))
    }

    private static func start(
        in directory: TemporaryDirectory, _ data: String, _ access: Access
    ) throws -> (ChildProcess, String)? {
        let host = "127.0.0.1:\(try LoopbackPort.free())"
        let configuration = try directory.write(
            "config.yml",
            """
            version: 0.1
            log: {accesslog: {disabled: false}, level: warn}
            storage: {filesystem: {rootdirectory: \(data)}, delete: {enabled: true}}
            http: {addr: "\(host)", secret: test\(access.http)}
            middleware: \(access.middleware)
            \(access.auth)
            """)
        let log = try OwnedDescriptor(
            opening: directory.path("log"), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, mode: 0o600)
        let process = try ChildProcess.start(
            "docker-registry", ["serve", configuration], output: log.raw, errors: log.raw)
        let end = try process.endDescriptor()
        for _ in 0..<2000 {
            var descriptor = pollfd(fd: end.raw, events: Int16(POLLIN), revents: 0)
            if poll(&descriptor, 1, 5) == 1 { break }
            if answers("\(access.isEncrypted ? "https" : "http")://\(host)/v2/") { return (process, host) }
        }
        process.signalGroup(SIGKILL)
        _ = process.wait()
        return nil
    }

    /// Whether anything answers, a refusal included; a client's certificate that is missing is one (curl: 56, 35).
    private static func answers(_ url: String) -> Bool {
        [0, 35, 56].contains((try? run("curl", ["-ks", "-o", "/dev/null", url]))?.code)
    }
}
