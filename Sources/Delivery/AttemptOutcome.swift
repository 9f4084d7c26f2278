import Platform

/// How one attempt ended.
package enum AttemptOutcome: Equatable, CustomStringConvertible {
    case ended(ExitStatus)
    /// It was still running after so many seconds.
    case timedOut(seconds: Int)
    case notStarted(SystemError)

    package var description: String {
        switch self {
        case .ended(let status): "\(status)"
        case .timedOut(let seconds): "not done after \(Self.span(seconds))"
        case .notStarted(let error): error.description
        }
    }

    private static func span(_ seconds: Int) -> String {
        seconds % 60 == 0 ? "\(seconds / 60) min" : "\(seconds) s"
    }
}
