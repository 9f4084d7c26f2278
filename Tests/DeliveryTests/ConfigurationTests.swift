import Delivery
import Notifications
import Testing

@Suite("follow.yaml")
struct ConfigurationTests {
    private func read(_ text: String) throws -> Configuration {
        try Configuration.parse(Array(text.utf8), file: "follow.yaml", directory: "/etc/ducc")
    }

    private func mistakes(_ text: String) -> [String] {
        do {
            _ = try read(text)
            return []
        } catch let error as ConfigurationError { return error.mistakes } catch { return ["\(error)"] }
    }

    @Test("every key is understood")
    func whole() throws {
        let configuration = try read(
            """
            version: 1
            stream: /var/log/ducc/notifications.log
            rotated: ["/var/log/ducc/old/*"]
            state: state
            rotate_wait: 250ms
            shutdown_grace: 1m
            defaults: {timeout: 5m, retry: {attempts: 3, delay: 2s, max_delay: 1h}, on_exhausted: stop}
            hooks:
              - name: prefetch
                action: [publish_image, publish_flat_image]
                image: "*/atlas/*"
                status: ok
                field: ["repository=unpacked*"]
                exec: [hooks/prefetch, "{image}"]
                concurrency: 4
                order_by: image
                from: start
                timeout: 90
                kill_after: 1s
                user: ducc
                env: {A: b, N: 5}
                cwd: work
                own_events: true
              - name: audit
                pipe: [/usr/bin/audit]
                retry: {attempts: 1}
                on_exhausted: dead_letter
            """)
        #expect(configuration.stream == "/var/log/ducc/notifications.log")
        #expect(configuration.state == "/etc/ducc/state" && configuration.rotated == ["/var/log/ducc/old/*"])
        #expect(configuration.rotateWait == 0.25 && configuration.shutdownGrace == 60)
        let hook = configuration.hooks[0]
        #expect(
            hook.target == .exec(["/etc/ducc/hooks/prefetch", "{image}"])
                && hook.directory == "/etc/ducc/work")
        #expect(hook.filter.kinds.map(\.field.rawValue) == ["action", "image", "status", "repository"])
        #expect(hook.concurrency == 4 && hook.orderBy == "image" && hook.from == .start && hook.timeout == 90)
        #expect(hook.killAfter == 1 && hook.user == "ducc" && hook.environment == ["A": "b", "N": "5"])
        #expect(hook.ownEvents && hook.onExhausted == .stop && hook.retry.attempts == 3)
        #expect(hook.retry.delayMilliseconds == 2000 && hook.retry.longestDelayMilliseconds == 3_600_000)
        let audit = configuration.hooks[1]
        #expect(audit.target == .pipe(["/usr/bin/audit"]) && audit.timeout == 300)
        #expect(audit.retry.attempts == 1 && audit.retry.delayMilliseconds == 2000)
        #expect(audit.onExhausted == .deadLetter && audit.from == .end)
    }

    @Test("each mistake is told with its place, all in one reading")
    func several() {
        #expect(
            mistakes(
                """
                version: 2
                strem: log
                state: s
                hooks:
                  - name: a b
                    exec: ./hook {image}
                    timout: 5m
                  - name: c
                    exec: [x]
                    pipe: [y]
                    from: ende
                    concurrency: 0
                """) == [
                    "follow.yaml:1:1: the required key stream is missing",
                    "follow.yaml:1:10: the version must be 1",
                    "follow.yaml:2:1: the key 'strem' is unknown, did you mean stream?",
                    "follow.yaml:5:11: a name has letters, digits, '.', '_' and '-', and no dot in front",
                    "follow.yaml:6:11: exec is a list: the program and its arguments; no shell looks at it",
                    "follow.yaml:7:5: the key 'timout' is unknown, did you mean timeout?",
                    "follow.yaml:10:11: the hook 'c' has both exec and pipe",
                    "follow.yaml:11:11: from is start or end; did you mean end?",
                    "follow.yaml:12:18: concurrency takes a number from 1 to 1000",
                ])
    }

    @Test(
        "what later versions have is said to be not yet there",
        arguments: ["where: status = 'error'", "webhook: {url: x}"])
    func later(line: String) {
        let key = line.prefix { $0 != ":" }
        #expect(
            mistakes("stream: s\nstate: t\nhooks:\n  - name: a\n    exec: [x]\n    \(line)\n") == [
                "follow.yaml:6:5: \(key) is not yet there: it comes with a later version"
            ])
    }

    @Test("and so is one that is no hook's")
    func laterAtTheTop() {
        #expect(
            mistakes("stream: s\nstate: t\nmetrics_file: m\nhooks:\n  - name: a\n    exec: [x]\n") == [
                "follow.yaml:3:1: metrics_file is not yet there: it comes with a later version"
            ])
    }

    @Test(
        "what makes no sense is refused",
        arguments: [
            "[]", "stream: s\nstate: t", "stream: s\nstate: t\nhooks: []",
            "stream: s\nstate: t\nhooks: {a: b}",
            "stream: s\nstate: t\nhooks: [{name: a}]", "stream: s\nstate: t\nhooks: [{exec: [x]}]",
            "stream: s\nstate: t\nhooks: [{name: a, exec: []}]",
            "stream: s\nstate: t\nhooks: [{name: a, exec: [[]]}]",
            "stream: s\nstate: t\nhooks: [{name: a, exec: [x]}, {name: a, exec: [x]}]",
            "stream: s\nstate: t\nhooks: [{name: a, pipe: [x], concurrency: 2}]",
            "stream: s\nstate: t\nhooks: [{name: a, exec: [x], status: bad}]",
            "stream: s\nstate: t\nhooks: [{name: a, exec: [x], field: x}]",
            "stream: s\nstate: t\nhooks: [{name: a, exec: [x], env: [x]}]",
            "stream: s\nstate: t\nrotate_wait: soon\nhooks: [{name: a, exec: [x]}]",
            "stream: s\nstate: t\nhooks: [{name: a, exec: [x], retry: {attempts: 0}}]",
            "stream: s\nstate: t\nhooks: [{name: a, exec: [x], own_events: maybe}]", "stream: [\n",
        ])
    func nonsense(text: String) {
        let found = mistakes(text)
        #expect(found.count == 1 && found.allSatisfy { $0.hasPrefix("follow.yaml:") }, "\(found)")
    }

    @Test(
        "the reference is right as it is, and what is commented out in it is what holds where nothing is said"
    )
    func reference() throws {
        let text = ConfigurationReference.text
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        // A comment for people has a space behind its mark.
        let whole = lines.map { line in
            guard let mark = line.firstIndex(of: "#"), line[..<mark].allSatisfy({ $0 == " " }),
                let next = line[mark...].dropFirst().first, next != " "
            else { return String(line) }
            return String(line[..<mark] + line[mark...].dropFirst())
        }
        #expect(whole.count { !$0.hasPrefix("#") } > 60)
        #expect(try read(text) == read(whole.joined(separator: "\n")))
        #expect(try read(text).hooks.count == 2)
        #expect(lines.allSatisfy { $0.count < 115 })
    }

    @Test(
        "a placeholder that no event can have is a mistake, with its place; one that some event may have is none",
        arguments: [
            (
                "action: publish_flat_image", "{public_pth}",
                "no event publish_flat_image has a field 'public_pth', did you mean public_path?"
            ),
            (
                "action: [publish_flat_image, end_ducc]", "x{nonesuch}y",
                "no event publish_flat_image, end_ducc has a field 'nonesuch'"
            ),
            ("image: a", "{Image}", "no event has a field 'Image', did you mean image?"),
            (
                "image: a", "{image-request}",
                "no event has a field 'image-request', did you mean image_request?"
            ),
            ("image: a", "{anything}", nil), ("action: publish_*", "{anything}", nil),
            ("action: [publish_image, my_own]", "{anything}", nil),
            ("action: publish_image", "{image} {event_id} {caused_by} {check} {lost_first}", nil),
            ("action: publish_image", ".[] | {a: .b} | {} | {{image}} {", nil),
        ] as [(String, String, String?)])
    func placeholders(filter: String, argument: String, mistake: String?) {
        let found = mistakes(
            "stream: s\nstate: t\nhooks:\n  - name: a\n    \(filter)\n    exec: [x, '\(argument)']\n")
        #expect(found == (mistake.map { ["follow.yaml:6:15: \($0)"] } ?? []))
    }
}
