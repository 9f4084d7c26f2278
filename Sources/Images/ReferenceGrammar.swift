// The grammar of the parts of a reference, as the distribution specification has it. Each function says what is
// wrong with a part, or nil.

import Glibc

enum ReferenceGrammar {
    /// `domain [':' port]`, the domain a DNS name, an IPv4 address or an IPv6 address in brackets.
    static func problem(inRegistry text: Substring) -> String? {
        guard !text.isEmpty else {
            return "names no registry before the first /; write REGISTRY/REPOSITORY:TAG"
        }
        if text.utf8.contains(UInt8(ascii: "@")) {
            return "a user or password does not belong in a reference; write only the host before the first /"
        }
        guard text != "podmanStore" else {
            return "the registry name podmanStore is taken by the repository's own directory"
        }
        let host: Substring
        let port: Substring?
        if text.utf8.first == UInt8(ascii: "[") {
            guard let close = text.firstIndex(of: "]") else {
                return "the IPv6 address in \(quoted(text)) lacks its closing ]"
            }
            host = text[...close]
            let rest = text[text.index(after: close)...]
            guard rest.isEmpty || rest.utf8.first == UInt8(ascii: ":") else {
                return
                    "\(quoted(rest)) behind the IPv6 address \(quoted(host)) is no port; write \(host):PORT"
            }
            port = rest.isEmpty ? nil : rest.dropFirst()
            var address = in6_addr()
            guard inet_pton(AF_INET6, String(host.dropFirst().dropLast()), &address) == 1 else {
                return "\(quoted(host)) is no IPv6 address"
            }
        } else if let colon = text.firstIndex(of: ":") {
            host = text[..<colon]
            port = text[text.index(after: colon)...]
        } else {
            host = text
            port = nil
        }
        if let problem = port.flatMap({ self.problem(inPort: $0, of: host) }) { return problem }
        return host.utf8.first == UInt8(ascii: "[") ? nil : problem(inHost: host)
    }

    private static func problem(inPort port: Substring, of host: Substring) -> String? {
        if let number = UInt16(port), number > 0, port.utf8.allSatisfy(isDigit), port.utf8.first != 0x30 {
            return nil
        }
        if port.utf8.contains(UInt8(ascii: ":")) {
            return "an IPv6 address stands in brackets; write [ADDRESS]:PORT before the first /"
        }
        return "the port \(quoted(port)) of the registry \(quoted(host)) is not a number from 1 to 65535"
    }

    private static func problem(inHost host: Substring) -> String? {
        guard host.utf8.count <= 253 else {
            return "the registry name has \(host.utf8.count) characters, a host name has at most 253"
        }
        for label in host.split(separator: ".", omittingEmptySubsequences: false) {
            guard !label.isEmpty else {
                return
                    "the registry \(quoted(host)) begins or ends with a dot or has two in a row"
            }
            if let odd = label.first(where: { !isASCII($0, isLetterOrDigit) && $0 != "-" }) {
                return "the registry \(quoted(host)) holds \(quoted(String(odd))); "
                    + "a host name is made of letters, digits, dots and hyphens"
            }
            guard label.utf8.first != UInt8(ascii: "-"), label.utf8.last != UInt8(ascii: "-") else {
                return
                    "in the registry \(quoted(host)) the part \(quoted(label)) begins or ends with a hyphen"
            }
            guard label.utf8.count <= 63 else {
                return "the part \(quoted(label)) of the registry has more than 63 characters"
            }
        }
        return nil
    }

    /// Components of lower-case letters and digits, with `.`, `_`, `__` or hyphens between, joined by `/`.
    static func problem(inRepository text: Substring) -> String? {
        guard text.utf8.count <= 255 else {
            return "the repository name has \(text.utf8.count) characters, at most 255 are allowed"
        }
        for component in text.split(separator: "/", omittingEmptySubsequences: false) {
            guard !component.isEmpty else {
                return
                    "the repository \(quoted(text)) has an empty part; write single slashes between its parts"
            }
            if let problem = problem(inComponent: component) { return problem }
        }
        return nil
    }

