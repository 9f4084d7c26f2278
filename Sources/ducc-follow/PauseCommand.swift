// `ducc-follow pause HOOK` and `resume HOOK`: asked of a running daemon, or noted for the next one.

import ArgumentParser
import Delivery
import Following
import Platform

/// What a command needs to find a daemon's state.
struct HookOptions: ParsableArguments {
    static let defaultConfig = "/etc/ducc/follow.yaml"

    @Argument(help: "The hook's name.")
    var hook: String

    @Option(help: ArgumentHelp("The daemon's configuration.", valueName: "follow.yaml"))
    var config = Self.defaultConfig

    /// The configuration, which has the hook.
    ///
    /// - Throws: `RequestError` where it hasn't, `ConfigurationError`.
    func configuration() throws -> Configuration {
        let configuration = try Configuration.read(path: config)
        try configuration.requireHook(named: hook, file: config)
        return configuration
    }

    /// The state of the configuration's daemon.
    ///
    /// - Throws: as `configuration`.
    func state() throws -> StateDirectory { StateDirectory(try configuration().state) }

    /// Asks a running daemon; without one, does it in its place.
    ///
    /// - Parameter alone: done with the state directory locked.
    /// - Throws: `RequestError`, `StateError`, `ConfigurationError`, `SystemError`, `Interrupted`.
    func apply(
        _ action: Request.Action, _ identifiers: [String]? = [], cursor: Cursor? = nil,
        alone: (StateDirectory) throws -> Void
    ) throws {
        let state = try self.state()
        var lock = try state.lockIfFree()
        if lock == nil {
            let request = Request(action, hook: hook, identifiers: identifiers, cursor: cursor)
            let isDone = try RequestBox(state).ask(request) {
                if lock == nil { lock = try state.lockIfFree() }
                return lock != nil
            }
            if isDone { return }
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
