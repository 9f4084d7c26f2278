// Logs go to standard error: for a person as sentences, for a log collector as `time=… level=… msg=…`.

import Glibc
import Logging

/// Writes log lines to standard error, above a live progress display where there is one.
package struct StandardErrorLogHandler: LogHandler {
    package var logLevel: Logger.Level
    package var metadata: Logger.Metadata = [:]
    private let device: TerminalDevice
    private let display: ProgressDisplay?

    package init(level: Logger.Level, device: TerminalDevice, display: ProgressDisplay?) {
        logLevel = level
        self.device = device
        self.display = display
    }

    /// Makes this the process's log; once a process.
    package static func bootstrap(level: Logger.Level, display: ProgressDisplay?) {
        LoggingSystem.bootstrap { _ in
            StandardErrorLogHandler(level: level, device: .standardError, display: display)
        }
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        let pairs = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }.map {
            ($0.key, "\($0.value)")
        }
        let message = "\(event.message)"
        let line =
            device.isTerminal
            ? Self.friendly(event.level, message, pairs, colour: device.hasColour)
            : Self.logfmt(event.level, message, pairs, time: Self.now())
        if let display, display.isLive {
            display.note(line)
        } else {
            try? device.write(line + "\n")
        }
    }

    /// "warning: text (key: value)"; information is said without a word before it.
    package static func friendly(
        _ level: Logger.Level, _ message: String, _ pairs: [(String, String)], colour: Bool
    ) -> String {
        let word =
            switch level {
            case .warning: Colour.yellow.paint("warning: ", if: colour)
            case .error, .critical: Colour.red.paint("error: ", if: colour)
            case .trace, .debug: Colour.dim.paint("debug: ", if: colour)
            case .info, .notice: ""
            }
        let details = pairs.map { "\($0): \(TextLayout.printable($1))" }.joined(separator: ", ")
        let text = TextLayout.printable(message)
        return word + text + (details.isEmpty ? "" : Colour.dim.paint(" (\(details))", if: colour))
    }

    /// `time=… level=… msg=… key=…`, quoted where a value needs it.
    package static func logfmt(
        _ level: Logger.Level, _ message: String, _ pairs: [(String, String)], time: String
    ) -> String {
        let all = [("time", time), ("level", "\(level)"), ("msg", message)] + pairs
        return all.map { "\($0)=\(quoted($1))" }.joined(separator: " ")
    }

    private static func quoted(_ value: String) -> String {
        let isPlain = value.unicodeScalars.allSatisfy {
            $0.value > 0x20 && $0 != "\"" && $0 != "=" && $0 != "\\" && !(0x7f..<0xa0).contains($0.value)
                && !(0x2028...0x2029).contains($0.value)
        }
        if isPlain && !value.isEmpty { return value }
        var text = "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"", "\\": text += "\\\(scalar)"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            default:
                if scalar.value < 0x20 || (0x7f..<0xa0).contains(scalar.value) {
                    text += "\\x" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
                } else {
                    text.unicodeScalars.append(scalar)
                }
            }
        }
        return text + "\""
    }

    /// RFC 3339 in UTC.
    private static func now() -> String {
        var seconds = Glibc.time(nil)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        var buffer = [CChar](repeating: 0, count: 32)
        let count = strftime(&buffer, buffer.count, "%Y-%m-%dT%H:%M:%SZ", &parts)
        return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
