// When a failed request is sent again, and after how long: the decision alone, without network or clock.

import CCurl
import Glibc

/// How often and after which waits a request is sent again.
package struct RetryPolicy: Sendable {
    /// All tries of a request, the first one included.
    package var tries = 5
    /// The wait behind the first failure; it doubles with each further one.
    package var firstWait = 0.4
    /// The longest wait, in seconds.
    package var longestWait = 30.0
    /// The longest `Retry-After` that is waited for, in seconds; one that is longer ends the tries.
    package var longestRetryAfter = 300.0
    /// So many bytes since the last failure make it the first one again.
    package var progressBytes: Int64 = 1 << 20

    package init() {}
}

/// Counts the failures of one request.
package struct RetryMachine {
    /// What to do after a failure.
    package enum Decision: Equatable, Sendable {
        /// Send it again after so many milliseconds.
        case again(milliseconds: Int)
        /// No further try.
        case giveUp
    }

    private let policy: RetryPolicy
    private let random: @Sendable () -> Double
    private var failures = 0
    private var progress: Int64 = 0

    /// - Parameter random: a number from 0 to 1, for the jitter.
    package init(
        _ policy: RetryPolicy, random: @escaping @Sendable () -> Double = { Double.random(in: 0...1) }
    ) {
        self.policy = policy
        self.random = random
    }

    /// Bytes came.
    package mutating func advanced(_ bytes: Int) {
        progress += Int64(bytes)
        if progress >= policy.progressBytes { failures = 0 }
    }

    /// The request failed in a way that may pass.
    ///
    /// - Parameter retryAfter: how many seconds the server asks to wait, or nil.
    package mutating func failed(retryAfter: Double? = nil) -> Decision {
        failures += 1
        progress = 0
        guard failures < policy.tries else { return .giveUp }
        if let retryAfter {
            guard retryAfter <= policy.longestRetryAfter else { return .giveUp }
            return .again(milliseconds: Int((retryAfter * 1000).rounded(.up)))
        }
        // Half of the wait is certain, half is chance: many clients that failed together don't come back together.
        let full = min(policy.firstWait * pow(2, Double(failures - 1)), policy.longestWait)
        return .again(milliseconds: Int(full * (0.5 + random() / 2) * 1000))
    }

    /// Whether an answer of this status may be another one later: 429 and 5xx, but for 501 (RFC 9110, section 15.6.2).
    package static func isTransient(_ status: Int) -> Bool {
        status == 429 || (500..<600).contains(status) && status != 501
    }

    /// What `Retry-After` says (RFC 9110, section 10.2.3): seconds, or a date.
    ///
    /// - Parameter now: seconds since 1970.
    /// - Returns: seconds from now, never negative; nil where it is neither.
    package static func retryAfter(_ value: String?, now: Int) -> Double? {
        guard let value, !value.isEmpty else { return nil }
        if value.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
            return Int(value).map(Double.init) ?? .infinity
        }
        let date = curl_getdate(value, nil)
        guard date >= 0 else { return nil }
        return Double(max(0, date - now))
    }
}
