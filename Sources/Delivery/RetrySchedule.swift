// What follows an attempt: pure, so that it can be read, and tested, without a process.

import Glibc
import Platform

/// When an event is tried again, and when it is given up.
package struct RetrySchedule: Equatable, Sendable {
    /// What to do after an attempt.
    package enum Decision: Equatable {
        case done
        /// To be tried again after so many milliseconds.
        case again(milliseconds: Int)
        case giveUp
    }

    /// All tries, the first one included.
    package var attempts = 8
    /// Before the second try; twice as long before each further one.
    package var delayMilliseconds = 1000
    package var longestDelayMilliseconds = 600_000

    package init() {}

    /// - Parameters:
    ///   - attempt: the attempt that ended, from 1.
    ///   - jitter: 0 up to 1, so that many hooks that failed together don't come back together.
    package func decide(after outcome: AttemptOutcome, attempt: Int, jitter: Double) -> Decision {
        switch outcome {
        case .ended(.exited(0)): return .done
        // EX_DATAERR: the event itself is what the program can't take.
        case .ended(.exited(65)): return .giveUp
        // The event doesn't fit into a process's arguments and never will.
        case .notStarted(let error) where error.code == E2BIG: return .giveUp
        default: break
        }
        if attempt >= attempts { return .giveUp }
        let doubled = delayMilliseconds << min(attempt - 1, 20)
        let delay = min(doubled, longestDelayMilliseconds)
        return .again(milliseconds: delay + Int(Double(delay) * 0.1 * jitter))
    }

    /// A pause for people.
    static func text(milliseconds: Int) -> String {
        milliseconds < 500 ? "\(milliseconds) ms" : "\((milliseconds + 500) / 1000) s"
    }
}
