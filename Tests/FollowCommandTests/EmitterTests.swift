import Notifications
import Platform
import Support
import Testing

/// `consumers/swift-emitter`: that the library is enough for a program outside this package.
@Suite("swift-emitter")
struct EmitterTests {
    /// The program, built from its own package; nothing to do where it was built before.
    private static let program = Result {
        let scratch = "\(Programs.root)/.build-emitter"
        let result = try run(
            "swift",
            [
                "build", "--package-path", "\(Programs.root)/consumers/swift-emitter", "--scratch-path",
                scratch,
            ],
            seconds: 600)
        guard result.code == 0 else { throw SupportError("\(result.output)\(result.errors)") }
        return "\(scratch)/debug/swift-emitter"
    }

    /// The fields of a `publish_image`.
    private static func published(_ image: String) -> [(Field, String)] {
        fields(ofImage: image) + [(.manifestDigest, testDigest), (.configDigest, testDigest)]
    }

    @Test("emits into a file that others write to, and reads back what all of them wrote")
    func emitsAndReads() throws {
        let follow = try Follow()
        try follow.writer().emit(.publishImage, Self.published("registry.example.org/a/b:1"))
        try follow.writer().emit(.publishImage, Self.published("registry.example.org/other:1"))
        let before = try text(of: follow.path)
        try follow.directory.write(
            "notifications.log",
            before + "torn {\n"
                + "{\"action\":\"publish_layer\",\"image\":\"registry.example.org/a/b:1\",\"time\":\"24 Nov 2026 - 10:38:57.543\"}\n"
        )
        let result = try run(
            try Self.program.get(), [follow.path, "registry.example.org/a/b:1"], environment: ["TZ": "UTC"])
        #expect(result.code == 0)
        #expect(result.errors.split(separator: "\n").count == 1 && result.errors.contains(": torn {"))
        let lines = result.output.split(separator: "\n").map { $0.drop { $0 != " " }.dropFirst() }
        #expect(
            lines == [
                "publish_image - (proven)", "publish_layer - (of DUCC's own, without proof)",
                "start_look - (proven)", "end_look ok (proven)",
            ])
        #expect(result.output.contains("2026-11-24T10:38:57.543000000Z publish_layer"))

        let written = try text(of: follow.path).split(separator: "\n").suffix(2)
        let events = try written.map { try Event(line: Array($0.utf8)) }
        #expect(events.map { $0[.sequence] } == ["1", "2"])
        #expect(events[1][.previous] == events[0][.check] && events[1][.causedBy] == events[0].identifier)
        try follow.directory.write("written.log", written.map { "\($0)\n" }.joined())
        #expect(try SchemaValidation.problems(in: follow.directory.path("written.log")) == [])
    }

    @Test("as a hook it takes image and cause from the event")
    func hook() throws {
        let follow = try Follow()
        let cause = try follow.writer().emit(.publishImage, Self.published("registry.example.org/a/b:1"))
        let result = try follow.run([
            "--no-follow", "--action", "publish_image", "--exec", try Self.program.get(), follow.path,
        ])
        #expect(result.code == 0, "\(result.errors)")
        let events = try follow.lines("notifications.log").map { try Event(line: Array($0.utf8)) }
        #expect(events.map(\.action.rawValue) == ["publish_image", "start_look", "end_look"])
        #expect(events[1][.causedBy] == cause && events[1][.image] == "registry.example.org/a/b:1")
    }

    @Test("says in one line why it can't")
    func failures() throws {
        let follow = try Follow()
        let program = try Self.program.get()
        for (arguments, code) in [
            ([], 64), ([follow.path], 64), ([follow.directory.path("missing/log"), "a"], 1),
        ] {
            let result = try run(program, arguments)
            #expect(Int(result.code) == code && result.errors.split(separator: "\n").count == 1)
            #expect(result.output.isEmpty)
        }
    }
}
