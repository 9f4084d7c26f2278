// DUCC's own variables: `DUCC_AUTH_REGISTRIES=A,B` names groups, and of each group `DUCC_A_IDENT` is the registry that it
// is for, `DUCC_A_USER` and `DUCC_A_PASS` who asks, `DUCC_A_PROXY` a mirror that is asked instead. DUCC took a group for
// every registry whose address contained the IDENT; here it is the registry's host, exactly.

import Images

/// One group of variables.
package struct RegistryVariables: Equatable, Sendable {
    /// The registry: `host[:port]`.
    package let host: String
    /// Who asks, of the mirror where there is one.
    package let credential: Credential?
    /// `HOST[/PREFIX]`, asked instead.
    package let mirror: Mirror?

    /// A mirror: its host, and what stands before the repository's path.
    package struct Mirror: Equatable, Sendable {
        let host: String
        let prefix: String
    }

    /// Reads the variables.
    ///
    /// - Throws: `SourceError` that names the variable.
    package static func read(_ environment: [String: String]) throws(SourceError) -> [RegistryVariables] {
        func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        guard let list = value("DUCC_AUTH_REGISTRIES") else { return [] }
        var result: [RegistryVariables] = []
        for part in list.split(separator: ",") {
            let name = part.drop { $0 == " " }.prefix { $0 != " " }
            guard !name.isEmpty,
                name.utf8.allSatisfy({
                    (0x30...0x39).contains($0) || (0x41...0x5a).contains($0) || (0x61...0x7a).contains($0)
                        || $0 == UInt8(ascii: "_")
                })
            else {
                throw SourceError(
                    "DUCC_AUTH_REGISTRIES names \(quoted(part)): it takes names of letters, digits and '_', "
                        + "with commas between")
            }
            let prefix = "DUCC_\(name)_"
            guard let host = value("\(prefix)IDENT") else {
                throw SourceError(
                    "DUCC_AUTH_REGISTRIES names \(name), but \(prefix)IDENT is not set: set it to the registry's host"
                )
            }
            guard isHost(host) else {
                throw SourceError(
                    "\(prefix)IDENT is \(host.contains("@") ? "no host" : quoted(host)): it takes the registry's host[:port] alone, without scheme or path"
                )
            }
            guard !result.contains(where: { $0.host.lowercased() == host.lowercased() }) else {
                throw SourceError("\(prefix)IDENT is \(quoted(host)) like another one before: leave one out")
            }
            result.append(
                RegistryVariables(
                    host: host,
                    credential: try credential(prefix, value("\(prefix)USER"), value("\(prefix)PASS")),
                    mirror: try value("\(prefix)PROXY").map { text throws(SourceError) in
                        try mirror("\(prefix)PROXY", text)
                    }))
        }
        return result
    }

    private static func credential(
        _ prefix: String, _ user: String?, _ password: String?
    ) throws(SourceError) -> Credential? {
        switch (user, password) {
        case (nil, nil): return nil
        case (let user?, let password?):
            guard !user.contains(":") else {
                throw SourceError("\(prefix)USER holds a ':', which no user name may")
            }
            return Credential(kind: .password(user: user, password: password), origin: "\(prefix)USER")
        case (_?, nil): throw SourceError("\(prefix)USER is set, but \(prefix)PASS is not: set both or none")
        case (nil, _?): throw SourceError("\(prefix)PASS is set, but \(prefix)USER is not: set both or none")
        }
    }

    private static func mirror(_ name: String, _ text: String) throws(SourceError) -> Mirror {
        let host = text.prefix { $0 != "/" }
        let path = text.dropFirst(host.count).split(separator: "/", omittingEmptySubsequences: true)
        let isPath = path.allSatisfy { part in
            part != "." && part != ".."
                && part.utf8.allSatisfy {
                    (0x30...0x39).contains($0) || (0x61...0x7a).contains($0) || (0x41...0x5a).contains($0)
                        || "._-".utf8.contains($0)
                }
        }
        guard isHost(String(host)), isPath else {
            // It may hold a password, as addresses of proxies do: not repeated.
            throw SourceError("\(name) is no HOST[:PORT][/PREFIX], without scheme, user or anything behind")
        }
        return Mirror(host: String(host), prefix: path.map { "\($0)/" }.joined())
    }

    /// Whether a text is `host[:port]`, as a registry is spelled in a reference.
    private static func isHost(_ text: String) -> Bool {
        guard let reference = try? ImageReference(parsing: "https://\(text)/a:b") else { return false }
        return reference.registry == text && reference.repository == "a"
    }
}
