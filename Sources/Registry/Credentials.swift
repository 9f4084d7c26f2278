// Who is asking: DUCC's own variables first, then docker's configuration, then the one of podman and its kin
// (containers-auth.json(5)). The first that knows the registry is used. Nothing of a secret is ever in a message.

import Images
import Platform
import Synchronization

/// What a registry or its token service is shown.
package struct Credential: Equatable, Sendable {
    /// What it is made of.
    package enum Kind: Equatable, Sendable {
        case password(user: String, password: String)
        /// An OAuth2 refresh token.
        case identityToken(String)
        /// What a registry that asks for a token is shown as it is; no token service is asked.
        case registryToken(String)
    }

    package let kind: Kind
    /// Where it is from, for messages: "DUCC_A_USER", a file's path.
    package let origin: String

    package init(kind: Kind, origin: String) {
        self.kind = kind
        self.origin = origin
    }

    /// The `Authorization` of a name and a password (RFC 7617).
    package var basic: String? {
        guard case .password(let user, let password) = kind else { return nil }
        return "Basic " + Base64.encoded("\(user):\(password)")
    }

    /// "user 'x' (from ORIGIN)".
    package var words: String {
        switch kind {
        case .password(let user, _): "user \(quoted(user)) (from \(origin))"
        case .identityToken: "the identity token of \(origin)"
        case .registryToken: "the registry token of \(origin)"
        }
    }
}

/// All credentials of this process.
package final class Credentials: Sendable {
    /// DUCC's own variables, or what is wrong with them.
    package let variables: Result<[RegistryVariables], SourceError>
    private let environment: [String: String]
    private let known = Mutex<[String: Credential?]>([:])
    private let given: Credential?

    /// - Parameter given: shown to every registry, whatever else is known.
    package init(environment: [String: String], given: Credential? = nil) {
        self.environment = environment
        self.given = given
        variables = Result { () throws(SourceError) in try RegistryVariables.read(environment) }
    }

    /// DUCC's own variables for a registry.
    ///
    /// - Throws: `SourceError` where one of them is no use, whatever registry it is for.
    package func variables(for reference: ImageReference) throws(SourceError) -> RegistryVariables? {
        let names = RegistryNames(reference)
        return try variables.get().first { names.hosts.contains($0.host.lowercased()) }
    }

    /// What to show an endpoint; nil where nobody knows anything: it is then asked anonymously.
    ///
    /// - Throws: `SourceError` where a file or a helper that may know is no use, `Interrupted`.
    package func find(_ endpoint: RegistryEndpoint) throws -> Credential? {
        if let given { return given }
        if let own = endpoint.variables?.credential { return own }
        if let found = known.withLock({ $0[endpoint.key] }) { return found }
        let found = try search(endpoint.names)
        known.withLock { $0[endpoint.key] = .some(found) }
        return found
    }

    private func search(_ names: RegistryNames) throws -> Credential? {
        for path in files {
            guard let file = try CredentialsFile.read(path) else { continue }
            if let found = try file.find(names, environment: environment) { return found }
        }
        return nil
    }

    /// The files, in the order in which they are asked.
    private var files: [String] {
        func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        let home = value("HOME")
        var files: [String] = []
        if let directory = value("DOCKER_CONFIG") ?? home.map({ "\($0)/.docker" }) {
            files.append("\(directory)/config.json")
        }
        if let file = value("REGISTRY_AUTH_FILE") { return files + [file] }
        if let directory = value("XDG_RUNTIME_DIR") { files.append("\(directory)/containers/auth.json") }
        if let directory = value("XDG_CONFIG_HOME") ?? home.map({ "\($0)/.config" }) {
            files.append("\(directory)/containers/auth.json")
        }
        return files
    }
}

/// The names under which files know an image's registry.
package struct RegistryNames {
    /// `host[:port]`, lower case; Docker Hub goes by several.
    package let hosts: [String]
    /// The repository's path.
    package let repository: String
    /// What a credential helper is asked for: Docker Hub as docker calls it.
    package let server: String

    package init(_ reference: ImageReference) {
        self.init(host: reference.registry, repository: reference.requestRepository)
    }

    package init(host: String, repository: String) {
        let isHub = Self.hub.contains(host.lowercased())
        hosts = isHub ? Self.hub : [host.lowercased()]
        server = isHub ? "https://index.docker.io/v1/" : host
        self.repository = repository
    }

    private static let hub = [
        "docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com",
    ]
}

/// Base 64 (RFC 4648, section 4).
package enum Base64 {
    private static let alphabet = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    package static func encoded(_ text: String) -> String {
        var result: [UInt8] = []
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var bits = 0
            for index in 0..<3 { bits = bits << 8 | (index < group.count ? Int(group[start + index]) : 0) }
            for index in 0..<4 {
                result.append(
                    index <= group.count ? alphabet[bits >> (18 - 6 * index) & 63] : UInt8(ascii: "="))
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// - Returns: nil where it is no base 64 or no UTF-8. Padding may be missing.
    package static func decoded(_ text: String) -> String? {
        var result: [UInt8] = []
        var bits = 0
        var count = 0
        var input = Array(text.utf8)[...]
        while input.last == UInt8(ascii: "=") || input.last == 0x0a { input.removeLast() }
        for byte in input {
            guard let value = alphabet.firstIndex(of: byte) else { return nil }
            bits = (bits << 6 | value) & 0xffffff
            count += 6
            if count >= 8 {
                count -= 8
                result.append(UInt8(bits >> count & 0xff))
            }
        }
        return String(validating: result, as: UTF8.self)
    }
}
