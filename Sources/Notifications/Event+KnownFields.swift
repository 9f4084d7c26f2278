// The known fields as what they mean, for programs. A value of another form than its field has is nil: what comes from
// a file is believed only where it can be.

/// How something went.
public enum EventStatus: String, Sendable, CaseIterable {
    /// It succeeded.
    case ok
    /// It finally failed; `error` says why.
    case error
}

extension Event {
    /// The emitting run's UUID, as text.
    public var runIdentifier: String? { self[.runIdentifier] }

    /// The event's number in its run, from 1.
    public var sequence: UInt64? { number(.sequence) }

    /// The emitting process.
    public var process: Int32? { number(.process) }

    /// How it went, where the event says so.
    public var status: EventStatus? { self[.status].flatMap(EventStatus.init) }

    /// The wish: `SCHEME://REGISTRY/REPOSITORY[:TAG][@DIGEST]`.
    public var imageRequest: String? { self[.imageRequest] }

    /// The image: `REGISTRY/REPOSITORY[:TAG]`.
    public var image: String? { self[.image] }

    /// The repository that was written to: a CernVM-FS repository's name, or a directory's absolute path.
    public var repository: String? { self[.repository] }

    /// Where people find the image, relative to the repository.
    public var publicPath: String? { self[.publicPath] }

    /// Where the image really is, relative to the repository.
    public var privatePath: String? { self[.privatePath] }

    /// Bytes, uncompressed.
    public var sizeBytes: Int64? { number(.sizeBytes) }

    /// Bytes that came over the network.
    public var bytesDownloaded: Int64? { number(.bytesDownloaded) }

    /// How many layers there are.
    public var layers: Int? { number(.layers) }

    /// How many of the layers were there already.
    public var layersReused: Int? { number(.layersReused) }

    /// How many files there are.
    public var files: Int? { number(.files) }

    /// Seconds that it took.
    public var timeElapsedSeconds: Double? {
        guard let text = self[.timeElapsedSeconds],
            text.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == UInt8(ascii: ".") })
        else { return nil }
        return Double(text)
    }

    /// The identifier of the event that led to this one.
    public var causedBy: String? { self[.causedBy] }

    /// The numbers that a `notification_write_failed` declares lost: each smaller than its own.
    public var lost: ClosedRange<UInt64>? {
        guard action == .notificationWriteFailed, let first: UInt64 = number(.lostFirst),
            let last: UInt64 = number(.lostLast), first <= last
        else { return nil }
        return first...last
    }

    /// Digits and nothing else.
    private func number<Number: FixedWidthInteger>(_ field: Field) -> Number? {
        guard let text = self[field], text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Number(text)
    }
}
