// The two ways an event says when: DUCC's local wall time and RFC 3339.

import Glibc

/// Formats the current time; the calendar is asked once a second, not once an event.
struct LineClock {
    private var second = time_t.min
    private var local: [UInt8] = []
    private var universal: [UInt8] = []
    private var nanosecond: UInt64 = 0

    /// Reads the clock: what is appended afterwards is this instant.
    mutating func tick() {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        set(seconds: now.tv_sec, nanoseconds: now.tv_nsec)
    }

    mutating func set(seconds: time_t, nanoseconds: Int) {
        nanosecond = UInt64(nanoseconds)
        guard seconds != second else { return }
        second = seconds
        var seconds = seconds
        var parts = tm()
        localtime_r(&seconds, &parts)
        local = Self.wallTime(parts)
        gmtime_r(&seconds, &parts)
        universal = Self.rfc3339(parts)
    }

    /// ` 3 Nov 2026 - 08:05:02.120`.
    func appendLocal(to buffer: inout LineBuffer) {
        buffer.append(local)
        buffer.appendDigits(nanosecond / 1_000_000, width: 3)
    }

    /// `2026-11-03T07:05:02.120345678Z`.
    func appendUniversal(to buffer: inout LineBuffer) {
        buffer.append(universal)
        buffer.appendDigits(nanosecond, width: 9)
        buffer.append(UInt8(ascii: "Z"))
    }

    /// Month names are English whatever the locale, as Go writes them.
    static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    private static func wallTime(_ parts: tm) -> [UInt8] {
        let day = parts.tm_mday < 10 ? " \(parts.tm_mday)" : "\(parts.tm_mday)"
        return Array(
            "\(day) \(months[Int(parts.tm_mon)]) \(Int(parts.tm_year) + 1900) - \(clock(parts)).".utf8)
    }

    private static func rfc3339(_ parts: tm) -> [UInt8] {
        let date = "\(Int(parts.tm_year) + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
        return Array("\(date)T\(clock(parts)).".utf8)
    }

    private static func clock(_ parts: tm) -> String {
        "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
    }

    private static func two(_ number: CInt) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
