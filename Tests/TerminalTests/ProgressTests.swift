// Progress on a real terminal, as a screen would show it, and in a file.

import Glibc
import Platform
import Support
import Terminal
import Testing

struct ProgressTests {
    @Test("in a file: one line for each beginning and end, none for each step")
    func plain() throws {
        let directory = try TemporaryDirectory()
        let file = try LogFile(directory.path("log"))
        let display = ProgressDisplay(mode: .auto, device: file.device)
        #expect(!display.isLive)
        display.begin("a", title: "layer 1 of 2", totalBytes: 2_000_000)
        for _ in 0..<1000 { display.advance("a", bytes: 2000) }
        display.note("something else")
        display.end("a", summary: "2.0 MB in 1.0 s")
        display.begin("b", title: "layer 2", totalBytes: nil)
        display.end("b", summary: nil)
        display.finish()
        #expect(
            try text(of: directory.path("log")) == """
                layer 1 of 2 (2.0 MB)
                something else
                layer 1 of 2: 2.0 MB in 1.0 s
                layer 2

                """)
    }

    @Test("switched off, it says nothing")
    func off() throws {
        let terminal = try PseudoTerminal(columns: 80)
        let display = ProgressDisplay(mode: .none, device: terminal.device)
        display.begin("a", title: "x", totalBytes: 1)
        display.end("a", summary: "y")
        display.finish()
        #expect(terminal.written().isEmpty)
    }

    @Test(
        "on a terminal: lines that never wrap, summaries and notes above them, nothing left at the end",
        arguments: [40, 80] as [UInt16])
    func live(columns: UInt16) throws {
        let terminal = try PseudoTerminal(columns: columns)
        let display = ProgressDisplay(mode: .auto, device: terminal.device)
        #expect(display.isLive)
        var screen = Screen(columns: Int(columns))
        var written = ""
        func look() {
            let new = terminal.written()
            written += new
            screen.write(new)
        }
        for number in 1...3 {
            display.begin(
                "\(number)", title: "registry.example.org/atlas/athena:25.0.1 layer \(number)",
                totalBytes: 400_000_000)
        }
        try waitUntil("three lines") {
            look()
            return screen.lines.filter { String($0).hasSuffix("0%") }.count == 3
        }
        display.advance("1", bytes: 100_000_000)
        try waitUntil("a quarter of the first") {
            look()
            return screen.text.contains("25%")
        }
        display.note("a note")
        display.end("2", summary: "done")
        look()
        #expect(String(screen.lines[0]) == "a note")
        #expect(screen.text.contains("layer 2: done"))
        #expect(screen.lines.filter { String($0).hasSuffix("%") }.count == 2)
        display.end("1", summary: nil)
        display.end("3", summary: nil)
        display.finish()
        look()
        #expect(screen.text.split(separator: "\n").count == 2)
        #expect(!screen.text.contains("%"))
        // Notes and summaries are sentences and may wrap; the live lines may not.
        let live = written.split(separator: "\r\n").filter { $0.hasSuffix("%") }
        #expect(!live.isEmpty)
        for line in live {
            let text = line.split(separator: "\u{1b}[J").last.map(String.init) ?? ""
            #expect(TextLayout.width(of: text) < Int(columns), "\(text)")
        }
    }

    @Test("it is redrawn at most ten times a second, however many steps there are")
    func rate() throws {
        let terminal = try PseudoTerminal(columns: 80)
        let display = ProgressDisplay(mode: .auto, device: terminal.device)
        let begin = MonotonicClock.nanoseconds()
        display.begin("a", title: "x", totalBytes: 1_000_000_000)
        var written = ""
        while MonotonicClock.nanoseconds() - begin < 550_000_000 {
            for _ in 0..<20 { display.advance("a", bytes: 1) }
            // A terminal that nobody reads would make the display wait, and so hide what it draws.
            written += terminal.written()
        }
        let frames = written.split(separator: "\r\n").count
        display.finish()
        #expect(frames >= 1 && frames <= 6, "\(frames)")
    }

    @Test("more work than rows is counted, not drawn")
    func manyItems() {
        var state = ProgressState()
        for number in 1...50 { state.begin("\(number)", title: "layer \(number)", total: nil, now: 0) }
        let lines = state.lines(width: 79, height: 10, now: 1_000_000_000)
        #expect(lines.count == 10)
        #expect(lines.last == "… and 41 more")
        for width in 1...120 {
            #expect(
                state.lines(width: width, height: 10, now: 5).allSatisfy { TextLayout.width(of: $0) <= width }
            )
        }
    }

    @Test("many threads at once")
    func threads() throws {
        let terminal = try PseudoTerminal(columns: 80)
        let display = ProgressDisplay(mode: .auto, device: terminal.device)
        try Threads.forEach(200, width: 8) { index in
            display.begin("\(index)", title: "\(index)", totalBytes: 100)
            for _ in 0..<50 { display.advance("\(index)", bytes: 2) }
            display.end("\(index)", summary: nil)
        }
        display.finish()
        var screen = Screen(columns: 80)
        screen.write(terminal.written())
        #expect(screen.text.isEmpty)
    }

    @Test("NO_COLOR and a dumb terminal are respected, and a file has neither width nor colour")
    func device() throws {
        let directory = try TemporaryDirectory()
        let file = try LogFile(directory.path("log"))
        #expect(file.device.width == nil && !file.device.hasColour && !file.device.isTerminal)
        let terminal = try PseudoTerminal(columns: 40)
        #expect(terminal.device.width == 40)
        #expect(Colour.red.paint("x", if: false) == "x")
        #expect(Colour.red.paint("x", if: true) == "\u{1b}[31mx\u{1b}[0m")
    }
}
