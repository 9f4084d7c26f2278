// `WWW-Authenticate`: how a registry wants to be asked (RFC 9110, section 11.6.1).

import Platform

/// One challenge of an answer with status 401.
package struct Challenge: Equatable {
    /// The scheme, in lower case.
    package let scheme: String
    /// The parameters; names in lower case.
    package let parameters: [String: String]

    /// Every challenge of any number of header lines; a line may hold several, and parameters besides.
    package static func parse(_ lines: [String]) -> [Challenge] { lines.flatMap { parse(line: $0) } }

    private static func parse(line: String) -> [Challenge] {
        var result: [Challenge] = []
        var scheme: String?
        var parameters: [String: String] = [:]
        var rest = Array(line.utf8)[...]
        func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
        while true {
            rest = rest.drop { isBlank($0) || $0 == UInt8(ascii: ",") }
            if rest.isEmpty { break }
            let word = rest.prefix { !isBlank($0) && !#",=""#.utf8.contains($0) }
            rest = rest.dropFirst(word.count)
            let behind = rest.drop(while: isBlank)
            guard behind.first == UInt8(ascii: "=") else {
                // No value: the next challenge's scheme.
                if let scheme { result.append(Challenge(scheme: scheme, parameters: parameters)) }
                (scheme, parameters) = (String(decoding: word, as: UTF8.self).lowercased(), [:])
                // A stray quote is stepped over.
                if word.isEmpty { rest = rest.dropFirst() }
                continue
            }
            rest = behind.dropFirst().drop(while: isBlank)
            let name = String(decoding: word, as: UTF8.self).lowercased()
            parameters[name] = value(&rest)
        }
        if let scheme { result.append(Challenge(scheme: scheme, parameters: parameters)) }
        return result
    }

    /// A token, or a quoted string with its escapes undone.
    private static func value(_ rest: inout ArraySlice<UInt8>) -> String {
        guard rest.first == UInt8(ascii: "\"") else {
            let token = rest.prefix { $0 != UInt8(ascii: ",") && $0 != 0x20 && $0 != 0x09 }
            rest = rest.dropFirst(token.count)
            return String(decoding: token, as: UTF8.self)
        }
        rest = rest.dropFirst()
        var bytes: [UInt8] = []
        while let byte = rest.popFirst(), byte != UInt8(ascii: "\"") {
            if byte == UInt8(ascii: "\\"), let escaped = rest.popFirst() {
                bytes.append(escaped)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// What a Bearer challenge asks for: a token of that service (RFC 6750, section 3, and the distribution project's "Token
/// Authentication Specification").
package struct BearerChallenge: Hashable, Sendable {
    /// The token service's address, http or https.
    package let realm: String
    package let service: String?
    package let scope: String?

    /// Nil where it is no Bearer challenge with a realm that can be asked.
    package init?(_ challenge: Challenge) {
        guard challenge.scheme == "bearer", let realm = challenge.parameters["realm"],
            realm.hasPrefix("https://") || realm.hasPrefix("http://"),
            // With a backslash, not all agree on which host is meant: here it decides who sees a password.
            realm.utf8.allSatisfy({ (0x21...0x7e).contains($0) && $0 != UInt8(ascii: "\\") })
        else { return nil }
        self.realm = realm
        service = challenge.parameters["service"]
        scope = challenge.parameters["scope"]
    }

    /// The first Bearer challenge of an answer.
    package init?(_ lines: [String]) {
        guard let first = Challenge.parse(lines).lazy.compactMap({ BearerChallenge($0) }).first else {
            return nil
        }
        self = first
    }

    /// Where to fetch a token that may pull from a repository, anonymously or with a password.
    package func url(repository: String) -> String {
        realm + (realm.contains("?") ? "&" : "?") + Self.form(fields(repository))
    }

    /// What to send to the realm for an identity token (the specification's "OAuth2 Token Authentication").
    package func form(repository: String, identityToken: String) -> String {
        Self.form(
            [
                ("grant_type", "refresh_token"), ("refresh_token", identityToken),
                ("client_id", "cvmfs_ducc"),
            ] + fields(repository))
    }

    private func fields(_ repository: String) -> [(String, String)] {
        (service.map { [("service", $0)] } ?? []) + [("scope", scope ?? "repository:\(repository):pull")]
    }

    private static func form(_ fields: [(String, String)]) -> String {
        fields.map { "\($0.0)=\(escaped($0.1))" }.joined(separator: "&")
    }

    /// Percent-encodes everything but RFC 3986's unreserved characters.
    private static func escaped(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f, 0x7e:
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default: result += "%" + Hex.string([byte]).uppercased()
            }
        }
        return result
    }
}
