import Platform

/// Appends events to a notification file.
public final class NotificationWriter: Sendable {
    /// The UUID of this run, in each of its events.
    public let runIdentifier: String

    /// Opens the file.
    ///
    /// - Throws: ``NotificationFileError``.
    public init(
        path: String, sync: SyncPolicy = .publish, fileMode: UInt32 = 0o660
    ) throws(NotificationFileError) {
        runIdentifier = RandomIdentifier.uuid()
    }

    /// Writes one event.
    ///
    /// - Returns: the event's `event_id`.
    @discardableResult
    public func emit(_ action: Action, _ fields: [(Field, String)] = []) -> String { "\(runIdentifier):1" }
}
