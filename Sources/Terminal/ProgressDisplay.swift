/// Shows the progress of several pieces of work at a time.
package final class ProgressDisplay: Sendable {
    /// How progress is shown.
    package enum Mode: String, Sendable, CaseIterable {
        case auto, plain, none
    }

    package init(mode: Mode) {}
    package func begin(_ key: String, title: String, totalBytes: Int64?) {}
    package func advance(_ key: String, bytes: Int64) {}
    package func end(_ key: String, summary: String?) {}
    package func note(_ text: String) {}
    package func finish() {}
}
