// The command line.

import ArgumentParser
import Delivery
import Following
import Notifications

/// `ducc-follow [follow] FILE …`
struct FollowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "follow",
        abstract: "Follow a notification stream, or run a program for each of its events.",
        discussion: """
            On a terminal each event is one line for people; in a pipe it is its JSON line, unchanged. Rotation by \
            logrotate is followed: no event is lost or told twice because of it. Patterns are shell patterns, where \
            * also matches /. Several filters of one kind are alternatives, different kinds must all match.

            Examples:
              ducc-follow notifications.log
              ducc-follow notifications.log --status error --no-follow
              ducc-follow notifications.log --action publish_flat_image --cursor mail \
            --exec ./hook.sh {public_path}
            """)

    @Argument(help: "The notification file. It may not be there yet.")
    var file: String

    @Option(help: "human or json (default: human on a terminal, json in a pipe).")
    var format: OutputFormat?

    @Option(help: ArgumentHelp("Only events whose action matches.", valueName: "glob"))
    var action: [String] = []

    @Option(help: ArgumentHelp("Only events whose image matches.", valueName: "glob"))
    var image: [String] = []

    @Option(help: "Only events with this status: ok or error.")
    var status: [EventStatus] = []

    @Option(help: ArgumentHelp("Only events whose field NAME matches.", valueName: "name=glob"))
    var field: [String] = []

    @Option(
        help: "Begin with the last matching events, this many (default: 10 when following without --exec).")
    var lines: Int?

    @Option(
        help: ArgumentHelp(
            "Begin with the first event of this time or later: \(Instant.help).", valueName: "time"))
    var since: Instant?

    @Flag(help: "Stop at the end instead of waiting for more.")
    var noFollow = false

    @Flag(
        help: "Look from time to time where the kernel can't tell of changes (NFS, CIFS and FUSE: by itself)."
    )
    var poll = false

    @Option(help: "Remember under this name what was done, and go on there the next time.")
    var cursor: String?

    @Option(
        help: ArgumentHelp(
            "Where cursors are kept (default: $XDG_STATE_HOME/ducc-follow or ~/.local/state/ducc-follow).",
            valueName: "directory"))
    var state: String?

    @Option(help: "How long one run of the program may take: 300, 300s, 5m, 1h.")
    var timeout = TimeSpan(seconds: 300)

    @Option(help: "How often an event is tried before it is given up.")
    var attempts = 8

    @Option(
        parsing: .remaining,
        help: ArgumentHelp(
            "Run this program for each event, with everything that follows as its arguments.",
            discussion: """
                {field} in an argument becomes the event's value, the JSON line comes on standard input, and \
                DUCC_<FIELD> in the environment. Exit code 0: done. 65: given up at once. Any other: tried again.
                """, valueName: "program arguments"))
    var exec: [String] = []

    func validate() throws {
        if let lines, lines < 0 { throw ValidationError("--lines must not be negative") }
        if lines != nil, since != nil {
            throw ValidationError("--lines and --since both say where to begin: give one of them")
        }
        if attempts < 1 { throw ValidationError("--attempts must be at least 1") }
        if let cursor, !CursorFile.isValid(name: cursor) {
            throw ValidationError(
                "--cursor takes a name of letters, digits, '.', '_' and '-', not \"\(cursor)\"")
        }
        var filter = ShortFilter()
        for text in field where !filter.add(text) {
            throw ValidationError("--field takes NAME=GLOB, not \"\(text)\"")
        }
        if !exec.isEmpty, format != nil {
            throw ValidationError("--format says how events are printed; with --exec none are")
        }
    }
}

/// How events are printed.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
    case human, json
}

extension EventStatus: ExpressibleByArgument {}

/// `300`, `300s`, `5m`, `1h`.
struct TimeSpan: ExpressibleByArgument {
    let seconds: Int

    init(seconds: Int) { self.seconds = seconds }

    init?(argument: String) {
        let units = ["s": 1, "m": 60, "h": 3600]
        let unit = argument.last.flatMap { units[String($0)] }
        guard let number = Int(unit == nil ? argument[...] : argument.dropLast()),
            (1...1_000_000).contains(number)
        else { return nil }
        seconds = number * (unit ?? 1)
    }

    var defaultValueDescription: String { seconds % 60 == 0 ? "\(seconds / 60)m" : "\(seconds)s" }
}
