// `ducc-follow run` on the stream: hooks, events for them, and the end.

import Glibc
import Notifications
import Support

extension Follow {
    /// The arguments that name the daemon's configuration.
    var config: [String] { ["--config", directory.path("follow.yaml")] }

    /// Writes a configuration with these hooks.
    func configure(_ hooks: String, grace: String = "5s", further: String = "") throws {
        try directory.write(
            "follow.yaml",
            "stream: notifications.log\nstate: state\nshutdown_grace: \(grace)\n\(further)hooks:\n" + hooks)
    }

    /// Writes a configuration with these hooks, and starts the daemon.
    func daemon(_ hooks: String, _ arguments: [String] = []) throws -> RunningCommand {
        try configure(hooks)
        return try daemon(arguments)
    }

    /// Starts the daemon with the configuration that was written.
    func daemon(
        _ arguments: [String] = [], environment: [String: String] = [:]
    ) throws -> RunningCommand {
        let running = try RunningCommand(
            Programs.follow, ["run", directory.path("follow.yaml")] + arguments, environment: environment,
            directory: "/")
        // Before, a signal would simply end it.
        try waitUntil("it is set up, or has failed") { !running.errorsSoFar.isEmpty }
        return running
    }

    /// Lets the daemon read its configuration again.
    ///
    /// - Parameter count: the how manieth time that is.
    func reload(_ running: RunningCommand, count: Int = 1) throws {
        running.signal(SIGHUP)
        try waitUntil("it is reloaded, or has refused to") {
            running.errorsSoFar.split(separator: "\n").count { $0.contains("reloaded") } >= count
        }
    }

    /// Ends the daemon as a service manager does.
    func stop(_ running: RunningCommand) throws -> CommandResult {
        running.signal(SIGTERM)
        return try running.wait(seconds: 20)
    }

    /// Waits until the daemon is done with all that it knows of.
    func waitUntilNothingWaits(hooks: Int) throws {
        try waitUntil("everything is delivered", seconds: 240) {
            let status = try Support.run(Programs.follow, ["status", "--json"] + config)
            poll(nil, 0, 100)
            return status.output.split(separator: "\n").count { $0.contains("\"events\":0,") } == hooks
        }
    }

    /// What lies in the state directory that a daemon must have cleared away.
    func leftovers() throws -> [String] {
        try runSuccessfully(
            "find", [directory.path("state"), "-name", "*.tmp", "-o", "-path", "*/requests/*"]
        ).split(separator: "\n").map(String.init)
    }

    /// Writes an event for each layer.
    func emit(_ layers: Range<Int>, _ action: Action = .publishTest) throws {
        let writer = try writer()
        for layer in layers { writer.emit(action, [(.layer, "\(layer)")]) }
    }

    /// A hook that acknowledges what it reads, and notes it in NAME.out.
    func pipeHook(_ name: String, _ body: String = "") throws {
        try directory.write(
            name,
            """
            #!/usr/bin/python3
            import json, os, sys
            with open("\(name).out", "a") as done:
                for line in sys.stdin:
                    event = json.loads(line)
                    \(body)
                    done.write(event["layer"] + "\\n")
                    done.flush()
                    print(event["event_id"], flush=True)

            """, mode: 0o755)
    }
}
