import Images
import Testing

/// One text that is no reference, with the words that say so.
struct BadReference: CustomTestStringConvertible, Sendable {
    let text: String
    let problem: String

    init(_ text: String, _ problem: String) {
        self.text = text
        self.problem = problem
    }

    var testDescription: String { text }
}

private let hex = String(repeating: "0123456789abcdef", count: 4)
private func repeated(_ text: String, _ count: Int) -> String { String(repeating: text, count: count) }

private let bad: [BadReference] = [
    .init("", "it is empty; write REGISTRY/REPOSITORY:TAG"),
    .init("alpine", "names no registry; write docker.io/library/alpine"),
    .init("alpine:3", "names no registry; write docker.io/library/alpine:3"),
    .init("alpine:3.20", "names no registry; write docker.io/library/alpine:3.20"),
    .init("alpine@sha256:\(hex)", "names no registry; write docker.io/library/alpine@sha256:\(hex)"),
    .init("docker.io", "names no repository; write docker.io/REPOSITORY:TAG"),
    .init("docker.io/", "names no repository; write docker.io/REPOSITORY:TAG"),
    .init("localhost:5000", "names no repository; write localhost:5000/REPOSITORY:TAG"),
    .init("localhost", "names no repository; write localhost/REPOSITORY:TAG"),
    .init("[::1]:5000", "names no repository; write [::1]:5000/REPOSITORY:TAG"),
    .init("/", "names neither registry nor repository; write REGISTRY/REPOSITORY:TAG"),
    .init("//", "names no registry before the first /; write REGISTRY/REPOSITORY:TAG"),
    .init("/alpine", "names no registry before the first /; write REGISTRY/REPOSITORY:TAG"),
    .init("https://", "names neither registry nor repository; write REGISTRY/REPOSITORY:TAG"),
    .init("https:///a", "names no registry before the first /; write REGISTRY/REPOSITORY:TAG"),
    .init("https://host", "names no repository; write host/REPOSITORY:TAG"),
    .init("https://host/", "names no repository; write host/REPOSITORY:TAG"),
    .init(
        "docker.io//alpine",
        "the repository '/alpine' has an empty part; write single slashes between its parts"),
    .init(
        "docker.io/alpine//",
        "the repository 'alpine/' has an empty part; write single slashes between its parts"),
    .init(
        "docker.io/library//alpine",
        "the repository 'library//alpine' has an empty part; write single slashes between its parts"),
    .init("docker.io/./alpine", "the repository part '.' is not a name"),
    .init("docker.io/../alpine", "the repository part '..' is not a name"),
    .init("../alpine", "the registry '..' begins or ends with a dot or has two in a row"),
    .init("./alpine", "the registry '.' begins or ends with a dot or has two in a row"),
    .init("./../etc/passwd:x", "the registry '.' begins or ends with a dot or has two in a row"),
    .init("..", "names no registry; write REGISTRY/REPOSITORY:TAG"),
    .init(".layers/ab:1", "the registry '.layers' begins or ends with a dot or has two in a row"),
    .init(".flat/ab/cd:1", "the registry '.flat' begins or ends with a dot or has two in a row"),
    .init(".metadata/x:1", "the registry '.metadata' begins or ends with a dot or has two in a row"),
    .init(".multiarch/amd64:1", "the registry '.multiarch' begins or ends with a dot or has two in a row"),
    .init(".cvmfs/x", "the registry '.cvmfs' begins or ends with a dot or has two in a row"),
    .init(
        "podmanStore/overlay:1", "the registry name podmanStore is taken by the repository's own directory"),
    .init(
        "host/.layers:1",
        "the repository part '.layers' begins or ends with a separator; it begins and ends with a letter or a digit"
    ),
    .init("host/a/../b", "the repository part '..' is not a name"),
    .init("host/..:1", "the repository part '..' is not a name"),
    .init("host/a/..:1", "the repository part '..' is not a name"),
    .init(
        "host/Alpine:3",
        "the repository part 'Alpine' has capital letters; repositories are lower-case, write alpine"),
    .init("host/a/B/c", "the repository part 'B' has capital letters; repositories are lower-case, write b"),
    .init(
        "host/a b:1",
        "character 7 is ' '; a reference holds no spaces, control characters or letters outside ASCII"),
    .init(
        "host/a:1 ",
        "character 9 is ' '; a reference holds no spaces, control characters or letters outside ASCII"),
    .init(
        " host/a:1",
        "character 1 is ' '; a reference holds no spaces, control characters or letters outside ASCII"),
    .init(
        "host/a:1\n",
        "character 9 is '\\u{a}'; a reference holds no spaces, control characters or letters outside ASCII"),
    .init(
        "host/a\0b",
        "character 7 is '\\u{0}'; a reference holds no spaces, control characters or letters outside ASCII"),
    .init(
        "host/é:1",
        "character 6 is 'é'; a reference holds no spaces, control characters or letters outside ASCII"),
    .init(
        "host/a:é",
        "character 8 is 'é'; a reference holds no spaces, control characters or letters outside ASCII"),
    .init(
        "hôst/a",
        "character 2 is 'ô'; a reference holds no spaces, control characters or letters outside ASCII"),
    .init(
        "host/-a",
        "the repository part '-a' begins or ends with a separator; it begins and ends with a letter or a digit"
    ),
    .init(
        "host/a-",
        "the repository part 'a-' begins or ends with a separator; it begins and ends with a letter or a digit"
    ),
    .init(
        "host/_a",
        "the repository part '_a' begins or ends with a separator; it begins and ends with a letter or a digit"
    ),
    .init(
        "host/a.",
        "the repository part 'a.' begins or ends with a separator; it begins and ends with a letter or a digit"
    ),
    .init(
        "host/a..b",
        "the repository part 'a..b' holds '..'; between letters and digits stands one of . _ __ or hyphens"),
    .init(
        "host/a___b",
        "the repository part 'a___b' holds '___'; between letters and digits stands one of . _ __ or hyphens"),
    .init(
        "host/a._b",
        "the repository part 'a._b' holds '._'; between letters and digits stands one of . _ __ or hyphens"),
    .init(
        "host/a$b",
        "the repository part 'a$b' holds '$'; it is made of lower-case letters and digits with . _ __ or - between them"
    ),
    .init(
        "host/a?x=1", "the repository part 'a?x=1' holds the wildcard '?'; wildcards stand only in the tag"),
    .init("host/a*:1", "the repository part 'a*' holds the wildcard '*'; wildcards stand only in the tag"),
    .init(
        "host/[ab]:1", "the repository part '[ab]' holds the wildcard '['; wildcards stand only in the tag"),
    .init(
        "host/a%2fb",
        "the repository part 'a%2fb' holds '%'; it is made of lower-case letters and digits with . _ __ or - between them"
    ),
    .init("host\\a", "names no registry; write REGISTRY/REPOSITORY:TAG"),
    .init(
        "host/a\\b",
        "the repository part 'a\\b' holds '\\'; it is made of lower-case letters and digits with . _ __ or - between them"
    ),
    .init(
        "ho_st/a", "the registry 'ho_st' holds '_'; a host name is made of letters, digits, dots and hyphens"),
    .init("-host/a", "in the registry '-host' the part '-host' begins or ends with a hyphen"),
    .init("host-/a", "in the registry 'host-' the part 'host-' begins or ends with a hyphen"),
    .init("host..x/a", "the registry 'host..x' begins or ends with a dot or has two in a row"),
    .init("host./a", "the registry 'host.' begins or ends with a dot or has two in a row"),
    .init(
        "\(repeated("x", 64))/a",
        "the part '\(repeated("x", 64))' of the registry has more than 63 characters"),
    .init("x.\(repeated("x", 300))/a", "the registry name has 302 characters, a host name has at most 253"),
    .init("host:/a", "the port '' of the registry 'host' is not a number from 1 to 65535"),
    .init("host:0/a", "the port '0' of the registry 'host' is not a number from 1 to 65535"),
    .init("host:65536/a", "the port '65536' of the registry 'host' is not a number from 1 to 65535"),
    .init("host:080/a", "the port '080' of the registry 'host' is not a number from 1 to 65535"),
    .init("host:+80/a", "the port '+80' of the registry 'host' is not a number from 1 to 65535"),
    .init("host:5a/a", "the port '5a' of the registry 'host' is not a number from 1 to 65535"),
    .init(
        "host:99999999999999999999/a",
        "the port '99999999999999999999' of the registry 'host' is not a number from 1 to 65535"),
    .init("::1/a", "an IPv6 address stands in brackets; write [ADDRESS]:PORT before the first /"),
    .init("[::1/a", "the IPv6 address in '[::1' lacks its closing ]"),
    .init("[::1]x/a", "'x' behind the IPv6 address '[::1]' is no port; write [::1]:PORT"),
    .init("[::1]:/a", "the port '' of the registry '[::1]' is not a number from 1 to 65535"),
    .init("[zz]/a", "'[zz]' is no IPv6 address"),
    .init("[]/a", "'[]' is no IPv6 address"),
    .init("[fe80::1%eth0]/a", "'[fe80::1%eth0]' is no IPv6 address"),
    .init(
        "user:password@host/a",
        "a user or password does not belong in a reference; write only the host before the first /"),
    .init(
        "user@host/a",
        "a user or password does not belong in a reference; write only the host before the first /"),
    .init("host/a:", "the tag behind the : is empty; write it or drop the colon"),
    .init("host/a:b/c", "the tag 'b/c' holds a /; a port belongs to the registry, before the first /"),
    .init("host:5000/a:b:c", "the tag 'b:c' holds ':'; it is made of letters, digits, _ . and -"),
    .init("host/a:-x", "the tag '-x' begins with '-'; it begins with a letter, a digit or _"),
    .init("host/a:.x", "the tag '.x' begins with '.'; it begins with a letter, a digit or _"),
    .init("host/a:..", "the tag '..' begins with '.'; it begins with a letter, a digit or _"),
    .init("host/a:\(repeated("x", 129))", "the tag has 129 characters, at most 128 are allowed"),
    .init("host/a:a,b", "the tag 'a,b' holds ','; it is made of letters, digits, _ . and -"),
    .init("host/a:a+b", "the tag 'a+b' holds '+'; it is made of letters, digits, _ . and -"),
    .init("host/a:[", "the tag '[' has a [ without its ]"),
    .init("host/a:[]", "the tag '[]' has a [ ] with nothing between"),
    .init("host/a:[a", "the tag '[a' has a [ without its ]"),
    .init("host/a:[a/b]", "the tag '[a/b]' holds a /; a port belongs to the registry, before the first /"),
    .init("host/a:[!]", "the tag '[!]' has a [ ] with nothing between"),
    .init("host/a:]", "the tag ']' holds ']'; it is made of letters, digits, _ . and -"),
    .init("host/a:[a*]", "the tag '[a*]' holds '*' between [ and ]"),
    .init(
        "host/a:3.*@sha256:\(hex)", "a wildcard in the tag and a digest exclude each other; drop one of them"),
    .init("host/a:sha256:\(hex)", "a digest is written behind @, not behind :"),
    .init("host/a@", "bad digest '': has no algorithm; write sha256:HEX"),
    .init("host/a@sha256", "bad digest 'sha256': has no algorithm; write sha256:HEX"),
    .init("host/a@sha256:", "bad digest 'sha256:': sha256: is followed by 64 hex digits, these are 0"),
    .init("host/a@sha256:abc", "bad digest 'sha256:abc': sha256: is followed by 64 hex digits, these are 3"),
    .init(
        "host/a@sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
        "bad digest 'sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef': sha256: is followed by lower-case hex digits only"
    ),
    .init(
        "host/a@sha512:\(hex)\(hex)",
        "bad digest 'sha512:\(hex)\(hex)': only sha256 is supported, not 'sha512'"),
    .init("host/a@md5:abc", "bad digest 'md5:abc': only sha256 is supported, not 'md5'"),
    .init("host/a@SHA256:\(hex)", "bad digest 'SHA256:\(hex)': only sha256 is supported, not 'SHA256'"),
    .init(
        "host/a@sha256:\(hex)0",
        "bad digest 'sha256:\(hex)0': sha256: is followed by 64 hex digits, these are 65"),
    .init(
        "host/a@sha256:\(hex)@sha256:\(hex)",
        "bad digest 'sha256:\(hex)@sha256:\(hex)': sha256: is followed by lower-case hex digits only"),
    .init("host/a@sha256:\(hex):1", "the tag stands before the digest; write REPOSITORY:TAG@DIGEST"),
    .init("host/@sha256:\(hex)", "names no repository behind the registry 'host'"),
    .init("host/:1", "names no repository behind the registry 'host'"),
    .init("host/\(repeated("x", 300))", "the repository name has 300 characters, at most 255 are allowed"),
    .init(
        "host/\(repeated("x", 200)):\(repeated("X", 76))",
        "its published name '\(repeated("x", 200))…' has 277 bytes, a file name has at most 255"),
    .init(
        "host/\(repeated("x", 200))@sha256:\(hex)",
        "its published name '\(repeated("x", 200))…' has 272 bytes, a file name has at most 255"),
    .init("ftp://host/a", "the scheme 'ftp' is unknown; write https:// or http://"),
    .init("docker://docker.io/alpine", "docker:// is not supported; write https://docker.io/alpine"),
    .init("://host/a", "the scheme '' is unknown; write https:// or http://"),
    .init("oci://host/a", "oci: is followed by a path, not by a URL; write oci:PATH:REF"),
    .init("oci:", "names no path; write oci:PATH or oci:PATH:REF"),
    .init("oci::1", "names no path; write oci:PATH or oci:PATH:REF"),
    .init("oci:/", "the last part of the path becomes the image's name, and / is not a name"),
    .init(
        "oci:.",
        "the last part of the path becomes the image's name, and the repository part '.' is not a name"),
    .init(
        "oci:..",
        "the last part of the path becomes the image's name, and the repository part '..' is not a name"),
    .init(
        "oci:/srv/..",
        "the last part of the path becomes the image's name, and the repository part '..' is not a name"),
    .init(
        "oci:/srv/.layers",
        "the last part of the path becomes the image's name, and the repository part '.layers' begins or ends with a separator; it begins and ends with a letter or a digit"
    ),
    .init(
        "oci:/srv/Alpine:3",
        "the last part of the path becomes the image's name, and the repository part 'Alpine' has capital letters; repositories are lower-case, write alpine"
    ),
    .init(
        "oci:/srv/a b",
        "the last part of the path becomes the image's name, and the repository part 'a b' holds ' '; it is made of lower-case letters and digits with . _ __ or - between them"
    ),
    .init("oci:/srv/a:", "the tag behind the : is empty; write it or drop the colon"),
    .init("oci:/srv/a:x/y", "'x/y' behind the path is no tag; write oci:PATH:TAG"),
    .init("oci:/srv/a:3.*", "the tag '3.*' holds '*'; it is made of letters, digits, _ . and -"),
    .init("oci:/srv/a\0:1", "the path holds the control character '\\u{0}'"),
    .init(
        "oci:/srv/a@sha256:\(hex)",
        "the last part of the path becomes the image's name, and the repository part 'a@sha256' holds '@'; it is made of lower-case letters and digits with . _ __ or - between them"
    ),
    .init(
        "oci:/srv/\(repeated("x", 300))",
        "the last part of the path becomes the image's name, and the repository name has 300 characters, at most 255 are allowed"
    ),
    .init("docker-archive:", "names no path; write docker-archive:PATH or docker-archive:PATH:REF"),
    .init(
        "docker-archive:a.tar:docker.io/library/alpine:3",
        "'docker.io/library/alpine:3' behind the path is no tag; write docker-archive:PATH:TAG"),
    .init(
        "docker-daemon:alpine:3",
        "docker-daemon: is not supported; write https://REGISTRY/REPOSITORY:TAG, oci:PATH:REF or docker-archive:PATH:REF"
    ),
    .init(
        "containers-storage:alpine",
        "containers-storage: is not supported; write https://REGISTRY/REPOSITORY:TAG, oci:PATH:REF or docker-archive:PATH:REF"
    ),
    .init(
        "dir:/srv/a",
        "dir: is not supported; write https://REGISTRY/REPOSITORY:TAG, oci:PATH:REF or docker-archive:PATH:REF"
    ),
    .init(
        "oci-archive:/srv/a.tar",
        "oci-archive: is not supported; write https://REGISTRY/REPOSITORY:TAG, oci:PATH:REF or docker-archive:PATH:REF"
    ),
    .init(
        "docker:alpine",
        "docker: is not supported; write https://REGISTRY/REPOSITORY:TAG, oci:PATH:REF or docker-archive:PATH:REF"
    ),
    .init(
        "file:/srv/a",
        "file: is not supported; write https://REGISTRY/REPOSITORY:TAG, oci:PATH:REF or docker-archive:PATH:REF"
    ),
    .init("a@sha256:\(hex)", "names no registry; write docker.io/library/a@sha256:\(hex)"),
    .init("Alpine:3", "names no registry; write REGISTRY/REPOSITORY:TAG"),
    .init("alp/", "names no registry; write docker.io/library/alp"),
]

@Suite("Image references that are wrong")
struct BadReferenceTests {
    @Test("each has its own clear line", arguments: bad)
    func refused(_ expected: BadReference) {
        let error = #expect(throws: ReferenceError.self) { try ImageReference(parsing: expected.text) }
        #expect(error?.problem == expected.problem)
    }

    @Test("the line quotes the reference and stays one line")
    func oneLine() {
        let error = #expect(throws: ReferenceError.self) {
            try ImageReference(parsing: "host/a\n\u{1b}[31m:\(repeated("x", 1000))")
        }
        let line = error?.description ?? ""
        #expect(line.hasPrefix("bad image reference 'host/a\\u{a}\\u{1b}[31m:xxx"))
        #expect(line.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f })
        #expect(line.utf8.count < 600)
    }
}
