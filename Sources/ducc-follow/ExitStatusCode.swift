// The one place for exit codes.

import Platform

/// How the program ends.
enum ExitStatusCode {
    /// All done, or the reader of standard output left.
    case done
    /// Something is wrong with what was looked at.
    case found
    /// `status`: what a daemon keeps can't be read.
    case stateUnreadable
    /// The command line is wrong.
    case usage
    /// There is no such stream, or event, or it can't be read.
    case noStream
    /// Standard output can't be written.
    case output
    /// The cursor or the state is in use by another process, or no daemon is there to do what is asked.
    case unavailable
    /// The state directory or the hook is of no use.
    case configuration
    /// A signal asked for the end.
    case interrupted(Interrupted)

    var code: Int32 {
        switch self {
        case .done: 0
        case .found: 1
        case .stateUnreadable: 2
        case .usage: 64
        case .noStream: 66
        case .unavailable: 69
        case .output: 74
        case .configuration: 78
        case .interrupted(let signal): signal.exitCode
        }
    }
}
