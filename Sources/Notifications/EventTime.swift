// When an event happened, from either way of saying it.

import Glibc

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
        guard words.count == 5, words[3] == "-", let day = CInt(words[0]), let year = CInt(words[2]),
            let month = LineClock.months.firstIndex(of: String(words[1]))
        else { return nil }
        let clock = words[4].split(whereSeparator: { $0 == ":" || $0 == "." })
        guard clock.count == 4, let hour = CInt(clock[0]), let minute = CInt(clock[1]),
            let second = CInt(clock[2]), clock[3].utf8.count == 3, let milliseconds = Int(clock[3])
        else { return nil }
        var parts = tm()
        parts.tm_mday = day
        parts.tm_mon = CInt(month)
        parts.tm_year = year &- 1900
        parts.tm_hour = hour
        parts.tm_min = minute
        parts.tm_sec = second
        // The wall time doesn't say whether it is summer: the system decides.
        parts.tm_isdst = -1
        let seconds = mktime(&parts)
        guard seconds != -1 else { return nil }
        var lineClock = LineClock()
        lineClock.set(seconds: seconds, nanoseconds: milliseconds * 1_000_000)
        var buffer = LineBuffer(capacity: 64)
        lineClock.appendUniversal(to: &buffer)
        return String(decoding: buffer.line, as: UTF8.self)
    }
}
