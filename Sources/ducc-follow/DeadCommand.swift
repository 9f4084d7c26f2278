// `ducc-follow dead …`: the events that hooks gave up.

import ArgumentParser
import Delivery
import Notifications
import Platform

/// What to do with dead letters.
struct DeadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dead",
        abstract: "Look at the events that a hook gave up, deliver them once more, or drop them.",
        subcommands: [List.self, Show.self, Replay.self, Drop.self])

    /// A dead letter's line, and what it says.
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "One line for each: when it was given up, the event, and why.")

        @OptionGroup var options: HookOptions

        /// Lists.
        func apply() throws {
            for letter in try DeadLetters(hook: options.hook, state: try options.state().path).all() {
                let last = letter.failures.last
                print(
                    "\(last?.time ?? "")  \(letter.event.identifier)  \(letter.event.action.rawValue)  "
                        + "\(letter.failures.count) attempt\(letter.failures.count == 1 ? "" : "s"): \(last?.outcome ?? "")"
                )
            }
        }
    }

    /// The whole of it.
    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "The JSON lines of events, as they were written.")

        @OptionGroup var options: HookOptions
        @OptionGroup var events: DeadEvents

        /// Shows.
        func apply() throws {
            for letter in try events.select(options) {
                print(String(decoding: letter.event.line, as: UTF8.self))
            }
        }
    }

    /// Once more.
    struct Replay: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Let the daemon deliver events once more; what is then done with leaves the dead letters.")

        @OptionGroup var options: HookOptions
        @OptionGroup var events: DeadEvents

        /// Replays.
        func apply() throws {
            let identifiers = try events.select(options).map(\.event.identifier)
            if identifiers.isEmpty { return }
            try options.apply(.replay, identifiers) { _ in
                throw RequestError("no daemon runs that could deliver them: start it first")
            }
        }
    }

    /// Never again.
    struct Drop: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove events from the dead letters, for good.")

        @OptionGroup var options: HookOptions
        @OptionGroup var events: DeadEvents

        /// Drops.
        func apply() throws {
            let identifiers = try events.select(options).map(\.event.identifier)
            if identifiers.isEmpty { return }
            try options.apply(.drop, identifiers) { state in
                try DeadLetters(hook: options.hook, state: state.path).remove(Set(identifiers))
            }
        }
    }
}

/// Which dead letters are meant.
struct DeadEvents: ParsableArguments {
    @Argument(help: ArgumentHelp("The events' identifiers.", valueName: "event_id"))
    var identifiers: [String] = []

    @Flag(help: "All of the hook's.")
    var all = false

    func validate() throws {
        guard all != !identifiers.isEmpty else {
            throw ValidationError("name the events, or say --all")
        }
    }

    /// The dead letters that are meant.
    ///
    /// - Throws: `RequestError` where one isn't there; as `HookOptions.state`.
    func select(_ options: HookOptions) throws -> [DeadLetter] {
        let letters = try DeadLetters(hook: options.hook, state: try options.state().path).all()
        if all { return letters }
        return try identifiers.map { identifier in
            guard let letter = letters.last(where: { $0.event.identifier == identifier }) else {
                throw RequestError("\(options.hook) has no dead letter \(identifier)")
            }
            return letter
        }
    }
}
