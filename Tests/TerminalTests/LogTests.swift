import Logging
import Support
import Terminal
import Testing

struct LogTests {
    @Test("off a terminal a log line is time, level and message, quoted so that programs can read it")
    func logfmt() {
        func line(_ message: String, _ pairs: [(String, String)] = []) -> String {
            StandardErrorLogHandler.logfmt(.warning, message, pairs, time: "T")
        }
        #expect(line("hello") == "time=T level=warning msg=hello")
        #expect(
            line("hello world", [("image", "a b"), ("n", "5")])
                == "time=T level=warning msg=\"hello world\" image=\"a b\" n=5")
        #expect(line("a\"b\\c\nd\u{1b}") == #"time=T level=warning msg="a\"b\\c\nd\x1b""#)
        #expect(line("") == "time=T level=warning msg=\"\"")
        #expect(!line("a\u{2028}b\u{85}c").unicodeScalars.contains("\u{85}"))
    }

    @Test("on a terminal it is a sentence")
    func friendly() {
        func line(_ level: Logger.Level, _ colour: Bool = false) -> String {
            StandardErrorLogHandler.friendly(level, "registry\u{1b} is slow", [("host", "h")], colour: colour)
        }
        #expect(line(.info) == "registry? is slow (host: h)")
        #expect(line(.warning) == "warning: registry? is slow (host: h)")
        #expect(line(.error, true).hasPrefix("\u{1b}[31merror: \u{1b}[0m"))
    }

    @Test("a handler writes to its device, with metadata merged")
    func handler() throws {
        let directory = try TemporaryDirectory()
        let file = try LogFile(directory.path("log"))
        var logger = Logger(label: "test") { _ in
            StandardErrorLogHandler(level: .info, device: file.device, display: nil)
        }
        logger[metadataKey: "image"] = "alpine"
        logger.debug("unseen")
        logger.warning("seen", metadata: ["layer": "1"])
        let written = try text(of: directory.path("log"))
        #expect(written.hasSuffix(" level=warning msg=seen image=alpine layer=1\n"))
        #expect(written.split(separator: "\n").count == 1)
    }
}
