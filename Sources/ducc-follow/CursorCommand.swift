// `ducc-follow cursor …`: where hooks are in the stream, and how they go on from elsewhere.

import ArgumentParser
import Delivery
import Following
import Platform
import Terminal

/// What to do with hooks' cursors.
struct CursorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cursor",
        abstract: "Say where hooks are in the stream, or let one go on from elsewhere.",
        subcommands: [List.self, Set.self, Reset.self])

    /// A line for each hook.
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "For each hook: the file and the byte it is at, and the last event that was done.")

        @Option(help: ArgumentHelp("The daemon's configuration.", valueName: "follow.yaml"))
        var config = HookOptions.defaultConfig

        /// Lists.
        func apply() throws {
            let configuration = try Configuration.read(path: config)
            var table = TextTable(columns: [
                "HOOK", TextTable.Column("FILE", shrinks: true), TextTable.Column("BYTE", alignsRight: true),
                TextTable.Column("LAST EVENT", shrinks: true),
            ])
            for hook in configuration.hooks {
                let cursor = try CursorFile.look(name: hook.name, state: configuration.state)
                let last = cursor?.lastEventIdentifier ?? ""
                let files = cursor?.files ?? []
                if files.isEmpty {
                    table.add([hook.name, cursor == nil ? "not begun" : "the start", "", last])
                }
                for file in files {
                    let isFirst = file == files.first
                    table.add([isFirst ? hook.name : "", file.name, "\(file.offset)", isFirst ? last : ""])
                }
            }
            let device = TerminalDevice.standardOutput
            try device.write(table.render(width: device.width))
        }
    }

    /// Elsewhere.
    struct Set: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let a hook go on from a place of the stream: also back, to be told once more.",
            discussion: """
                A running daemon does it as soon as what the hook has begun has ended. The first event that is \
                delivered then is the first one there is (start), that comes (end), that isn't before the time, or the \
                one of the identifier.
                """)

        @OptionGroup var options: HookOptions

        @Option(
            help: ArgumentHelp("Where to: start, end, \(Instant.help), or an event_id.", valueName: "place"))
        var to: String

        /// Moves the hook.
        func apply() throws {
            let configuration = try options.configuration()
            let cursor = try self.cursor(in: configuration)
            try options.apply(.move, cursor: cursor) { state in
                try CursorFile(name: options.hook, state: state.path).save(cursor, force: true)
            }
        }

        private func cursor(in configuration: Configuration) throws -> Cursor {
            let start: StartPosition
            switch to {
            case "start": return Cursor()
            case "end": start = .end
            default:
                if let instant = Instant(argument: to) {
                    start = .since(instant.timestamp)
                } else if to.contains(":") {
                    start = .event(to)
                } else {
                    throw RequestError(
                        "--to takes start, end, \(Instant.help), or an event_id, not \"\(to)\"", .mistaken)
                }
            }
            let follower = try StreamFollower(
                path: configuration.stream, rotated: configuration.rotated, start: start, watcher: nil)
            let cursor = follower.cursor
            guard case .event = start else { return cursor }
            while let followed = try follower.next() {
                if case .event(let event) = followed {
                    if event.identifier == to { return cursor }
                    break
                }
            }
            throw RequestError(
                "there is no event \(to) in \(configuration.stream) and its rotated files", .missing)
        }
    }

    /// As if new.
    struct Reset: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Forget where a hook is: it begins as a new one, where its `from` says.")

        @OptionGroup var options: HookOptions

        /// Forgets.
        func apply() throws {
            try options.apply(.move) { state in
                try CursorFile(name: options.hook, state: state.path).remove()
            }
        }
    }
}
