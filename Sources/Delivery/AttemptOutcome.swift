import Platform

/// How one attempt ended.
package enum AttemptOutcome: Equatable, CustomStringConvertible {
    case ended(ExitStatus)
    /// It was still running after so many seconds.
    case timedOut(seconds: Double)
    case notStarted(SystemError)

    package var description: String {
        switch self {
        case .ended(let status): "\(status)"
        case .timedOut(let seconds): "not done after \(Self.span(seconds))"
        case .notStarted(let error): error.description
        }
    }

    private static func span(_ seconds: Double) -> String {
        let milliseconds = max(1, Int((seconds * 1000).rounded()))
        if milliseconds % 1000 > 0 { return "\(milliseconds) ms" }
        return milliseconds % 60_000 == 0 ? "\(milliseconds / 60_000) min" : "\(milliseconds / 1000) s"
    }
}
