// An instant on the command line: as RFC 3339 has it, as people write it, or how long ago it was.

import ArgumentParser
import Glibc
import Platform

/// `2026-11-24T08:30:00Z`, `2026-11-24` and `2026-11-24 08:30` in local time, `90s`, `30m`, `2h`, `3d` ago.
struct Instant: ExpressibleByArgument {
    static let help = "2026-11-24, \"2026-11-24 08:30\", RFC 3339, or 30m, 2h, 3d ago"

    let timestamp: Timestamp

    init?(argument: String) {
        let units = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
        if let unit = argument.last.flatMap({ units[String($0)] }), let count = Int(argument.dropLast()),
            (0...100_000_000).contains(count)
        {
            timestamp = Timestamp(seconds: Timestamp.now().seconds - count * unit)
        } else if let local = Self.local(argument) {
            timestamp = local
        } else if let exact = Timestamp(rfc3339: argument) {
            timestamp = exact
        } else {
            return nil
        }
    }

    private static func local(_ text: String) -> Timestamp? {
        // With what it lacks it is an instant in Greenwich; the same hour here is another instant.
        for rest in ["T00:00:00Z", ":00Z", "Z"] {
            guard let there = Timestamp(rfc3339: text + rest) else { continue }
            var seconds = there.seconds
            var parts = tm()
            gmtime_r(&seconds, &parts)
            // Whether it was summer then is for the zone to say.
            parts.tm_isdst = -1
            return Timestamp(seconds: mktime(&parts))
        }
        return nil
    }
}
