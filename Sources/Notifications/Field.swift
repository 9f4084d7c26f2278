// The names of an event's fields, with DUCC's spelling and formats.

/// The name of a field of an event. Every value is a string.
public struct Field: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The field's name as it stands in the line.
    public let rawValue: String

    /// A field of this name.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// The field's name.
    public var description: String { rawValue }

    // MARK: On every event, written by the writer itself

    /// Local wall time as DUCC writes it.
    public static let time = Field(rawValue: "time")
    /// The same instant, RFC 3339 in UTC with nanoseconds.
    public static let timestamp = Field(rawValue: "timestamp")
    /// What happened.
    public static let action = Field(rawValue: "action")
    /// Unique for ever: `<run_id>:<seq>`.
    public static let eventIdentifier = Field(rawValue: "event_id")
    /// The UUID of the emitting run.
    public static let runIdentifier = Field(rawValue: "run_id")
    /// 1, 2, 3 … in a run.
    public static let sequence = Field(rawValue: "seq")
    /// The `check` of this run's previous written line.
    public static let previous = Field(rawValue: "prev")
    /// The host that wrote the event.
    public static let host = Field(rawValue: "host")
    /// The process that wrote the event.
    public static let process = Field(rawValue: "pid")
    /// The line's own proof.
    public static let check = Field(rawValue: "check")

    // MARK: DUCC's own

    /// The wish: `SCHEME://REGISTRY/REPOSITORY[:TAG][@DIGEST]`.
    public static let imageRequest = Field(rawValue: "image_request")
    /// The image: `REGISTRY/REPOSITORY[:TAG]`.
    public static let image = Field(rawValue: "image")
    /// A layer's digest, bare hex.
    public static let layer = Field(rawValue: "layer")
    /// A layer's digest, bare hex.
    public static let layerDigest = Field(rawValue: "layer_digest")
    /// A chain of layers, `sha256:…`.
    public static let chain = Field(rawValue: "chain")
    /// One UUID shared by a pair of start and end.
    public static let id = Field(rawValue: "id")
    /// `ok` or `error`.
    public static let status = Field(rawValue: "status")
    /// Why it failed.
    public static let error = Field(rawValue: "error")
    /// Bytes, uncompressed.
    public static let sizeBytes = Field(rawValue: "size_bytes")
    /// Seconds with 6 decimals.
    public static let timeElapsedSeconds = Field(rawValue: "time_elapsed_s")
    /// Where people find it, relative to the repository.
    public static let publicPath = Field(rawValue: "public_path")
    /// Where it really is, relative to the repository.
    public static let privatePath = Field(rawValue: "private_path")

    // MARK: New ones

    /// The repository that was written to.
    public static let repository = Field(rawValue: "repository")
    /// The digest of the image's manifest.
    public static let manifestDigest = Field(rawValue: "manifest_digest")
    /// The digest of the image's configuration.
    public static let configDigest = Field(rawValue: "config_digest")
    /// `OS/ARCH[/VARIANT]`.
    public static let platform = Field(rawValue: "platform")
    /// The thin image's reference.
    public static let thinImage = Field(rawValue: "thin_image")
    /// How many layers.
    public static let layers = Field(rawValue: "layers")
    /// How many of them were there already.
    public static let layersReused = Field(rawValue: "layers_reused")
    /// How many files.
    public static let files = Field(rawValue: "files")
    /// Bytes that came over the network.
    public static let bytesDownloaded = Field(rawValue: "bytes_downloaded")
    /// Why nothing was done.
    public static let reason = Field(rawValue: "reason")
    /// The `event_id` that led to this event.
    public static let causedBy = Field(rawValue: "caused_by")
    /// The first lost `seq` of a `notification_write_failed`.
    public static let lostFirst = Field(rawValue: "lost_first")
    /// The last lost `seq` of a `notification_write_failed`.
    public static let lostLast = Field(rawValue: "lost_last")

    /// Whether the writer itself sets the field, so that nobody else may.
    public var isSetByWriter: Bool {
        // Asked for each field of each event: the length alone rules out nearly all.
        switch rawValue.utf8.count {
        case 3: rawValue == "seq" || rawValue == "pid"
        case 4: rawValue == "time" || rawValue == "prev" || rawValue == "host"
        case 5: rawValue == "check"
        case 6: rawValue == "action" || rawValue == "run_id"
        case 8: rawValue == "event_id"
        case 9: rawValue == "timestamp"
        default: false
        }
    }
}
