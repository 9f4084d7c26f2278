import Platform
import Registry
import Testing

@Suite("Authentication decides")
struct AuthenticationTests {
    static let bearer = Challenge.parse([#"Bearer realm="https://t/x",service="s""#])
    static let basic = Challenge.parse([#"Basic realm="r""#])
    static let password = Credential(kind: .password(user: "u", password: "p"), origin: "test")

    @Test(
        "challenges are found in one line or several, in any order and spelling",
        arguments: [
            ([#"Bearer realm="https://t/x",service="a, \"b\"",scope="repository:a:pull""#], ["bearer"]),
            ([#"Basic realm="r", BEARER  Realm = "https://t/x""#], ["basic", "bearer"]),
            (
                ["Negotiate", "Basic", #"bearer realm=https://t/x, error="invalid_token""#],
                ["negotiate", "basic", "bearer"]
            ),
            (
                [#"Negotiate abc==, Digest a="b", Bearer realm="https://t/x""#],
                ["negotiate", "digest", "bearer"]
            ),
        ])
    func challenges(lines: [String], schemes: [String]) {
        #expect(Challenge.parse(lines).map(\.scheme) == schemes)
        #expect(BearerChallenge(lines)?.realm == "https://t/x")
    }

    @Test("values are read with their quotes and escapes undone")
    func values() {
        let found = Challenge.parse([#"Bearer realm="a, \"b\"=c",x=y"#])
        #expect(found.first?.parameters == ["realm": #"a, "b"=c"#, "x": "y"])
    }

    @Test("no line of bytes is too odd to be read")
    func oddChallenges() {
        var random = SystemRandomNumberGenerator()
        let letters = Array(#"Bearer realm="https://,=\ ".utf8"#.utf8)
        for _ in 0..<2000 {
            let line = (0..<Int.random(in: 0..<40, using: &random)).map { _ in
                letters[Int.random(in: 0..<letters.count, using: &random)]
            }
            _ = Challenge.parse([String(decoding: line, as: UTF8.self)])
        }
    }

    @Test("a 401 is answered by a token, once; the token is used from then on")
    func token() throws {
        var machine = Authentication(nil)
        #expect(machine.begin(now: 0) == .ask(nil))
        let challenge = try #require(BearerChallenge(Self.bearer[0]))
        #expect(machine.answered(401, Self.bearer, nil) == .fetchToken(challenge))
        let token = Token("abc", life: 100, now: 0)
        #expect(machine.fetched(token, for: challenge) == .ask("Bearer abc"))
        #expect(machine.answered(200, [], nil) == .done)
        var next = Authentication(machine.session)
        #expect(next.begin(now: 50) == .ask("Bearer abc"))
        // One refresh: the service may have revoked it.
        #expect(next.answered(401, Self.bearer, nil) == .fetchToken(challenge))
        _ = next.fetched(token, for: challenge)
        #expect(next.answered(401, Self.bearer, nil) == .done)
        #expect(next.session == nil)
    }

    @Test("a token that is about to expire is fetched anew before the request")
    func expiry() throws {
        let challenge = try #require(BearerChallenge(Self.bearer[0]))
        var machine = Authentication(.bearer(challenge, Token("abc", life: 100, now: 0)))
        #expect(machine.begin(now: 89) == .ask("Bearer abc"))
        #expect(machine.begin(now: 91) == .fetchToken(challenge))
        var unsaid = Authentication(.bearer(challenge, Token("abc", life: nil, now: 0)))
        #expect(unsaid.begin(now: 53) == .ask("Bearer abc"))
        #expect(unsaid.begin(now: 55) == .fetchToken(challenge))
    }

    @Test("a password is shown where it is asked for, and a refusal of it is final")
    func password() {
        var machine = Authentication(nil)
        #expect(machine.answered(401, Self.basic, nil) == .done)
        machine = Authentication(nil)
        #expect(machine.answered(401, Self.basic, Self.password) == .ask("Basic dTpw"))
        #expect(machine.session == .basic("Basic dTpw"))
        #expect(machine.answered(401, Self.basic, Self.password) == .done)
        #expect(machine.session == nil)
    }

    @Test("a token from a file answers a Bearer challenge as it is, and no other; a refusal of it is final")
    func registryToken() {
        let given = Credential(kind: .registryToken("given"), origin: "test")
        var machine = Authentication(nil)
        #expect(machine.answered(401, Self.basic, given) == .done && machine.session == nil)
        machine = Authentication(nil)
        #expect(machine.answered(401, Self.bearer, given) == .ask("Bearer given"))
        #expect(machine.answered(200, [], given) == .done)
        var next = Authentication(machine.session)
        #expect(next.begin(now: 1e9) == .ask("Bearer given"))
        #expect(next.answered(401, Self.bearer, given) == .ask("Bearer given"))
        #expect(next.answered(401, Self.bearer, given) == .done && next.session == nil)
    }

    @Test(
        "what a token service says is a token, or is refused",
        arguments: [
            (#"{"token":"a"}"#, "a"), (#"{"access_token":"b","expires_in":300}"#, "b"),
            (#"{"token":"","access_token":"c"}"#, "c"), (#"{"token":"a\r\nX: y"}"#, nil), ("{}", nil),
            ("", nil),
            (#"{"token":7}"#, nil),
        ])
    func answers(text: String, token: String?) {
        #expect(Token(json: Array(text.utf8), now: 0)?.text == token)
    }
}
