// notify: one event of a script's own, with all the promises that the stream's other lines have.

import ArgumentParser
import Glibc
import Notifications
import Platform

struct NotifyCommand: DUCCCommand {
    static let configuration = CommandConfiguration(
        commandName: "notify", abstract: "Writes one event into a notification file.",
        discussion: """
            The event is written alone, in a run of its own. In a hook, DUCC_EVENT_ID becomes its caused_by.

            Exit codes: 0 written; 1 lost (standard error has the line); 2 usage; 105 the file can't be opened.
            """)

    @Option(help: ArgumentHelp("What happened: [a-z][a-z0-9_]*.", valueName: "name"))
    var action: String

    @Argument(
        help: ArgumentHelp("The event's fields, their names as [a-z][a-z0-9_]*.", valueName: "key=value"))
    var fields: [String] = []

    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard global.notificationFile != nil else {
            throw ValidationError("notify needs the file to write to: -n FILE.")
        }
        guard Self.isName(action) else {
            throw ValidationError("'\(action)' is no name of an action: write [a-z][a-z0-9_]*.")
        }
        _ = try parsedFields()
    }

    func execute(_ context: CommandContext) throws -> CInt {
        guard let writer = try context.notificationWriter() else { return DUCCExit.usage }
        var fields = try parsedFields()
        if let cause = getenv("DUCC_EVENT_ID").map({ String(cString: $0) }), !cause.isEmpty,
            !fields.contains(where: { $0.0 == .causedBy })
        {
            fields.append((.causedBy, cause))
        }
        let action = Action(rawValue: action)
        if let problems = ActionFields.of(action)?.problems(with: fields), !problems.isEmpty {
            context.log.warning(
                "\(action) is written, but not as readers know it: \(problems.joined(separator: ", "))")
        }
        writer.emit(action, fields)
        return writer.lostCount == 0 ? DUCCExit.success : DUCCExit.failure
    }

    private func parsedFields() throws -> [(Field, String)] {
        var seen: Set<String> = []
        return try fields.map { text in
            guard let equals = text.firstIndex(of: "=") else {
                throw ValidationError("'\(text)' is no field: write KEY=VALUE.")
            }
            let name = String(text[..<equals])
            guard Self.isName(name) else {
                throw ValidationError("'\(name)' is no name of a field: write [a-z][a-z0-9_]*.")
            }
            let field = Field(rawValue: name)
            guard !field.isSetByWriter else {
                throw ValidationError("'\(name)' is on every event and set by the writer: leave it out.")
            }
            guard seen.insert(name).inserted else { throw ValidationError("'\(name)' is there twice.") }
            return (field, String(text[text.index(after: equals)...]))
        }
    }

    /// Actions and fields are named alike.
    private static func isName(_ text: String) -> Bool {
        Action(rawValue: text).isWellFormed
    }
}
