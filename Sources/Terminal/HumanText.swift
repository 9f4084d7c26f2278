// Sizes and durations as people read them.

/// Numbers as text for people.
package enum HumanText {
    /// "0 B", "999 B", "1.5 kB", "12 MB", "3.2 GB": powers of 1000, at most three digits.
    package static func bytes(_ count: Int64) -> String {
        if count < 0 { return "-" + bytes(count == .min ? .max : -count) }
        if count < 1000 { return "\(count) B" }
        var value = Double(count)
        var unit = -1
        let units = ["kB", "MB", "GB", "TB", "PB", "EB"]
        // 999.5 and more would be shown as 1000: the next unit says it shorter.
        while value >= 999.5 && unit < units.count - 1 {
            value /= 1000
            unit += 1
        }
        return "\(short(value)) \(units[max(unit, 0)])"
    }

    /// "0.02 s", "4.1 s", "42 s", "3m 05s", "2h 04m", "3d 04h".
    package static func seconds(_ seconds: Double) -> String {
        guard seconds.isFinite, seconds > 0 else { return "0 s" }
        if seconds < 0.995 { return "\(decimals(seconds, 2)) s" }
        if seconds < 59.5 { return "\(short(seconds)) s" }
        guard seconds < 1e15 else { return "for ever" }
        let total = Int64(seconds.rounded())
        if total < 3600 { return "\(total / 60)m \(twoDigits(total % 60))s" }
        if total < 86_400 { return "\(total / 3600)h \(twoDigits(total % 3600 / 60))m" }
        return "\(total / 86_400)d \(twoDigits(total % 86_400 / 3600))h"
    }

    /// One decimal below 10, none above.
    private static func short(_ value: Double) -> String {
        value < 9.95 ? decimals(value, 1) : "\(Int64(value.rounded()))"
    }

    private static func decimals(_ value: Double, _ count: Int) -> String {
        let scale: Int64 = count == 1 ? 10 : 100
        let scaled = Int64((value * Double(scale)).rounded())
        let fraction = String(scaled % scale)
        return "\(scaled / scale).\(String(repeating: "0", count: count - fraction.count))\(fraction)"
    }

    private static func twoDigits(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
}
