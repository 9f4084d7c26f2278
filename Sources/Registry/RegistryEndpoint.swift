// Where an image's requests go: its registry, or the mirror that is named for it. Published paths know nothing of this.

import HTTP
import Images
import Platform

/// The place that is asked for one image.
package struct RegistryEndpoint {
    /// `host[:port]`.
    package let host: String
    /// The repository's path there.
    package let repository: String
    /// Whether the wish says `http`.
    package let isPlain: Bool
    /// The registry as a message calls it.
    package let name: String
    /// By which names credentials are looked up: a mirror's own, never the registry's.
    package let names: RegistryNames
    /// DUCC's own variables for the registry.
    package let variables: RegistryVariables?

    /// - Parameters:
    ///   - variables: DUCC's own for the registry.
    ///   - isForWriting: whether something is pushed: that goes to the registry itself, with its own credentials.
    package init(_ reference: ImageReference, _ variables: RegistryVariables?, isForWriting: Bool = false) {
        let variables = isForWriting && variables?.mirror != nil ? nil : variables
        self.variables = variables
        if case .registry(.https, _) = reference.source { isPlain = false } else { isPlain = true }
        if let mirror = variables?.mirror {
            host = mirror.host
            repository = mirror.prefix + reference.requestRepository
            name = "\(mirror.host) (the mirror of \(reference.registry))"
            names = RegistryNames(host: mirror.host, repository: repository)
        } else {
            host = reference.requestRegistry
            repository = reference.requestRepository
            name = reference.registry
            names = RegistryNames(reference)
        }
    }

    /// What sessions are kept by.
    package var key: String { "\(isPlain ? "http" : "https")://\(host)/\(repository)" }

    /// Whether an address, that of an answer, is on this host: only there a challenge is the registry's own.
    package func isOwn(_ url: String) -> Bool {
        let url = url.lowercased()
        return [("https", ":443"), ("http", ":80")].contains { scheme, port in
            guard url.hasPrefix("\(scheme)://") else { return false }
            func bare(_ host: some StringProtocol) -> Substring {
                host.hasSuffix(port) ? Substring(host).dropLast(port.utf8.count) : Substring(host)
            }
            return bare(Self.host(of: url)) == bare(host.lowercased())
        }
    }

    /// Whether a host is this machine, by its name.
    package static func isLocal(_ registry: some StringProtocol) -> Bool {
        let host =
            registry.hasPrefix("[")
            ? String(registry.dropFirst().prefix { $0 != "]" }) : String(registry.prefix { $0 != ":" })
        guard host.hasPrefix("127.") else { return host == "localhost" || host == "::1" }
        // "127.example.org" is a name like any other.
        return host.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == UInt8(ascii: ".") }
    }

    /// What stands behind the host in an address of http or https, the slash included.
    package static func path(of url: String) -> Substring {
        url.drop { $0 != "/" }.dropFirst(2).drop { !"/?#".contains($0) }
    }

    /// The host of an address of http or https, without what may stand before an `@`.
    package static func host(of url: String) -> Substring {
        let authority = url.drop { $0 != "/" }.dropFirst(2).prefix { !"/?#\\".contains($0) }
        return authority.lastIndex(of: "@").map { authority[authority.index(after: $0)...] } ?? authority
    }
}

/// Certificates for registries, as docker and podman are given them: in `HOST[:PORT]/`, `*.crt` are authorities, `*.cert`
/// is the client's certificate and the `*.key` of the same name its key (docker's "Verify repository client with
/// certificates", containers-certs.d(5)).
enum RegistryTrust {
    /// - Throws: `SourceError` for a directory that is there and no use.
    static func find(_ host: String, _ settings: RegistrySettings) throws(SourceError) -> HTTPTrust {
        var trust = HTTPTrust(environment: settings.environment)
        guard
            let directory = settings.certificateDirectories.map({ "\($0)/\(host)" }).first(where: {
                Files.isDirectory($0)
            })
        else { return trust }
        let names: [String]
        do { names = try DirectoryEntry.names(in: directory).sorted() } catch {
            throw SourceError(
                "\(error); it may hold the certificates for \(host): make it readable, or remove it")
        }
        trust.authorities = names.filter { $0.hasSuffix(".crt") }.map { "\(directory)/\($0)" }
        for path in trust.authorities {
            do { _ = try Files.read(path, limit: 16 << 20) } catch {
                throw SourceError("\(error); it is a certificate authority for \(host)")
            }
        }
        if let certificate = names.first(where: { $0.hasSuffix(".cert") }) {
            let key = certificate.dropLast("cert".count) + "key"
            guard names.contains(String(key)) else {
                throw SourceError("\(directory)/\(certificate) has no key: put it into \(directory)/\(key)")
            }
            trust.certificate = "\(directory)/\(certificate)"
            trust.key = "\(directory)/\(key)"
        } else if let key = names.first(where: { $0.hasSuffix(".key") }) {
            throw SourceError(
                "\(directory)/\(key) has no certificate: put it into \(directory)/\(key.dropLast(3))cert")
        }
        return trust
    }
}
