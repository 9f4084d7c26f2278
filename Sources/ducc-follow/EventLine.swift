// An event as one line for people: time, action, image, size, elapsed, status; what doesn't fit is shortened or left
// out, the least important first.

import Notifications
import Terminal

/// Renders events for a terminal.
struct EventLine {
    let hasColour: Bool

    /// The line, not wider than `width`; nil: as long as it is.
    func text(_ event: Event, width: Int?) -> String {
        let action = TextLayout.printable(event.action.rawValue)
        let subject = TextLayout.printable(subject(of: event))
        let (outcome, colour) = outcome(of: event, width: width)
        guard let width else {
            let parts = [clock(of: event), TextLayout.pad(action, 22), subject, outcome]
            return parts.filter { !$0.isEmpty }.joined(separator: "  ")
        }
        let isNarrow = width < 60
        let time = isNarrow ? String(clock(of: event).prefix(5)) : clock(of: event)
        let actionWidth = isNarrow ? 15 : width < 100 ? 22 : 26
        let outcomeWidth = isNarrow ? 5 : min(40, max(22, width - 80 + 22))
        let subjectWidth = max(0, width - TextLayout.width(of: time) - actionWidth - outcomeWidth - 3)
        let shownOutcome = TextLayout.cut(outcome, outcomeWidth)
        // An outcome that isn't there leaves its room to the image.
        let room = subjectWidth + (shownOutcome.isEmpty ? outcomeWidth + 1 : 0)
        let shownAction = TextLayout.cut(action, actionWidth)
        let shownSubject = TextLayout.fit(subject, room)
        // Colours have no width: they come after everything was measured, and padding stands outside of them.
        var line = Colour.dim.paint(time, if: hasColour) + " " + paint(event, shownAction)
        if shownSubject.isEmpty && shownOutcome.isEmpty { return line }
        line += TextLayout.pad("", actionWidth - TextLayout.width(of: shownAction)) + " " + shownSubject
        if shownOutcome.isEmpty { return line }
        line += TextLayout.pad("", subjectWidth - TextLayout.width(of: shownSubject)) + " "
        return line + (colour?.paint(shownOutcome, if: hasColour) ?? shownOutcome)
    }

    /// The part of DUCC's wall time behind the date.
    private func clock(of event: Event) -> String {
        let words = (event[.time] ?? "").split(separator: " ")
        guard words.count == 5 else { return "--:--:--" }
        return TextLayout.pad(TextLayout.printable(String(words[4].prefix(8))), 8)
    }

    private func subject(of event: Event) -> String {
        let fields: [Field] = [
            .image, .publicPath, .imageRequest, .thinImage, .layer, .layerDigest, .repository,
        ]
        for field in fields {
            guard let value = event[field], !value.isEmpty else { continue }
            // https is what everybody expects: it tells nothing.
            return value.hasPrefix("https://") ? String(value.dropFirst(8)) : value
        }
        return ""
    }

    private func outcome(of event: Event, width: Int?) -> (String, Colour?) {
        let status = event[.status] ?? ""
        if status == "error" {
            let reason = TextLayout.printable(event[.error] ?? "")
            return (reason.isEmpty || (width ?? 80) < 60 ? "error" : "error: " + reason, .red)
        }
        if (width ?? 80) < 60 { return (TextLayout.printable(status), status == "ok" ? .green : nil) }
        let size = event.sizeBytes.map(HumanText.bytes) ?? ""
        let elapsed = event.timeElapsedSeconds.map(HumanText.seconds) ?? ""
        let reason = event[.reason] ?? ""
        if size.isEmpty, elapsed.isEmpty, status.isEmpty { return (TextLayout.printable(reason), nil) }
        let text = [
            TextLayout.pad(size, 7, alignRight: true), TextLayout.pad(elapsed, 7, alignRight: true),
            TextLayout.printable(status),
        ].filter { !$0.isEmpty }.joined(separator: " ")
        return (text, status == "ok" ? .green : nil)
    }

    private func paint(_ event: Event, _ text: String) -> String {
        let action = event.action.rawValue
        if event.status == .error || event.action == .notificationWriteFailed {
            return Colour.red.paint(text, if: hasColour)
        }
        if action.hasPrefix("publish_") { return Colour.green.paint(text, if: hasColour) }
        if action.hasPrefix("delete_") { return Colour.yellow.paint(text, if: hasColour) }
        return action.hasPrefix("start_") ? Colour.dim.paint(text, if: hasColour) : text
    }
}
