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
            for letter in try options.deadLetters().all() {
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
            guard try events.areThere(options) else { return }
            try options.apply(.replay, events.wanted) { _ in
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
            guard try events.areThere(options) else { return }
            try options.apply(.drop, events.wanted) { _ in
                try options.deadLetters().remove(events.wanted.map { Set($0) })
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

    /// The identifiers of those that are meant; nil: all.
    var wanted: [String]? { all ? nil : identifiers }

    /// Whether there is anything to do.
    ///
    /// - Throws: `RequestError` where one that is named isn't there; as `HookOptions.state`.
    func areThere(_ options: HookOptions) throws -> Bool {
        let known = try options.deadLetters().identifiers()
        for identifier in identifiers where !known.contains(identifier) {
            throw RequestError.noDeadLetter(identifier, hook: options.hook)
        }
        return !known.isEmpty
    }

    /// The dead letters that are meant.
    ///
    /// - Throws: as `areThere`.
    func select(_ options: HookOptions) throws -> [DeadLetter] {
        let letters = try options.deadLetters().all()
        if all { return letters }
        let known = Dictionary(letters.map { ($0.event.identifier, $0) }) { $1 }
        return try identifiers.map { identifier in
            guard let letter = known[identifier] else {
                throw RequestError.noDeadLetter(identifier, hook: options.hook)
            }
            return letter
        }
    }
}

extension HookOptions {
    /// The hook's dead letters.
    ///
    /// - Throws: as `configuration`.
    func deadLetters() throws -> DeadLetterFile { DeadLetterFile(hook: hook, state: try state().path) }
}