    /// One component of a repository.
    static func problem(inComponent text: Substring) -> String? {
        let part = "the repository part \(quoted(text))"
        if text == "." || text == ".." { return "\(part) is not a name" }
        if text.utf8.contains(where: isUpper) {
            return "\(part) has capital letters; repositories are lower-case, write \(text.lowercased())"
        }
        if let odd = text.first(where: { !isASCII($0, isLetterOrDigit) && !"._-".contains($0) }) {
            if "*?[]".contains(odd) {
                return "\(part) holds the wildcard \(quoted(String(odd))); wildcards stand only in the tag"
            }
            return "\(part) holds \(quoted(String(odd))); "
                + "it is made of lower-case letters and digits with . _ __ or - between them"
        }
        let bytes = Array(text.utf8)
        guard let first = bytes.first, let last = bytes.last, isLetterOrDigit(first), isLetterOrDigit(last)
        else {
            return "\(part) begins or ends with a separator; it begins and ends with a letter or a digit"
        }
        for run in bytes.split(whereSeparator: isLetterOrDigit) {
            let separator = String(decoding: run, as: UTF8.self)
            guard [".", "_", "__"].contains(separator) || run.allSatisfy({ $0 == UInt8(ascii: "-") }) else {
                return
                    "\(part) holds \(quoted(separator)); between letters and digits stands one of . _ __ or hyphens"
            }
        }
        return nil
    }

    /// At most 128 of letters, digits, `_`, `.` and `-`, neither of the last two first; or a pattern of them.
    static func problem(inTag text: String, wildcards: Bool) -> String? {
        guard let first = text.utf8.first else {
            return "the tag behind the : is empty; write it or drop the colon"
        }
        if text.utf8.contains(UInt8(ascii: "/")) {
            return "the tag \(quoted(text)) holds a /; a port belongs to the registry, before the first /"
        }
        guard text.utf8.count <= 128 else {
            return "the tag has \(text.utf8.count) characters, at most 128 are allowed"
        }
        if first == UInt8(ascii: ".") || first == UInt8(ascii: "-") {
            return "the tag \(quoted(text)) begins with \(quoted(text.prefix(1))); "
                + "it begins with a letter, a digit or _"
        }
        var set: String?
        for character in text {
            if let open = set {
                if character == "]", !open.isEmpty, open != "!", open != "^" {
                    set = nil
                } else if isASCII(character, isTagByte) || open.isEmpty && "!^".contains(character) {
                    set = open + String(character)
                } else if character == "]" {
                    return "the tag \(quoted(text)) has a [ ] with nothing between"
                } else {
                    return "the tag \(quoted(text)) holds \(quoted(String(character))) between [ and ]"
                }
            } else if wildcards, character == "[" {
                set = ""
            } else if !isASCII(character, isTagByte), !(wildcards && "*?".contains(character)) {
                return "the tag \(quoted(text)) holds \(quoted(String(character))); "
                    + "it is made of letters, digits, _ . and -"
            }
        }
        return set == nil ? nil : "the tag \(quoted(text)) has a [ without its ]"
    }

    static func isUpper(_ byte: UInt8) -> Bool { (0x41...0x5a).contains(byte) }
    static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
    static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        isDigit(byte) || isUpper(byte) || (0x61...0x7a).contains(byte)
    }
    static func isTagByte(_ byte: UInt8) -> Bool {
        isLetterOrDigit(byte) || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
            || byte == UInt8(ascii: "-")
    }

    /// Whether a character is one byte of ASCII that passes a test. A letter with a combining mark doesn't.
    static func isASCII(_ character: Character, _ test: (UInt8) -> Bool) -> Bool {
        let bytes = String(character).utf8
        guard bytes.count == 1, let byte = bytes.first else { return false }
        return test(byte)
    }
}
