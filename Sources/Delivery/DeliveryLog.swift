// What a daemon says of its decisions: one line each. The program renders them.

/// Takes one line: what happened, to which hook and event.
package struct DeliveryLog: Sendable {
    /// How much a line matters.
    package enum Level: String, Sendable { case debug, info, warning, error }

    private let write: @Sendable (Level, String, [(String, String)]) -> Void

    package init(_ write: @escaping @Sendable (Level, String, [(String, String)]) -> Void) {
        self.write = write
    }

    /// Says something.
    package func callAsFunction(_ level: Level, _ message: String, _ details: [(String, String)] = []) {
        write(level, message, details)
    }
}
