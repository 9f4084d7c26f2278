import Platform

/// The notification file can't be opened.
public struct NotificationFileError: Error, Sendable, CustomStringConvertible {
    /// The file as it was named.
    public let path: String
    /// The system's error number.
    public let code: CInt

    init(path: String, code: CInt) {
        self.path = path
        self.code = code
    }

    /// One line: what, where, and what to do.
    public var description: String {
        "cannot open the notification file \(path): \(SystemError.reason(code)); "
            + "name a file that this user may append to, or leave -n out"
    }
}
