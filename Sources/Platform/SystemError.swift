// What a failed system call looks like to a person: what was tried, on what, and why it failed.

import CLinux
import Glibc

/// A system call that failed.
public struct SystemError: Error, CustomStringConvertible, Sendable, Equatable {
    /// What was being done, as a verb phrase: "open", "create directory".
    public let operation: String
    /// The path it was done to, or nil where there is none.
    public let path: String?
    /// The `errno` of the call.
    public let code: CInt

    /// An error of the given call; `code` is the current `errno` unless told.
    public init(_ operation: String, _ path: String? = nil, code: CInt = errno) {
        self.operation = operation
        self.path = path
        self.code = code
    }

    /// Whether this process, or the system, had not enough of something, which says nothing about what it was for.
    public var isShortage: Bool { [EMFILE, ENFILE, ENOMEM, ENOBUFS, EAGAIN].contains(code) }

    /// "cannot OPERATION PATH: REASON".
    public var description: String {
        "cannot \(operation)\(path.map { " \($0)" } ?? ""): \(Self.reason(code))"
    }

    /// The system's words for an error number, in English whatever the locale.
    public static func reason(_ code: CInt) -> String {
        guard let text = strerrordesc_np(code) else { return "error \(code)" }
        return String(cString: text)
    }
}

/// Runs a system call again for as long as a signal interrupts it.
///
/// - Returns: the call's result, −1 with `errno` set where it failed.
@inlinable public func retrying<Result: FixedWidthInteger>(_ call: () -> Result) -> Result {
    while true {
        let result = call()
        if result != -1 || errno != EINTR { return result }
    }
}
