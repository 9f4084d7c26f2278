import Images
import Testing

@Suite("Patterns")
struct GlobTests {
    @Test(
        "what fits",
        arguments: [
            ("*", "anything"), ("*", ""), ("a*", "a"), ("a*c", "abc"), ("*a*b*", "xaxxbx"), ("?", "é"),
            ("[abc]", "b"), ("[a-c]x", "bx"), ("[!a]", "b"), ("[^a]", "b"), ("[]]", "]"), ("[a-]", "-"),
            ("1.2", "1.2"), ("a[", "a["), ("https://*/*:*", "https://host:5000/a:1"), ("*/b", "a/b"),
            ("**", "ab"),
        ])
    func fits(pattern: String, text: String) {
        #expect(Glob(pattern).matches(text))
    }

    @Test(
        "what doesn't: a dot is a dot, and no wildcard takes a /",
        arguments: [
            ("1.2", "1x2"), ("*", "a/b"), ("a?b", "a/b"), ("a[!x]b", "a/b"), ("a*c", "ab"), ("", "a"),
            ("a", ""),
            ("[a-c]", "d"), ("[z-a]", "m"), ("https://*/*:*", "https://host/a/b:1"), ("a*/c", "a/b/c"),
            ("*x", "ay"),
        ])
    func doesNotFit(pattern: String, text: String) {
        #expect(!Glob(pattern).matches(text))
    }

    @Test("a pattern made to take for ever doesn't", .timeLimit(.minutes(40)))
    func hostile() {
        let pattern = String(repeating: "*a", count: 500) + "b"
        #expect(!Glob(pattern).matches(String(repeating: "a", count: 5000)))
    }
}
