// Debian's real logrotate on a test's own stream.

import Glibc
import Platform

/// Rotates a notification file by a rule.
package struct Rotation {
    package let directory: TemporaryDirectory
    private let configuration: String

    /// - Parameter rule: what stands between the braces.
    package init(_ path: String, in directory: TemporaryDirectory, rule: String) throws {
        let user = geteuid() == 0 ? "su root root" : ""
        try self.init("\"\(path)\" {\n\(rule)\n\(user)\n}\n", in: directory)
    }

    private init(_ text: String, in directory: TemporaryDirectory) throws {
        self.directory = directory
        configuration = try directory.write("logrotate.conf", text)
    }

    /// The rule that ships, for another file.
    package static func shipped(
        _ path: String, in directory: TemporaryDirectory, change: (String) -> String = { $0 }
    ) throws -> Rotation {
        let rule = try text(of: "\(Programs.root)/logrotate/ducc")
        let user = geteuid() == 0 ? "su root root\n" : ""
        let own = rule.replacing("/var/log/ducc/notifications.log {", with: "\"\(path)\" {\n\(user)")
            .replacing("/var/log/ducc", with: directory.path)
        return try Rotation(change(own), in: directory)
    }

    /// Rotates now.
    package func rotate(environment: [String: String] = [:]) throws {
        try runSuccessfully("logrotate", arguments, environment: environment)
    }

    /// Begins a rotation.
    package func start(environment: [String: String] = [:]) throws -> RunningCommand {
        try RunningCommand("logrotate", arguments, environment: environment)
    }

    private var arguments: [String] { ["-f", "-s", directory.path("logrotate.state"), configuration] }

    /// What logrotate says of the rule without doing anything.
    package func dryRun() throws -> CommandResult {
        try run("logrotate", ["-d", "-s", directory.path("logrotate.state"), configuration])
    }
}
