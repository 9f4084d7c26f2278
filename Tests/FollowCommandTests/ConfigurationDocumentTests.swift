// The JSON Schema of follow.yaml and ducc-follow's own reading of it, beside each other.

import Platform
import Support
import Testing

@Suite("What follow.yaml may look like")
struct ConfigurationDocumentTests {
    let follow: Follow
    init() throws {
        follow = try Follow()
        _ = try follow.script("hook", "")
    }

    /// Tells of each document, which are divided by `---`, whether it is as the schema says.
    private static let validator = """
        import json, sys, yaml
        from jsonschema import Draft202012Validator
        schema = json.loads(sys.argv[1])
        Draft202012Validator.check_schema(schema)
        validator = Draft202012Validator(schema)
        with open(sys.argv[2]) as file:
            for document in yaml.safe_load_all(file):
                print("right" if validator.is_valid(document) else "wrong")
        """

    private func areRight(_ documents: [String]) throws -> [Bool] {
        try follow.directory.write("documents.yaml", documents.joined(separator: "\n---\n"))
        let schema = try runSuccessfully(Programs.follow, ["configuration-schema"])
        let output = try runSuccessfully(
            "/usr/bin/python3", ["-c", Self.validator, schema, follow.directory.path("documents.yaml")])
        return output.split(separator: "\n").map { $0 == "right" }
    }

    private static let bodies: [(Bool, String)] = [
        (true, "exec: [./hook]"), (true, "pipe: [./hook, 5, x]"), (false, ""), (false, "exec: []"),
        (false, "exec: ./hook"), (false, "exec: [./hook]\n    pipe: [./hook]"), (false, "exce: [./hook]"),
    ]
    private static let settings: [(Bool, String)] = [
        (true, "action: publish_*"), (true, "action: [a, b]"), (true, "status: ok"),
        (true, "status: [ok, error]"),
        (false, "status: fine"), (true, "field: [\"a=b\"]"), (true, "from: start"), (false, "from: middle"),
        (true, "timeout: 250ms"), (true, "timeout: 90"), (true, "timeout: 1.5h"), (false, "timeout: soon"),
        (false, "timeout: -1"), (true, "retry: {attempts: 3, delay: 1s, max_delay: 10m}"),
        (false, "retry: {attempts: 0}"), (false, "retry: {attempt: 3}"), (false, "retry: 3"),
        (true, "on_exhausted: stop"), (false, "on_exhausted: halt"), (true, "concurrency: 1000"),
        (false, "concurrency: 0"), (false, "concurrency: 1001"), (true, "order_by: image"),
        (true, "env: {A: b, N: 5}"), (false, "env: [A]"), (true, "gaps: true"), (false, "gaps: perhaps"),
        (true, "own_events: false"), (true, "user: root"), (true, "cwd: /"), (false, "webhook: {url: x}"),
    ]

    private static let documents: [(Bool, String)] =
        bodies.map { ($0.0, "stream: s\nstate: t\nhooks:\n  - name: a\n    \($0.1)\n") }
        + settings.map {
            ($0.0, "stream: s\nstate: t\nhooks:\n  - name: a\n    exec: [./hook]\n    \($0.1)\n")
        }
        + [
            (
                true,
                "version: 1\nstream: s\nstate: t\nrotated: old/*\nrotate_wait: 5s\nshutdown_grace: 1m\n"
                    + "defaults: {timeout: 5m}\nhooks: [{name: a, exec: [./hook]}]\n"
            ),
            (false, "version: 2\nstream: s\nstate: t\nhooks: [{name: a, exec: [./hook]}]\n"),
            (false, "state: t\nhooks: [{name: a, exec: [./hook]}]\n"),
            (false, "stream: s\nhooks: [{name: a, exec: [./hook]}]\n"), (false, "stream: s\nstate: t\n"),
            (false, "stream: s\nstate: t\nhooks: []\n"),
            (false, "stream: s\nstate: t\nhooks: [{name: .a, exec: [./hook]}]\n"),
            (false, "stream: s\nstate: t\ndefaults: {user: a}\nhooks: [{name: a, exec: [./hook]}]\n"),
        ]

    @Test("the schema and check agree on what is right and what is wrong")
    func agreement() throws {
        let right = try areRight(Self.documents.map(\.1))
        try #require(right.count == Self.documents.count)
        for (index, (expected, document)) in Self.documents.enumerated() {
            #expect(right[index] == expected, "the schema: \(document)")
            try follow.directory.write("follow.yaml", document)
            let result = try Support.run(Programs.follow, ["check", follow.directory.path("follow.yaml")])
            #expect(result.code == (expected ? 0 : 78), "check: \(document) \(result.errors)")
        }
    }

    @Test("the reference, and the consumers' own configurations, are right by both")
    func shipped() throws {
        let reference = try runSuccessfully(Programs.follow, ["configuration-reference"])
        var documents = [reference]
        for name in ["announce", "prefetch", "audit-sqlite"] {
            documents.append(try text(of: "\(Programs.root)/consumers/\(name)/follow.yaml"))
        }
        #expect(try areRight(documents) == documents.map { _ in true })
        try follow.directory.write("reference/follow.yaml", reference)
        try runSuccessfully(
            "ln", ["-s", "\(Programs.root)/consumers", follow.directory.path("reference/consumers")])
        let result = try Support.run(
            Programs.follow, ["check", follow.directory.path("reference/follow.yaml")])
        #expect(result.code == 0 && result.output.contains("2 hooks"), "\(result.errors)")
    }
}
