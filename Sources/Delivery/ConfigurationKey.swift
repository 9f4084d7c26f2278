// The keys of follow.yaml, once: the reader knows them by this, and the JSON Schema and the commented reference are made
// of it.

/// A key of follow.yaml.
struct ConfigurationKey: Sendable {
    /// What a value looks like.
    enum Form: Sendable {
        /// The format's version.
        case version
        case text
        case name
        /// A text, or several.
        case texts
        /// `status`, or both of them.
        case statuses
        /// `250ms`, `5s`, `5m`, `1h`, `1d`, or a number of seconds.
        case time
        case number(ClosedRange<Int>)
        case flag
        case word([String])
        /// A program and its arguments.
        case command
        case variables
        case mapping([ConfigurationKey])
        case list([ConfigurationKey])
    }

    let name: String
    let form: Form
    let meaning: String
    /// The default as it would be written; nil where there is none.
    let standard: String?
    /// What the reference shows where there is no default.
    let example: String
    var isRequired = false

    init(
        _ name: String, _ form: Form, _ meaning: String, standard: String? = nil, example: String = "",
        isRequired: Bool = false
    ) {
        self.name = name
        self.form = form
        self.meaning = meaning
        self.standard = standard
        self.example = example
        self.isRequired = isRequired
    }
}

extension ConfigurationKey {
    static let attempts = 1...1_000_000
    static let concurrencies = 1...1000

    static let retry = [
        ConfigurationKey(
            "attempts", .number(attempts), "How often an event is tried before it is given up.",
            standard: "8"),
        ConfigurationKey(
            "delay", .time,
            "How long after the first failure it is tried again; twice that after each further one.",
            standard: "1s"),
        ConfigurationKey(
            "max_delay", .time, "The longest that is waited between two attempts.", standard: "10m"),
    ]

    /// What `defaults` may say for all hooks.
    static let delivery = [
        ConfigurationKey(
            "timeout", .time,
            "How long one delivery may take; then the program gets SIGTERM, with all it has started.",
            standard: "5m"),
        ConfigurationKey(
            "kill_after", .time, "How long after SIGTERM it gets SIGKILL.", standard: "5s"),
        ConfigurationKey("retry", .mapping(retry), "What happens after a failure."),
        ConfigurationKey(
            "on_exhausted", .word(HookConfiguration.Exhaustion.allCases.map(\.rawValue)),
            "After the last attempt: dead_letter puts the event aside and goes on; stop waits for ducc-follow resume.",
            standard: "dead_letter"),
    ]

    static let hook =
        [
            ConfigurationKey(
                "name", .name, "Its cursor, its dead letters and all commands know the hook by it.",
                example: "prefetch", isRequired: true),
            ConfigurationKey(
                "exec", .command,
                "A program that is run for each event, and its arguments; no shell sees them; a relative one is found beside this file. {field} is the event's value; the event is on standard input and in DUCC_… variables. Exit code 0: done; 65: never again; other: again.",
                example: "[consumers/prefetch/hook, \"{repository}\", \"{public_path}\"]"),
            ConfigurationKey(
                "pipe", .command,
                "One long-lived program instead: it reads JSON lines and prints the event_id of what is done, a line each.",
                example: "[consumers/audit-sqlite/hook, /var/lib/ducc/audit.db]"),
            ConfigurationKey(
                "action", .texts,
                "Only events whose action matches one of these shell patterns (* matches / too).",
                example: "publish_flat_image"),
            ConfigurationKey(
                "image", .texts, "Only events whose image matches one of these.", example: "\"*/atlas/*\""),
            ConfigurationKey("status", .statuses, "Only events with this status.", example: "ok"),
            ConfigurationKey(
                "field", .texts, "Only events whose field NAME matches, each NAME=PATTERN.",
                example: "[\"repository=*.cern.ch\"]"),
            ConfigurationKey(
                "from", .word(HookConfiguration.Beginning.allCases.map(\.rawValue)),
                "Where a hook begins that was never run: at the first event there is, or with what comes.",
                standard: "end"),
        ] + delivery + [
            ConfigurationKey(
                "concurrency", .number(concurrencies), "How many deliveries of an exec hook run at a time.",
                standard: "1"),
            ConfigurationKey(
                "order_by", .text,
                "Events of which this field is the same are delivered one after the other.",
                example: "image"),
            ConfigurationKey(
                "user", .text, "Who the program runs as (default: as the daemon).", example: "nobody"),
            ConfigurationKey(
                "env", .variables, "Variables of the program besides PATH, HOME, LANG and DUCC_….",
                example: "{LC_ALL: C.UTF-8}"),
            ConfigurationKey(
                "cwd", .text, "Where the program runs (default: in this file's directory).",
                example: "/var/lib/ducc"),
            ConfigurationKey(
                "gaps", .flag, "Also told where events are missing, as an event notification_gap.",
                standard: "false"),
            ConfigurationKey(
                "own_events", .flag, "Also given events that its own deliveries caused.", standard: "false"),
        ]

    /// The keys of the file.
    static let all = [
        ConfigurationKey("version", .version, "Of this file's format.", standard: "1"),
        ConfigurationKey(
            "stream", .text,
            "The notification file; it may come later. Relative paths are meant from this file.",
            example: "/var/log/ducc/notifications.log", isRequired: true),
        ConfigurationKey(
            "rotated", .texts,
            "Where rotated files are besides the stream's directory (olddir): shell patterns.",
            example: "[\"/var/log/ducc/old/notifications.log*\"]"),
        ConfigurationKey(
            "state", .text,
            "A directory for cursors, dead letters and the lock: one daemon has it at a time.",
            example: "/var/lib/ducc-follow", isRequired: true),
        ConfigurationKey(
            "rotate_wait", .time,
            "A renamed file is finished so long after it grew, where nobody can tell whether a writer has it.",
            standard: "5s"),
        ConfigurationKey(
            "shutdown_grace", .time, "How long running deliveries may go on at SIGTERM.", standard: "30s"),
        ConfigurationKey("defaults", .mapping(delivery), "What hooks have that don't say otherwise."),
        ConfigurationKey("hooks", .list(hook), "Whom to tell.", isRequired: true),
    ]
}
