// What can be saved of a line that a crash or a full disk tore: fragments with whole events before, between or behind.

import Glibc

/// Finds the events in a line that is none.
enum LineRecovery {
    /// The longest event that is found in a line of which not all is there.
    private static let longestEvent = LineEncoder.longestLine

    enum Found: Equatable {
        /// The first whole event, and where it stands.
        case event(Range<Int>)
        /// No event begins before this many bytes.
        case nothing(before: Int)
    }

    /// The first whole event in the rest of a line.
    ///
    /// Inside one flat object of texts `{"` begins a record or is the end of a text: each is tried, from left to
    /// right, and a check that doesn't fit says that it was none.
    /// - Parameters:
    ///   - rest: the line, from behind what was found in it before.
    ///   - isWhole: whether nothing more of it is to come.
    ///   - parser: has the event's fields afterwards.
    static func next(in rest: UnsafeRawBufferPointer, isWhole: Bool, _ parser: inout ObjectParser) -> Found {
        var index = 0
        while let candidate = brace(in: rest, from: index) {
            guard candidate + 1 < rest.count else {
                return .nothing(before: isWhole ? rest.count : candidate)
            }
            index = candidate + 1
            guard rest[index] == UInt8(ascii: "\"") else { continue }
            if (try? parser.parseObject(in: rest, from: candidate)) != nil {
                let event = candidate..<parser.position
                if isEvent(UnsafeRawBufferPointer(rebasing: rest[event]), parser.spans) {
                    return .event(event)
                }
            } else if !isWhole, parser.position == rest.count, rest.count - candidate < longestEvent {
                // The end of it may be still to come.
                return .nothing(before: candidate)
            }
        }
        return .nothing(before: rest.count)
    }

    private static func brace(in bytes: UnsafeRawBufferPointer, from index: Int) -> Int? {
        guard index < bytes.count, let base = bytes.baseAddress,
            let found = memchr(base + index, CInt(UInt8(ascii: "{")), bytes.count - index)
        else { return nil }
        return UnsafeRawPointer(found) - base
    }

    /// A record of ours proves itself; one of the original DUCC's is known by its action alone.
    private static func isEvent(_ bytes: UnsafeRawBufferPointer, _ spans: FieldSpans) -> Bool {
        (try? Event.checkAction(in: bytes, spans)) != nil && Event.isProven(bytes, spans) != false
    }

    /// The beginning of a line, for a report: printable, and short.
    static func excerpt(_ line: UnsafeRawBufferPointer) -> String {
        let text = String(decoding: line.prefix(80), as: UTF8.self)
        let printable = String(
            String.UnicodeScalarView(
                text.unicodeScalars.map {
                    $0.properties.isWhitespace || $0.properties.generalCategory == .control ? " " : $0
                }))
        return line.count > 80 ? printable + "…" : printable
    }
}
