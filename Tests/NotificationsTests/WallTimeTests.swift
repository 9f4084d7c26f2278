// `time` and `timestamp` at instants that no test can wait for: the process's clock is set, in different time zones, and
// Python's own time zones say what time it was there.

import Notifications
import Platform
import Support
import Testing

struct WallTimeTests {
    private static let zones = [
        "America/St_Johns", "Europe/Zurich", "Asia/Kathmandu", "Pacific/Apia", "Australia/Lord_Howe", "UTC",
    ]
    /// Days of one and two digits, both sides of changes to and from summer time, ends of years, a leap second's place.
    private static let instants = [
        "2026-11-03T07:05:02.120345678Z", "2026-11-09T23:59:59.999999999Z", "2026-11-10T00:00:00.000000000Z",
        "2026-03-29T00:59:59.999000000Z", "2026-03-29T01:00:00.000000000Z", "2026-10-25T00:59:59.000000001Z",
        "2026-10-25T01:00:00.000999999Z", "2026-11-01T04:29:59.500000000Z", "2026-11-01T04:30:00.500000000Z",
        "2027-01-01T00:00:00.001000000Z", "2028-02-29T12:00:00.010000000Z", "2016-12-31T23:59:59.900000000Z",
        "2038-01-19T03:14:08.000000000Z", "2106-02-07T06:28:16.123456789Z",
    ]

    @Test("time is the local wall time of timestamp's instant, in any zone, with the day padded by a space")
    func zones() throws {
        let directory = try TemporaryDirectory()
        // Each event has the next of the instants; the C library's other clocks go on.
        let interposed = try Interposed(
            """
            static const char *instants[] = {\(Self.instants.map { "\"\($0)\"" }.joined(separator: ", "))};
            int clock_gettime(clockid_t clock, struct timespec *now) {
                static unsigned n;
                struct tm parts = {0};
                if (clock != CLOCK_REALTIME) return syscall(SYS_clock_gettime, clock, now);
                if (n == sizeof instants / sizeof *instants) abort();
                const char *rest = strptime(instants[n++], "%Y-%m-%dT%H:%M:%S.", &parts);
                now->tv_sec = timegm(&parts);
                now->tv_nsec = atol(rest);
                return 0;
            }
            """, stream: "", in: directory)
        for zone in Self.zones {
            let path = directory.path("\(zone.filter { $0 != "/" }).log")
            let result = try run(
                Programs.emitter, [path, "--count", "\(Self.instants.count)"],
                environment: interposed.environment.merging(["TZ": zone, "LC_ALL": "C.UTF-8"]) { $1 })
            #expect(result.code == 0, "\(result.errors)")
            let read = try events(of: path)
            #expect(read.map { $0[.timestamp] } == Self.instants)
            #expect(try read.map { $0[.time] } == expected(in: zone), "\(zone)")
        }
    }

    /// What the instants are in a zone, by Python.
    private func expected(in zone: String) throws -> [String] {
        let program = """
            import datetime, sys, zoneinfo
            months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
            for text in sys.argv[2:]:
                instant = datetime.datetime.fromisoformat(text[:19] + "+00:00")
                there = instant.astimezone(zoneinfo.ZoneInfo(sys.argv[1]))
                print(f"{there.day:2} {months[there.month - 1]} {there.year} - {there:%H:%M:%S}.{text[20:23]}")
            """
        return try runSuccessfully("/usr/bin/python3", ["-c", program, zone] + Self.instants)
            .split(separator: "\n").map(String.init)
    }
}
