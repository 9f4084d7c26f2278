import Glibc
import Images
import Testing
import Wishes

@Suite("Errors that are ignored")
struct IgnoreErrorsTests {
    @Test(
        "patterns are compared with SCHEME://REGISTRY/REPOSITORY:TAG, and * stops at /",
        arguments: [
            ("https://docker.io/library/*:*", "docker.io/library/alpine:3", true),
            ("https://docker.io/library/*:*", "http://docker.io/library/alpine:3", false),
            ("https://docker.io/*:*", "docker.io/library/alpine:3", false),
            ("https://docker.io/*/*:*", "docker.io/library/alpine", true),
            ("*://host/a:latest", "host/a", true),
            ("*/host/a:latest", "host/a", false),
            ("https://host/a:1", "host/a:1@sha256:\(hex)", true),
            ("https://host/a@*", "host/a@sha256:\(hex)", true),
            ("https://host/a:*", "host/a@sha256:\(hex)", false),
            ("https://host/a:1.2", "host/a:1x2", false),
            ("oci:/srv/*:1", "oci:/srv/a:1", true),
        ])
    func matching(pattern: String, image: String, ignored: Bool) throws {
        #expect(IgnoreErrors([pattern]).ignores(try ImageReference(parsing: image)) == ignored)
    }

    private static let hex = String(repeating: "0", count: 64)

    @Test("the file has one pattern a line, with comments, whatever the editor")
    func file() throws {
        let path = "/tmp/ducc-wishes-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        let text = "\u{feff}# flaky\r\n\r\n  https://host/a:*  \n\t\n   \nhttps://host/b:1"
        let file = try #require(fopen(path, "w"))
        fputs(text, file)
        fclose(file)
        defer { unlink(path) }
        var ignored = try IgnoreErrors.read(path: path)
        #expect(ignored.globs.map(\.pattern) == ["https://host/a:*", "https://host/b:1"])
        ignored.add(IgnoreErrors(["https://host/c:*"]))
        #expect(ignored.ignores(try ImageReference(parsing: "host/c:9")))
        #expect(ignored.ignores(try ImageReference(parsing: "host/a:9")))
    }

    @Test("a file that isn't there is an error, not an empty list")
    func missing() {
        let error = #expect(throws: WishListError.self) { try IgnoreErrors.read(path: "/nonexistent/i") }
        #expect(error?.kind == .unreadable)
    }
}

@Suite("Output formats")
struct OutputFormatTests {
    private static let digest = "sha256:" + String(repeating: "0", count: 64)

    @Test(
        "every variable",
        arguments: [
            (
                "$(scheme)://$(registry)/$(repository)_thin:$(tag)", "http://h:5/a/b:1",
                "http://h:5/a/b_thin:1"
            ),
            ("x/$(image)", "host/a/b:1@\(digest)", "x/a/b:1@\(digest)"),
            ("x/a$(reference)", "host/a", "x/a:latest"),
            ("x/a$(reference)", "host/a@\(digest)", "x/a@\(digest)"),
            ("$(digest)|$(tag)|", "host/a@\(digest)", "\(digest)||"),
            ("$(digest)|$(tag)|", "host/a:2", "|2|"),
            ("$5 $$(tag)$", "host/a:2", "$5 $2$"),
            ("$(scheme)://$(registry)/$(image)", "oci:/srv/a", "https://localhost/a:latest"),
        ])
    func expansion(format: String, image: String, result: String) throws {
        #expect(try OutputFormat(format).expand(for: try ImageReference(parsing: image)) == result)
    }

    @Test("the standard format is what it says")
    func standard() throws {
        #expect(
            try OutputFormat(OutputFormat.standard.text).expand(for: ImageReference(parsing: "host/a"))
                == "https://host/a_thin:latest")
        #expect(
            OutputFormat.standard.expand(for: try ImageReference(parsing: "host/a"))
                == "https://host/a_thin:latest")
    }

    @Test(
        "an unknown or unfinished variable is refused",
        arguments: [
            (
                "$(name)",
                "the variable '$(name)' does not exist; there are $(scheme) $(registry) $(repository) $(tag) $(digest) $(reference) $(image)"
            ),
            ("a $(Tag) b", "the variable '$(Tag)' does not exist; did you mean $(tag)?"),
            (
                "$()",
                "the variable '$()' does not exist; there are $(scheme) $(registry) $(repository) $(tag) $(digest) $(reference) $(image)"
            ),
            ("a $(tag", "'$(tag' has no closing )"),
        ])
    func refused(format: String, line: String) {
        let error = #expect(throws: OutputFormatError.self) { try OutputFormat(format) }
        #expect(error?.description == line)
    }
}
