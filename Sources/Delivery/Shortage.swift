import Platform

/// How a hook waits where this process lacks what a program takes to be started (descriptors, processes, memory): that is
/// no fault of the event's, and no attempt.
struct Shortage {
    /// Nanoseconds until it is looked again.
    static let pause: UInt64 = 1_000_000_000
    /// Whether it was said.
    private var isSaid = false

    /// Says it once, until a program was started.
    mutating func say(_ error: SystemError, _ hook: String, _ log: DeliveryLog) {
        if !isSaid { log(.error, "\(error): events wait for it", [("hook", hook)]) }
        isSaid = true
    }

    /// A program was started.
    mutating func isOver() { isSaid = false }
}
