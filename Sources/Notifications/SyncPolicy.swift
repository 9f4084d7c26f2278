/// Which events are forced to disk before `emit` returns.
public enum SyncPolicy: String, Sendable, CaseIterable {
    /// Each one.
    case every
    /// The ones that others act on: `publish_*`, `delete_*` and `end_ducc`.
    case publish
    /// None: the kernel writes them out in its own time.
    case none
}
