// A client of the distribution API (OCI distribution-spec; Docker Registry HTTP API V2), anonymous: no credentials are
// sent, but where a registry hands out tokens to anybody (Docker Hub, ghcr.io), one is fetched.

import FoundationEssentials
import HTTP
import Images
import Platform
import Synchronization

/// Talks to registries; one serves any number of images and threads.
package final class RegistryClient: Sendable {
    private let http: HTTPClient
    /// Tokens by registry and repository.
    private let tokens = Mutex<[String: String]>([:])
    /// Registries at which https turned out to be http: local ones only.
    private let plain = Mutex<Set<String>>([])

    /// - Parameter agent: what requests carry as `User-Agent`.
    package init(agent: String) { http = HTTPClient(agent: agent) }

    /// Asks a registry.
    ///
    /// - Parameter path: the part behind `/v2/REPOSITORY/`.
    /// - Throws: `SourceError` where no answer comes or the answer is no success, `Interrupted`.
    func send(
        _ method: HTTPClient.Method, _ reference: ImageReference, _ path: String, accept: String? = nil
    ) throws -> HTTPResponse {
        var headers: [HTTPHeader] = []
        if let accept { headers.append(HTTPHeader("Accept", accept)) }
        let key = "\(reference.requestRegistry)/\(reference.requestRepository)"
        do {
            var response = try sendOnce(method, reference, path, headers, token: tokens.withLock { $0[key] })
            if response.status == 401,
                let challenge = BearerChallenge(response.headerValues("WWW-Authenticate"))
            {
                let token = try fetchToken(challenge, for: reference)
                tokens.withLock { $0[key] = token }
                response = try sendOnce(method, reference, path, headers, token: token)
            }
            guard (200..<300).contains(response.status) else {
                throw RegistryAnswer.error(response, reference, path)
            }
            return response
        } catch let error as HTTPError {
            throw SourceError("\(error); is the registry up, and reachable from here?")
        }
    }

    private func sendOnce(
        _ method: HTTPClient.Method, _ reference: ImageReference, _ path: String, _ headers: [HTTPHeader],
        token: String?
    ) throws -> HTTPResponse {
        let registry = reference.requestRegistry
        let headers = headers + (token.map { [HTTPHeader("Authorization", "Bearer \($0)")] } ?? [])
        let rest = "\(registry)/v2/\(reference.requestRepository)/\(path)"
        guard case .registry(.https, _) = reference.source, !plain.withLock({ $0.contains(registry) }) else {
            return try http.send(method, "http://\(rest)", headers: headers)
        }
        do {
            return try http.send(method, "https://\(rest)", headers: headers)
        } catch let error as HTTPError where error.isConnectionFailure && Self.isLocal(registry) {
            // As docker does: a registry on this machine need not have a certificate.
            let response = try http.send(method, "http://\(rest)", headers: headers)
            _ = plain.withLock { $0.insert(registry) }
            return response
        }
    }

    private func fetchToken(_ challenge: BearerChallenge, for reference: ImageReference) throws -> String {
        let url = challenge.url(repository: reference.requestRepository)
        let response = try http.send(.get, url)
        guard let body = try response.collect(limit: 256 << 10) else {
            throw SourceError("the token service of \(reference.registry) gave an endless answer")
        }
        guard response.status == 200 else {
            throw SourceError(
                "\(reference.registry) gives no anonymous access to \(reference.repository) "
                    + "(its token service answered \(response.status)): it needs credentials")
        }
        let answer = try? JSONDecoder().decode(TokenAnswer.self, from: Data(body))
        // It goes into a header line: nothing that could end the line, and no more than servers take.
        guard let token = answer?.token ?? answer?.access_token, !token.isEmpty, token.utf8.count <= 16 << 10,
            token.utf8.allSatisfy({ (0x21...0x7e).contains($0) })
        else {
            throw SourceError("the token service of \(reference.registry) gave no token that can be used")
        }
        return token
    }

    /// Whether a registry is on this machine, by its name.
    private static func isLocal(_ registry: String) -> Bool {
        let host =
            registry.hasPrefix("[")
            ? String(registry.dropFirst().prefix { $0 != "]" }) : String(registry.prefix { $0 != ":" })
        return host == "localhost" || host == "::1" || host.hasPrefix("127.")
    }
}

/// What a token service answers (distribution project, "Token Authentication Specification").
private struct TokenAnswer: Decodable {
    let token: String?
    let access_token: String?
}

/// A `WWW-Authenticate: Bearer …` line (RFC 6750, section 3, and the distribution project's token specification).
struct BearerChallenge: Equatable {
    let realm: String
    let service: String?
    let scope: String?

    /// The first Bearer challenge with a realm of http or https; nil where there is none.
    init?(_ lines: [String]) {
        for line in lines where line.lowercased().hasPrefix("bearer ") {
            let parameters = Self.parameters(line.dropFirst("bearer ".count))
            guard let realm = parameters["realm"], realm.hasPrefix("https://") || realm.hasPrefix("http://")
            else {
                continue
            }
            self.realm = realm
            service = parameters["service"]
            scope = parameters["scope"]
            return
        }
        return nil
    }

    /// Where to fetch a token that may pull from a repository.
    func url(repository: String) -> String {
        var query = ["scope=" + Self.escaped(scope ?? "repository:\(repository):pull")]
        if let service { query.insert("service=" + Self.escaped(service), at: 0) }
        return realm + (realm.contains("?") ? "&" : "?") + query.joined(separator: "&")
    }

    /// Reads `name=value, name="quoted value"`.
    private static func parameters(_ text: Substring) -> [String: String] {
        var result: [String: String] = [:]
        var rest = text
        while let equals = rest.firstIndex(of: "=") {
            let name = rest[..<equals].filter { $0 != "," && $0 != " " && $0 != "\t" }.lowercased()
            rest = rest[rest.index(after: equals)...]
            var value = ""
            if rest.first == "\"" {
                rest = rest.dropFirst()
                while let next = rest.popFirst(), next != "\"" {
                    if next == "\\", let escaped = rest.popFirst() {
                        value.append(escaped)
                    } else {
                        value.append(next)
                    }
                }
            } else {
                value = String(rest.prefix { $0 != "," })
                rest = rest.dropFirst(value.count)
            }
            result[name] = value
        }
        return result
    }

    /// Percent-encodes everything but RFC 3986's unreserved characters.
    private static func escaped(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            let scalar = Unicode.Scalar(byte)
            if scalar.properties.isAlphabetic && byte < 128 || (0x30...0x39).contains(byte)
                || "-._~".utf8.contains(byte)
            {
                result.unicodeScalars.append(scalar)
            } else {
                result += "%" + Hex.string([byte]).uppercased()
            }
        }
        return result
    }
}
