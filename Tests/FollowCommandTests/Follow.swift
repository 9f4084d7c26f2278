// A stream that a real writer writes, and the built program that follows it.

import Glibc
import Notifications
import Platform
import Support

/// A directory with a notification file, and ducc-follow on it.
final class Follow {
    let directory: TemporaryDirectory
    let path: String

    init() throws {
        directory = try TemporaryDirectory()
        path = directory.path("notifications.log")
    }

    /// A writer into the file. It is opened anew where it is needed, as each conversion does.
    func writer() throws -> NotificationWriter { try NotificationWriter(path: path, sync: .none) }

    /// Starts ducc-follow on the file; its state is the test's own.
    func start(_ arguments: [String], environment: [String: String] = [:]) throws -> RunningCommand {
        try RunningCommand(
            Programs.follow, [path] + arguments,
            environment: ["XDG_STATE_HOME": directory.path("state")].merging(environment) { $1 },
            directory: directory.path)
    }

    /// Runs ducc-follow to its end.
    func run(_ arguments: [String]) throws -> CommandResult { try start(arguments).wait(seconds: 30) }

    /// Writes an executable script.
    func script(_ name: String, _ text: String) throws -> String {
        try directory.write(name, "#!/bin/sh\n" + text, mode: 0o755)
    }

    /// The lines of a file in the directory; none where it isn't there.
    func lines(_ name: String) -> [String] {
        ((try? text(of: directory.path(name))) ?? "").split(separator: "\n").map(String.init)
    }
}

/// The `layer` of each JSON line.
func layers(_ text: String) throws -> [String] {
    try text.split(separator: "\n").map { try Event(line: Array($0.utf8))[.layer] ?? "" }
}
