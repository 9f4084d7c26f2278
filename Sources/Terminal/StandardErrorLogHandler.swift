import Logging

/// Writes log lines to standard error.
package struct StandardErrorLogHandler: LogHandler {
    package var logLevel: Logger.Level
    package var metadata: Logger.Metadata = [:]

    package static func bootstrap(level: Logger.Level, display: ProgressDisplay?) {
        LoggingSystem.bootstrap { _ in StandardErrorLogHandler(logLevel: level) }
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {}
}
