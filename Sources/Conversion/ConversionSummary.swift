// What a conversion came to.

/// What became of one image.
package enum ImageOutcome: String, Sendable, CaseIterable {
    /// It wasn't there before.
    case converted
    /// It was there, with another content or less of it.
    case updated
    /// It was there as it is: nothing was done.
    case unchanged
    /// It could not be converted; what was there before is untouched.
    case failed
}

/// One image's result.
package struct ImageResult: Sendable {
    package var outcome: ImageOutcome
    /// Why it failed, in one line.
    package var error: String?
    /// Bytes of layers that were transferred.
    package var bytesDownloaded: Int64 = 0
    /// How many layers the image has, and how many of them were there.
    package var layers = 0
    package var layersReused = 0
    /// The thin image that was pushed; nil where none was.
    package var thinImage: String?
    /// How long it took.
    package var seconds = 0.0
    /// Whether that it is unchanged was said at an earlier turn of a loop.
    package var isOldNews = false
    /// Whether a failure doesn't count (`ignoreErrors`).
    package var isIgnored = false
    /// Whether a failure counts whatever `ignoreErrors` says: the lock couldn't be had.
    package var countsAlways = false
}

/// All images' results together.
package struct ConversionSummary: Sendable {
    /// How many images became what.
    package private(set) var counts: [ImageOutcome: Int] = [:]
    package private(set) var bytesDownloaded: Int64 = 0
    package private(set) var layers = 0
    package private(set) var layersReused = 0
    /// How many failures don't count.
    package private(set) var ignoredFailures = 0

    package init() {}

    /// Adds one image's result.
    package mutating func add(_ result: ImageResult) {
        counts[result.outcome, default: 0] += 1
        bytesDownloaded += result.bytesDownloaded
        layers += result.layers
        layersReused += result.layersReused
        if result.outcome == .failed, result.isIgnored { ignoredFailures += 1 }
    }

    /// How many images failed whose failure counts.
    package var failures: Int { (counts[.failed] ?? 0) - ignoredFailures }

    /// Whether an image failed whose failure counts.
    package var hasFailed: Bool { failures > 0 }
}
