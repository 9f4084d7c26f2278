// docker's `config.json` and podman's `auth.json` (containers-auth.json(5)): the same format but for the keys. docker's
// are hosts or addresses (`https://index.docker.io/v1/`), podman's may also be namespaces (`host/path`), the longest
// that fits being the one.

import FoundationEssentials
import Images
import Platform

/// One file with credentials.
struct CredentialsFile {
    private struct Content: Decodable {
        struct Entry: Decodable {
            let auth: String?
            let username: String?
            let password: String?
            let identitytoken: String?
            let registrytoken: String?
        }
        let auths: [String: Entry]?
        let credHelpers: [String: String]?
        let credsStore: String?
    }

    private let path: String
    private let content: Content

    /// Reads a file.
    ///
    /// - Returns: nil where there is none.
    /// - Throws: `SourceError` where it can't be read or is none of that kind.
    static func read(_ path: String) throws(SourceError) -> CredentialsFile? {
        let bytes: [UInt8]
        do {
            bytes = try Files.read(path, limit: 4 << 20)
        } catch  where !Files.exists(path) {
            return nil
        } catch {
            throw SourceError("\(error); it may hold credentials: make it readable, or remove it")
        }
        // An empty file is what `podman logout` and some provisioning leave.
        guard bytes.contains(where: { ![0x20, 0x09, 0x0a, 0x0d].contains($0) }) else { return nil }
        do {
            return CredentialsFile(
                path: path, content: try JSONDecoder().decode(Content.self, from: Data(bytes)))
        } catch {
            throw SourceError(
                "\(place(of: error, in: path)): it is to be docker's config.json or podman's auth.json")
        }
    }

    /// What is wrong where, without a word of the content.
    private static func place(of error: any Error, in path: String) -> String {
        let context: DecodingError.Context? =
            switch error as? DecodingError {
            case .typeMismatch(_, let context), .valueNotFound(_, let context), .keyNotFound(_, let context):
                context
            default: nil
            }
        guard let context, !context.codingPath.isEmpty else { return "\(path) is no JSON object" }
        return "\(path) has something else than expected at "
            + quoted(context.codingPath.map(\.stringValue).joined(separator: "."))
    }

    /// The credential of a registry.
    ///
    /// - Returns: nil where the file knows of none.
    /// - Throws: `SourceError` where the one it has is no use, `Interrupted`.
    func find(_ names: RegistryNames, environment: [String: String]) throws -> Credential? {
        if let helper = helper(names),
            let found = try CredentialHelper(helper, named: path, environment).get(names.server)
        {
            return found
        }
        guard let (key, entry) = entry(names) else { return nil }
        let origin = path
        // docker, too, takes this one before all others.
        if let token = entry.registrytoken, !token.isEmpty {
            guard Token.isUsable(token) else {
                throw SourceError("\(path): the 'registrytoken' of \(quoted(key)) can't go into a request")
            }
            return Credential(kind: .registryToken(token), origin: origin)
        }
        if let token = entry.identitytoken, !token.isEmpty {
            return Credential(kind: .identityToken(token), origin: origin)
        }
        if let auth = entry.auth, !auth.isEmpty {
            guard let pair = Base64.decoded(auth), let colon = pair.firstIndex(of: ":"),
                colon != pair.startIndex
            else {
                throw SourceError(
                    "\(path): the 'auth' of \(quoted(key)) is not base64 of user:password; log in again")
            }
            // docker pads some passwords with zero bytes.
            let password = pair[pair.index(after: colon)...].filter { $0 != "\0" }
            return Credential(
                kind: .password(user: String(pair[..<colon]), password: String(password)), origin: origin)
        }
        if let user = entry.username, let password = entry.password, !user.isEmpty {
            return Credential(kind: .password(user: user, password: password), origin: origin)
        }
        return nil
    }

    /// The helper for a registry: its own, or the one for all.
    private func helper(_ names: RegistryNames) -> String? {
        for (key, name) in content.credHelpers ?? [:] where names.hosts.contains(Self.normalised(key)) {
            return name.isEmpty ? nil : name
        }
        return content.credsStore.flatMap { $0.isEmpty ? nil : $0 }
    }

    /// The entry whose key is the longest one that names the repository, a namespace above it or its registry.
    private func entry(_ names: RegistryNames) -> (String, Content.Entry)? {
        var best: (length: Int, key: String, entry: Content.Entry)?
        for (key, entry) in (content.auths ?? [:]).sorted(by: { $0.key < $1.key }) {
            let normalised = Self.normalised(key)
            let fits = names.hosts.contains { host in
                normalised == host || "\(host)/\(names.repository)/".hasPrefix(normalised + "/")
            }
            guard fits, normalised.utf8.count > best?.length ?? -1 else { continue }
            best = (normalised.utf8.count, key, entry)
        }
        return best.map { ($0.key, $0.entry) }
    }

    /// A key without what only docker writes: scheme, `/v1/`, `/v2/`. The host in lower case.
    private static func normalised(_ key: String) -> String {
        var text = key[...]
        let hasScheme = text.hasPrefix("https://") || text.hasPrefix("http://")
        if hasScheme {
            text = text[text.index(after: text.firstIndex(of: "/") ?? text.startIndex)...].dropFirst()
        }
        while text.hasSuffix("/") { text.removeLast() }
        let host = text.prefix { $0 != "/" }
        let path = text.dropFirst(host.count)
        // Of an address docker compares the host alone.
        return host.lowercased() + (hasScheme || path == "/v1" || path == "/v2" ? "" : path)
    }
}
