// Several pieces of work at a time, live on a terminal: one line each, redrawn ten times a second, gone when the work
// is done. In a pipe the same work is one line for each beginning and end.

import Glibc
import Platform
import Synchronization

/// Shows the progress of several pieces of work at a time. Safe to use from any thread.
package final class ProgressDisplay: Sendable {
    /// How progress is shown.
    package enum Mode: String, Sendable, CaseIterable {
        /// Live on a terminal, else plain.
        case auto
        /// One line for each beginning and end.
        case plain
        /// Nothing.
        case none
    }

    private enum Style { case live, plain, none }

    private struct State {
        var progress = ProgressState()
        /// How many lines are on the terminal now.
        var drawn = 0
        var isDirty = false
        var drawer: RunningThread?
        var isFinished = false
    }

    private static let redrawMilliseconds: CInt = 100

    private let style: Style
    private let device: TerminalDevice
    private let state = Mutex(State())

    /// A display on standard error.
    package convenience init(mode: Mode) { self.init(mode: mode, device: .standardError) }

    package init(mode: Mode, device: TerminalDevice) {
        self.device = device
        style =
            switch mode {
            case .none: .none
            case .plain: .plain
            case .auto: device.isTerminal ? .live : .plain
            }
    }

    /// Whether log lines must go through `note`, so that they stand above the live lines.
    package var isLive: Bool { style == .live }

    /// A piece of work begins.
    package func begin(_ key: String, title: String, totalBytes: Int64?) {
        state.withLock { state in
            state.progress.begin(key, title: title, total: totalBytes, now: MonotonicClock.nanoseconds())
            state.isDirty = true
            switch style {
            case .plain: print(title + (totalBytes.map { " (\(HumanText.bytes($0)))" } ?? ""))
            case .live: startDrawer(&state)
            case .none: break
            }
        }
    }

    /// Bytes were worked off.
    package func advance(_ key: String, bytes: Int64) {
        state.withLock { state in
            state.progress.advance(key, bytes: bytes)
            state.isDirty = true
        }
    }

    /// A piece of work ended; the summary, where there is one, stays visible.
    package func end(_ key: String, summary: String?) {
        state.withLock { state in
            guard let item = state.progress.end(key) else { return }
            state.isDirty = true
            guard style != .none, let summary else { return }
            // A live line says the title while the work is under way; what stays must say it again.
            show("\(item.title): \(TextLayout.printable(summary))", &state)
        }
    }

    /// A line of text that stays, above the live lines.
    package func note(_ text: String) {
        state.withLock { state in if style != .none { show(text, &state) } }
    }

    /// Removes the live lines. Nothing is drawn afterwards but notes.
    package func finish() {
        let drawer = state.withLock { state -> RunningThread? in
            state.isFinished = true
            if state.drawn > 0 { try? device.write(erasure(state.drawn)) }
            state.drawn = 0
            defer { state.drawer = nil }
            return state.drawer
        }
        drawer?.join()
    }

    // MARK: Drawing

    /// Redraws while there is something to show; a thread, so that a stalled download still shows its rate falling.
    private func startDrawer(_ state: inout State) {
        guard state.drawer == nil, !state.isFinished else { return }
        state.drawer = try? Threads.start { [self] in
            while true {
                poll(nil, 0, Self.redrawMilliseconds)
                let goesOn = self.state.withLock { state in
                    if state.isFinished { return false }
                    if state.isDirty || !state.progress.items.isEmpty { draw(before: "", &state) }
                    return true
                }
                if !goesOn { return }
            }
        }
    }

    /// One write for a whole frame: nobody sees it half done.
    private func draw(before text: String, _ state: inout State) {
        let lines =
            state.isFinished
            ? []
            : state.progress.lines(
                width: (device.width ?? 80) - 1, height: min(device.height - 1, 16),
                now: MonotonicClock.nanoseconds())
        try? device.write(erasure(state.drawn) + text + lines.map { $0 + "\n" }.joined())
        state.drawn = lines.count
        state.isDirty = false
    }

    /// Up to the first live line, and everything from there removed.
    private func erasure(_ lines: Int) -> String { lines > 0 ? "\u{1b}[\(lines)A\r\u{1b}[J" : "" }

    private func show(_ text: String, _ state: inout State) {
        if style == .live { draw(before: text + "\n", &state) } else { print(text) }
    }

    private func print(_ text: String) { try? device.write(text + "\n") }
}
