// Reading a reference. The first component is always the registry: there is no default one, and a name such as
// `library/alpine` is a repository of a host called `library`.

extension ImageReference {
    /// Reads a reference.
    ///
    /// - Throws: `ReferenceError`: what is wrong, where, and what to write instead.
    package init(parsing text: String) throws(ReferenceError) {
        guard !text.isEmpty else { throw ReferenceError(text, "it is empty; write REGISTRY/REPOSITORY:TAG") }
        guard text.utf8.count <= 4096 else {
            throw ReferenceError(text, "it has \(text.utf8.count) bytes, at most 4096 are allowed")
        }
        for (transport, isLayout) in [("oci:", true), ("docker-archive:", false)]
        where text.hasPrefix(transport) {
            try self.init(text, pathAndName: text.dropFirst(transport.count), transport, isLayout: isLayout)
            return
        }
        if let odd = text.unicodeScalars.first(where: { $0.value <= 0x20 || $0.value >= 0x7f }) {
            let position = text.unicodeScalars.prefix { $0 != odd }.count + 1
            throw ReferenceError(
                text,
                "character \(position) is \(quoted(String(Character(odd)))); a reference holds no spaces, "
                    + "control characters or letters outside ASCII")
        }
        let (scheme, name) = try Self.scheme(of: text)
        try self.init(text, scheme, name: name)
    }

    private static func scheme(of text: String) throws(ReferenceError) -> (Scheme, Substring) {
        let unsupported = [
            "dir:", "oci-archive:", "docker-daemon:", "containers-storage:", "docker:", "file:",
        ]
        for transport in unsupported where text.hasPrefix(transport) {
            // `dir:5000/x` is a host with a port all the same.
            guard text.dropFirst(transport.count).utf8.first.map(ReferenceGrammar.isDigit) != true else {
                break
            }
            if text.hasPrefix("docker://") {
                throw ReferenceError(text, "docker:// is not supported; write https://\(text.dropFirst(9))")
            }
            throw ReferenceError(
                text,
                "\(transport) is not supported; write https://REGISTRY/REPOSITORY:TAG, oci:PATH:REF "
                    + "or docker-archive:PATH:REF")
        }
        let parts = text.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, parts[1].isEmpty, parts[0].utf8.last == UInt8(ascii: ":") else {
            return (.https, text[...])
        }
        guard let scheme = Scheme(rawValue: parts[0].dropLast().lowercased()) else {
            throw ReferenceError(
                text, "the scheme \(quoted(parts[0].dropLast())) is unknown; write https:// or http://")
        }
        return (scheme, parts[2])
    }

    private init(_ text: String, _ scheme: Scheme, name: Substring) throws(ReferenceError) {
        let name = name.utf8.last == UInt8(ascii: "/") ? name.dropLast() : name
        guard let slash = name.firstIndex(of: "/") else {
            throw ReferenceError(
                text, Self.missingPart(in: name, isURL: name.startIndex != text.startIndex))
        }
        let host = name[..<slash]
        if let problem = ReferenceGrammar.problem(inRegistry: host) { throw ReferenceError(text, problem) }

        var rest = name[name.index(after: slash)...]
        var digest: Digest?
        if let at = rest.firstIndex(of: "@") {
            let behind = rest[rest.index(after: at)...]
            if behind.count(where: { $0 == ":" }) > 1, !behind.contains("@") {
                throw ReferenceError(text, "the tag stands before the digest; write REPOSITORY:TAG@DIGEST")
            }
            do throws(DigestError) {
                digest = try Digest(String(behind))
            } catch { throw ReferenceError(text, error.description) }
            rest = rest[..<at]
        }
        var tag: String?
        if let colon = rest.firstIndex(of: ":") {
            let behind = String(rest[rest.index(after: colon)...])
            if behind.hasPrefix("sha256:"), digest == nil {
                throw ReferenceError(text, "a digest is written behind @, not behind :")
            }
            if let problem = ReferenceGrammar.problem(inTag: behind, wildcards: true) {
                throw ReferenceError(text, problem)
            }
            if digest != nil, Glob.hasWildcard(behind) {
                throw ReferenceError(
                    text, "a wildcard in the tag and a digest exclude each other; drop one of them")
            }
            tag = behind
            rest = rest[..<colon]
        }
        guard !rest.isEmpty else {
            throw ReferenceError(text, "names no repository behind the registry \(quoted(host))")
        }
        if let problem = ReferenceGrammar.problem(inRepository: rest) { throw ReferenceError(text, problem) }
        self.init(
            source: .registry(scheme: scheme, host: String(host)), repository: String(rest), tag: tag,
            digest: digest, original: text)
        if let lengthProblem { throw ReferenceError(text, lengthProblem) }
    }

    /// What to say of a name without a slash: a registry alone, or an image as `docker pull` takes it.
    private static func missingPart(in name: Substring, isURL: Bool) -> String {
        guard !name.isEmpty else {
            return "names neither registry nor repository; write REGISTRY/REPOSITORY:TAG"
        }
        let word = name.prefix { $0 != ":" && $0 != "@" }
        let looksLikeHost = isURL || word.utf8.contains(UInt8(ascii: ".")) || word == "localhost"
        if looksLikeHost || word.hasPrefix("["), ReferenceGrammar.problem(inRegistry: name) == nil {
            return "names no repository; write \(name)/REPOSITORY:TAG"
        }
        let suggestion = "docker.io/library/\(name)"
        guard (try? ImageReference(parsing: suggestion)) != nil else {
            return "names no registry; write REGISTRY/REPOSITORY:TAG"
        }
        return "names no registry; write \(suggestion)"
    }

    private init(
        _ text: String, pathAndName: Substring, _ transport: String, isLayout: Bool
    ) throws(ReferenceError) {
        if pathAndName.hasPrefix("//") {
            throw ReferenceError(
                text, "\(transport) is followed by a path, not by a URL; write \(transport)PATH:REF")
        }
        if let odd = pathAndName.unicodeScalars.first(where: { $0.value < 0x20 || $0.value == 0x7f }) {
            throw ReferenceError(
                text, "the path holds the control character \(quoted(String(Character(odd))))")
        }
        let parts = pathAndName.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        var path = parts[0]
        while path.utf8.count > 1, path.utf8.last == UInt8(ascii: "/") { path = path.dropLast() }
        guard !path.isEmpty else {
            throw ReferenceError(text, "names no path; write \(transport)PATH or \(transport)PATH:REF")
        }
        var tag: String?
        if parts.count == 2 {
            let name = String(parts[1])
            if name.contains("/") {
                throw ReferenceError(
                    text, "\(quoted(name)) behind the path is no tag; write \(transport)PATH:TAG")
            }
            if let problem = ReferenceGrammar.problem(inTag: name, wildcards: false) {
                throw ReferenceError(text, problem)
            }
            tag = name
        }
        let last = path.split(separator: "/", omittingEmptySubsequences: false).last ?? path
        let problem =
            last.isEmpty ? "/ is not a name" : ReferenceGrammar.problem(inRepository: last)
        if let problem {
            throw ReferenceError(text, "the last part of the path becomes the image's name, and \(problem)")
        }
        self.init(
            source: isLayout ? .ociLayout(path: String(path)) : .dockerArchive(path: String(path)),
            repository: String(last), tag: tag, digest: nil, original: text)
        if let lengthProblem { throw ReferenceError(text, lengthProblem) }
    }
}
