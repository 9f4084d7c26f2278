// Many processes, one file, and logrotate at its work: what the stream exists for. The proof is read by a program that
// shares nothing with ours, and then by `ducc-follow verify`.

import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("Many writers and logrotate", .serialized)
struct ManyWritersTests {
    let directory: TemporaryDirectory
    let path: String

    init() throws {
        directory = try TemporaryDirectory()
        path = directory.path("notifications.log")
    }

    /// At this pace the writers need 40 s for the long counts, and the rotations fall among their events.
    private static let writers = 16
    private static let events = TestScale.count(500, long: 20_000)
    private static let rate = TestScale.count(3_200, long: 7_500)
    private static let rotations = TestScale.count(2, long: 30)

    private func files() throws -> [String] {
        try DirectoryEntry.names(in: directory.path).filter { $0.hasPrefix("notifications.log") }
            .map(directory.path)
    }

    private func start() throws -> [RunningCommand] {
        try (0..<Self.writers).map { _ in
            try RunningCommand(
                Programs.emitter,
                [path, "--count", "\(Self.events)", "--rate", "\(Self.rate / Self.writers)"])
        }
    }

    /// Forces rotations at the documented pace, the first one once all writers are at work.
    private func rotate(
        _ rule: String, apart milliseconds: Int, environment: [String: String] = [:],
        meanwhile: () throws -> Void = {}
    ) throws {
        let rotation = try Rotation(path, in: directory, rule: "rotate 100\ncreate 0640\n\(rule)")
        // Writers that begin together where no file is look for it at the same time, and only for 100 ms.
        try waitUntil("all writers have begun") {
            let events = (try? text(of: path)) ?? ""
            return events.split(separator: "\n").count { $0.contains(#""seq":"1""#) } == Self.writers
        }
        for _ in 0..<Self.rotations {
            try rotation.rotate(environment: environment)
            let next = MonotonicClock.nanoseconds() + UInt64(milliseconds) * 1_000_000
            while MonotonicClock.nanoseconds() < next {
                try meanwhile()
                poll(nil, 0, 10)
            }
        }
    }

    /// A logrotate that takes its time, and notes when a file got in its way that was made between its rename and its
    /// create. A writer may make one, but only after a second.
    ///
    /// - Parameter milliseconds: how long it takes between the two.
    private func slowLogrotate(milliseconds: Int) throws -> Interposed {
        try Interposed(
            """
            int rename(const char *from, const char *to) {
                static struct timespec last;
                struct timespec now;
                int (*next)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
                int result = next(from, to);
                clock_gettime(CLOCK_MONOTONIC, &now);
                if (strstr(to, ".backup"))
                    note(now.tv_sec - last.tv_sec + (now.tv_nsec - last.tv_nsec) / 1e9 < 1 ? "early" : "late");
                last = now;
                usleep(\(milliseconds * 1000));
                return result;
            }
            """, in: directory)
    }

    /// Every event once, in an unbroken chain of each of so many runs; nothing else.
    ///
    /// - Parameter logrotate: a writer that made a file too early was in its way. (On a machine that is so busy that
    ///   logrotate stood still for a second, one that made it in time may have been.)
    private func prove(runs: [String: Int], others: Int = 0, logrotate: Interposed) throws {
        let inItsWay = try logrotate.calls().map(\.what)
        #expect(!inItsWay.contains("early"))
        let expectedFiles = Self.rotations + 1 + inItsWay.count
        let proof = try StreamProof(try files())
        #expect(proof.problems == [])
        #expect(proof.runs.count == runs.count + others)
        for (run, count) in runs { #expect(proof.runs[run] == count, "run \(run)") }
        #expect(proof.count == runs.values.reduce(0, +) + others)
        #expect(try files().count == expectedFiles)
        let verified = try run(Programs.follow, ["verify", path])
        #expect(
            verified.output
                == "\(path): \(expectedFiles) files, \(proof.count) events of \(proof.runs.count) runs: nothing is wrong\n"
        )
        #expect(verified.code == 0)
    }

    /// How many events each of the emitters says it wrote, by its run.
    private func finish(_ writers: [RunningCommand]) throws -> [String: Int] {
        var runs: [String: Int] = [:]
        for writer in writers {
            let result = try writer.wait(seconds: 300)
            #expect(result.code == 0 && result.errors == "", "\(result.errors)")
            let run = try #require(result.output.split(separator: "\n").first { $0.hasPrefix("run ") })
            runs[String(run.dropFirst(4))] = Self.events
        }
        return runs
    }

    @Test(
        "every event is there once, whatever logrotate does meanwhile",
        arguments: [
            ("", 500), ("dateext\ndateformat -%Y%m%d-%s", 1_100), ("compress\ndelaycompress", 500),
        ])
    func rotated(rule: String, milliseconds: Int) throws {
        // Long enough for all writers to look for the file where there is none.
        let logrotate = try slowLogrotate(milliseconds: 40)
        let writers = try start()
        try rotate(rule, apart: milliseconds, environment: logrotate.environment)
        try prove(runs: try finish(writers), logrotate: logrotate)
    }

    @Test("and while new programs begin to write, every 50 ms, also where no file is at the moment")
    func newcomers() throws {
        let logrotate = try slowLogrotate(milliseconds: 0)
        let writers = try start()
        var newcomers: [RunningCommand] = []
        var next: UInt64 = 0
        try rotate("", apart: 500, environment: logrotate.environment) {
            guard MonotonicClock.nanoseconds() >= next else { return }
            next = MonotonicClock.nanoseconds() + 50_000_000
            newcomers.append(
                try RunningCommand(
                    Programs.ducc, ["notify", "-n", path, "--action", "tick", "number=\(newcomers.count)"]))
        }
        let runs = try finish(writers)
        for newcomer in newcomers { #expect(try newcomer.wait().code == 0) }
        #expect(newcomers.count > Self.rotations)
        try prove(runs: runs, others: newcomers.count, logrotate: logrotate)
    }
}
