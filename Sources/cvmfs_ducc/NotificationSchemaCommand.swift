// notification-schema: what a line of the notification file looks like, for programs that check.

import ArgumentParser
import Notifications

struct NotificationSchemaCommand: DUCCCommand {
    static let configuration = CommandConfiguration(
        commandName: "notification-schema",
        abstract: "Prints the JSON Schema (2020-12) of the notification file's lines.")

    @OptionGroup var global: GlobalOptions

    func execute(_ context: CommandContext) throws -> CInt {
        StandardStream.output(NotificationSchema.text)
        return DUCCExit.success
    }
}
