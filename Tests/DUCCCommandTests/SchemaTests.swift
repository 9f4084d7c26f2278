import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("The schema of the notification file")
struct SchemaTests {
    let directory: TemporaryDirectory
    let path: String

    init() throws {
        // Lines that are not as the schema says are the matter here.
        directory = try TemporaryDirectory(keepsEvents: false)
        path = directory.path("notifications.log")
    }

    /// A line of each kind, as the converter writes it.
    static let image: [(Field, String)] = [
        (.imageRequest, "https://registry.example.org/atlas/athena:25"),
        (.image, "registry.example.org/atlas/athena:25"), (.repository, "/srv/images"),
    ]
    static let end: [(Field, String)] =
        image + [
            (.layer, String(repeating: "1f", count: 32)), (.id, "f1cec170-cfe9-40ed-8c57-0a733cc918ae"),
            (.status, "ok"), (.sizeBytes, "2127872"), (.timeElapsedSeconds, "0.585205"),
        ]

    /// The end of a layer's conversion with some fields replaced, or left out where the replacement is nil.
    private func problems(replacing replacements: [(Field, String?)]) throws -> [String] {
        var fields = Self.end
        for (field, value) in replacements {
            fields.removeAll { $0.0 == field }
            if let value { fields.append((field, value)) }
        }
        try NotificationWriter(path: path).emit(.endLayerConversion, fields)
        return try SchemaValidation.problems(in: path)
    }

    /// What is wrong with the line of a good event in which a text was replaced.
    private func problems(replacing text: String, with replacement: String) throws -> [String] {
        try NotificationWriter(path: path).emit(.endLayerConversion, Self.end)
        let line = try Support.text(of: path)
        #expect(line.contains(text))
        try directory.write("notifications.log", line.replacing(text, with: replacement))
        return try SchemaValidation.problems(in: path)
    }

    @Test("a good event has no problem, caused by another or not, and neither has an unknown action")
    func good() throws {
        #expect(try problems(replacing: []) == [])
        #expect(try problems(replacing: [(.causedBy, "line:0123")]) == [])
        #expect(try problems(replacing: [(.status, "error"), (.error, "x"), (.sizeBytes, nil)]) == [])
        let action = Action(rawValue: "site_scan")
        try NotificationWriter(path: path).emit(
            action, [(Field(rawValue: "Übermaß"), ""), (.layers, "many")])
        #expect(try SchemaValidation.problems(in: path) == [])
    }

    @Test(
        "a known action's missing field is a problem",
        arguments: ["image", "image_request", "repository", "layer", "id", "status", "size_bytes"])
    func missing(name: String) throws {
        let found = try problems(replacing: [(Field(rawValue: name), nil)])
        #expect(found.contains { $0.contains("'\(name)' is a required property") }, "\(found)")
    }

    @Test(
        "a missing common field is a problem",
        arguments: ["time", "timestamp", "event_id", "run_id", "seq", "prev", "host", "pid", "check"])
    func missingCommon(name: String) throws {
        let found = try problems(replacing: "\"\(name)\":", with: "\"other\":")
        #expect(found.contains { $0.contains("'\(name)' is a required property") }, "\(found)")
    }

    @Test(
        "an unknown field of a known action is a problem, and so is an error of what went well, or none of what didn't"
    )
    func unknown() throws {
        #expect(try problems(replacing: [(Field(rawValue: "colour"), "red")]).count == 1)
        #expect(try problems(replacing: [(.error, "x")]).count == 2)
        #expect(try problems(replacing: [(.status, "error")]).count == 3)
    }

    @Test(
        "a value of another form is a problem",
        arguments: [
            ("id", "1"), ("layer", "sha256:00"), ("status", "fine"), ("size_bytes", "-1"),
            ("time_elapsed_s", "0.5"), ("image", ""), ("caused_by", ""),
        ])
    func forms(name: String, value: String) throws {
        let found = try problems(replacing: [(Field(rawValue: name), value)])
        #expect(found.count == 1 && found[0].hasPrefix("1: \(name): "), "\(found)")
    }

    @Test(
        "what is no text, a nested value and a bad action are problems",
        arguments: [
            ("\"2127872\"", "2127872"), ("\"ok\"", "{}"), ("\"ok\"", "null"),
            ("end_layer_conversion", "End-Layer"), ("\"seq\":\"1\"", "\"seq\":\"0\""),
            ("\"seq\":\"1\"", "\"seq\":1"), ("{\"time\"", "[{\"time\""),
        ])
    func otherJSON(text: String, replacement: String) throws {
        #expect(try !problems(replacing: text, with: replacement).isEmpty)
    }

    @Test("every action and field that the library names is in it")
    func complete() throws {
        let schema = try SchemaValidation.text()
        #expect(schema == NotificationSchema.text)
        let definitions = try runSuccessfully(
            "sh", ["-c", "printf %s \"$1\" | jq -r '.[\"$defs\"] | keys[]'", "sh", schema]
        ).split(separator: "\n").map(String.init)
        for (kind, file) in [("action", "Action"), ("field", "Field")] {
            let source = try text(of: "\(Programs.root)/Sources/Notifications/\(file).swift")
            let names = source.matches(of: /\(rawValue: "([a-z_]+)"\)/).map { String($0.1) }
            #expect(names.count > 25)
            for name in names where kind == "action" || !Field(rawValue: name).isSetByWriter {
                #expect(definitions.contains("\(kind)-\(name)"))
            }
        }
    }

    @Test("the writer's declaration of lost events is as it says")
    func declaration() throws {
        let fifo = directory.path("fifo")
        #expect(mkfifo(fifo, 0o600) == 0)
        let writer = try NotificationWriter(path: fifo)
        writer.emit(.startDUCC)
        let reader = try OwnedDescriptor(opening: fifo, O_RDWR | O_NONBLOCK)
        writer.emit(.startDUCC)
        var buffer = [UInt8](repeating: 0, count: 8192)
        let count = read(reader.raw, &buffer, buffer.count)
        try directory.write("notifications.log", Array(buffer[..<max(0, count)]))
        #expect(try text(of: path).contains("notification_write_failed"))
        #expect(try SchemaValidation.problems(in: path) == [])
    }
}
