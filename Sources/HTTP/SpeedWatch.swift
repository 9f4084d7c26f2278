// A sender that drips is as good as dead: its transfer fails, and is resumed. Only the time that is spent waiting for
// the sender counts; a reader that takes its time does not make the sender slow.

/// How slow a transfer may be.
package struct SpeedLimit: Sendable {
    /// Fewer bytes a second than this, over `seconds` of waiting, are a failure.
    package var bytesPerSecond = 1024
    /// Over how long the speed is measured.
    package var seconds = 30.0
    /// How long the head of an answer may take.
    package var headSeconds = 120.0

    package init() {}

    /// How often is looked.
    var pollMilliseconds: CInt { CInt(min(1, max(0.01, min(seconds, headSeconds))) * 1000) }
}

/// The speed of one transfer.
package struct SpeedWatch {
    private let limit: SpeedLimit
    private var waiting: UInt64 = 0
    private var bytes = 0
    private var hasHead = false

    package init(_ limit: SpeedLimit) { self.limit = limit }

    /// Bytes came.
    package mutating func received(_ count: Int) { bytes += count }

    /// Time was spent waiting.
    ///
    /// - Returns: why the transfer is to be given up, or nil.
    package mutating func waited(_ nanoseconds: UInt64, isHead: Bool) -> String? {
        if !isHead, !hasHead {
            // What the head took is no slowness of the body.
            hasHead = true
            waiting = 0
        }
        waiting += nanoseconds
        let seconds = Double(waiting) / 1e9
        if isHead { return seconds >= limit.headSeconds ? "no answer within \(limit.headSeconds) s" : nil }
        guard seconds >= limit.seconds else { return nil }
        guard Double(bytes) >= Double(limit.bytesPerSecond) * limit.seconds else {
            return "only \(bytes) bytes came in \(limit.seconds) s"
        }
        waiting = 0
        bytes = 0
        return nil
    }
}
