// When an event happened, from either way of saying it.

import Glibc
import Platform

extension Event {
    /// RFC 3339 in UTC: `timestamp`, or for a line of the original DUCC what its `time` means here. Of one host's
    /// events the greater text is the later one.
    public var timestamp: String? {
        self[.timestamp] ?? self[.time].flatMap(EventTime.universal(fromLocal:))
    }
}

/// DUCC's wall time.
enum EventTime {
    /// ` 3 Nov 2026 - 08:05:02.120`, in this process's time zone, as `2026-11-03T07:05:02.120000000Z`.
    static func universal(fromLocal text: String) -> String? {
        let words = text.split(separator: " ")
        guard words.count == 5, words[3] == "-", let day = number(words[0], 1...31),
            let year = number(words[2], 1970...9999),
            let month = LineClock.months.firstIndex(of: String(words[1]))
        else { return nil }
        let clock = words[4].split(
            omittingEmptySubsequences: false, whereSeparator: { $0 == ":" || $0 == "." })
        guard clock.count == 4, let hour = number(clock[0], 0...23), let minute = number(clock[1], 0...59),
            let second = number(clock[2], 0...60), clock[3].utf8.count == 3,
            let milliseconds = number(clock[3], 0...999)
        else { return nil }
        var parts = tm()
        parts.tm_mday = day
        parts.tm_mon = CInt(month)
        parts.tm_year = year - 1900
        parts.tm_hour = hour
        parts.tm_min = minute
        parts.tm_sec = second
        // The wall time doesn't say whether it is summer: the system decides.
        parts.tm_isdst = -1
        let seconds = mktime(&parts)
        guard seconds != -1 else { return nil }
        return Timestamp(seconds: seconds, nanoseconds: Int(milliseconds) * 1_000_000).description
    }

    /// Digits and nothing else, within a range: what comes from a file is no reason to calculate with anything.
    private static func number(_ text: Substring, _ range: ClosedRange<CInt>) -> CInt? {
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let value = CInt(text),
            range.contains(value)
        else {
            return nil
        }
        return value
    }
}
