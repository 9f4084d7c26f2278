// `ducc-follow pause HOOK` and `resume HOOK`: asked of a running daemon, or noted for the next one.

import ArgumentParser
import Delivery
import Platform

/// What a command needs to find a daemon's state.
struct HookOptions: ParsableArguments {
    @Argument(help: "The hook's name.")
    var hook: String

    @Option(help: ArgumentHelp("The daemon's configuration.", valueName: "follow.yaml"))
    var config = "/etc/ducc/follow.yaml"

    /// The state of the configuration's daemon.
    ///
    /// - Throws: `RequestError` where it has no such hook, `ConfigurationError`.
    func state() throws -> StateDirectory {
        let configuration = try Configuration.read(path: config)
        guard configuration.hooks.contains(where: { $0.name == hook }) else {
            throw RequestError("\(config) has no hook '\(hook)'")
        }
        return StateDirectory(configuration.state)
    }

    /// Asks a running daemon; without one, does it in its place.
    ///
    /// - Parameter alone: done with the state directory locked.
    /// - Throws: `RequestError`, `StateError`, `ConfigurationError`, `SystemError`, `Interrupted`.
    func apply(
        _ action: Request.Action, _ identifiers: [String] = [], alone: (StateDirectory) throws -> Void
    ) throws {
        let state = try self.state()
        let lock: StateDirectory.Lock
        do throws(StateError) { lock = try state.lock() } catch {
            guard error.isInUse else { throw error }
            return try RequestBox(state).ask(
                Request(action, hook: hook, identifiers: identifiers))
        }
        try withExtendedLifetime(lock) { try alone(state) }
    }
}

/// Stops a hook's deliveries.
struct PauseCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause", abstract: "Begin no more deliveries of a hook, until it is resumed.")

    @OptionGroup var options: HookOptions

    /// Pauses.
    func apply() throws {
        try options.apply(.pause) { state in try state.setPaused(options.hook, true) }
    }
}

/// Lets a hook go on.
struct ResumeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Let a paused hook, or one that stopped at an event, go on.")

    @OptionGroup var options: HookOptions

    /// Resumes.
    func apply() throws {
        try options.apply(.resume) { state in try state.setPaused(options.hook, false) }
    }
}
