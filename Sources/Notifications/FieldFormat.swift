// What the value of each known field looks like.

/// The form of a known field's values.
struct FieldFormat: Sendable {
    /// The field.
    let field: Field
    /// What it tells.
    let meaning: String
    /// A regular expression that its values match; nil where only an empty value is none.
    let pattern: String?

    private init(_ field: Field, _ meaning: String, _ pattern: String? = nil) {
        self.field = field
        self.meaning = meaning
        self.pattern = pattern
    }

    private static let uuid = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    private static let positive = "^[1-9][0-9]*$"
    private static let count = "^(0|[1-9][0-9]*)$"
    private static let hex = "^[0-9a-f]{64}$"
    private static let digest = "^sha256:[0-9a-f]{64}$"
    private static let check = "^[0-9a-f]{32}$"

    /// The form of action names.
    static let actionPattern = "^[a-z][a-z0-9_]*$"

    /// The fields that the writer sets on each event.
    static let common: [FieldFormat] = [
        FieldFormat(
            .time, "Local wall time, the day padded with a space.",
            "^[ 123][0-9] (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [0-9]{4}"
                + " - [0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}$"),
        FieldFormat(
            .timestamp, "The same instant, RFC 3339 in UTC with nanoseconds.",
            "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{9}Z$"),
        FieldFormat(.action, "What happened.", actionPattern),
        FieldFormat(
            .eventIdentifier, "Unique for ever: run_id, a colon and seq.", "^\(uuid):[1-9][0-9]*$"),
        FieldFormat(.runIdentifier, "The emitting process's run.", "^\(uuid)$"),
        FieldFormat(.sequence, "1, 2, 3 … in a run.", positive),
        FieldFormat(
            .previous, "The check of the run's previous written line; 32 zeros for its first.", check),
        FieldFormat(.host, "The host that wrote the event."),
        FieldFormat(.process, "The process that wrote the event.", positive),
        FieldFormat(
            .check, "The first 32 hex digits of the SHA-256 of the line's bytes before ,\"check\":.", check),
    ]

    /// The fields of known actions.
    static let own: [FieldFormat] = [
        FieldFormat(.imageRequest, "The wish: SCHEME://REGISTRY/REPOSITORY[:TAG][@DIGEST]."),
        FieldFormat(.image, "The image: REGISTRY/REPOSITORY[:TAG]."),
        FieldFormat(.layer, "A layer's digest, bare hex.", hex),
        FieldFormat(.layerDigest, "A layer's digest, bare hex.", hex),
        FieldFormat(.chain, "A chain of layers.", digest),
        FieldFormat(.id, "One UUID shared by a pair of start and end.", "^\(uuid)$"),
        FieldFormat(.status, "How it went; error means finally failed.", "^(ok|error)$"),
        FieldFormat(.error, "Why it failed."),
        FieldFormat(.sizeBytes, "Bytes, uncompressed.", count),
        FieldFormat(.timeElapsedSeconds, "Seconds with 6 decimals.", "^[0-9]+\\.[0-9]{6}$"),
        FieldFormat(.publicPath, "Where people find it, relative to the repository."),
        FieldFormat(.privatePath, "Where it really is, relative to the repository."),
        FieldFormat(.repository, "The repository that was written to."),
        FieldFormat(.manifestDigest, "The digest of the image's manifest.", digest),
        FieldFormat(.configDigest, "The digest of the image's configuration.", digest),
        FieldFormat(.platform, "OS/ARCH[/VARIANT].", "^[^/]+/[^/]+(/[^/]+)?$"),
        FieldFormat(.thinImage, "The thin image's reference."),
        FieldFormat(.layers, "How many layers.", count),
        FieldFormat(.layersReused, "How many of them were there already.", count),
        FieldFormat(.files, "How many files.", count),
        FieldFormat(.bytesDownloaded, "Bytes that came over the network.", count),
        FieldFormat(.reason, "Why it was done, or wasn't."),
        FieldFormat(.causedBy, "The event_id that led to this event."),
        FieldFormat(.lostFirst, "The first lost seq.", positive),
        FieldFormat(.lostLast, "The last lost seq.", positive),
    ]
}
