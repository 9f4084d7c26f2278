// A stream under load: writers in processes of their own, and the real logrotate at random moments, at the pace that is
// documented for it.

import Glibc
import Notifications
import Platform
import Support
import Testing

/// Writers and rotations, and what was written in the end.
final class LoadedStream {
    let follow: Follow
    /// Where rotated files go; nil: beside the stream.
    private let oldDirectory: String?
    /// Milliseconds from one rotation to the next.
    private let pace: ClosedRange<UInt64>
    private let rotation: Rotation
    private let environment: [String: String]
    private var writers: [(writer: RunningCommand, count: Int)] = []
    private var rotating: RunningCommand?
    private var nextRotation: UInt64 = 0
    private(set) var rotations = 0
    /// How many events the writers have written that are finished, by their runs.
    private(set) var written: [String: Int] = [:]

    /// - Parameters:
    ///   - rule: logrotate's, besides `rotate` and `create`.
    ///   - oldDirectory: where it puts rotated files.
    ///   - pace: milliseconds from one rotation to the next.
    ///   - milliseconds: how long logrotate has no file at the path.
    init(
        _ follow: Follow, rule: String = "", oldDirectory: String? = nil,
        pace: ClosedRange<UInt64> = 500...500, gap milliseconds: Int
    ) throws {
        self.follow = follow
        self.oldDirectory = oldDirectory
        self.pace = pace
        rotation = try Rotation(
            follow.path, in: follow.directory, rule: "rotate 500\ncreate 0640\n\(rule)")
        environment = try Interposed(
            """
            int rename(const char *from, const char *to) {
                int (*next)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
                int result = next(from, to);
                if (strcmp(from, getenv("STREAM")) == 0) usleep(\(milliseconds * 1000));
                return result;
            }
            """, stream: follow.path, in: follow.directory
        ).environment
    }

    /// All events of the writers that are finished.
    var count: Int { written.values.reduce(0, +) }

    /// How many writers are at work, or have not been taken note of.
    var writing: Int { writers.count }

    /// They themselves.
    var events: [NotedEvent] {
        written.flatMap { run, count in (1...count).compactMap { NotedEvent("\(run):\($0)") } }
    }

    /// Starts writers.
    ///
    /// - Parameters:
    ///   - count: how many events each of them writes.
    ///   - rate: and how many a second.
    func write(_ number: Int, count: Int, rate: Int) throws {
        for _ in 0..<number {
            let writer = try RunningCommand(
                Programs.emitter, [follow.path, "--count", "\(count)", "--rate", "\(rate)"])
            writers.append((writer, count))
        }
    }

    /// Takes note of the writers that have finished.
    ///
    /// - Parameter all: waits for all of them.
    func gather(all: Bool = false) throws {
        let finished = writers.filter { all || $0.writer.hasEnded }
        writers.removeAll { one in finished.contains { $0.writer === one.writer } }
        for (writer, count) in finished {
            let result = try writer.wait()
            let lines = result.output.split(separator: "\n")
            #expect(result.code == 0 && result.errors == "", "\(result.status): \(result.errors)")
            let run = try #require(lines.first { $0.hasPrefix("run ") })
            written[String(run.dropFirst(4))] = count
        }
    }

    /// Begins a rotation if it is time for one.
    ///
    /// - Returns: whether it was.
    @discardableResult
    func rotateWhereDue() throws -> Bool {
        if let rotating {
            guard rotating.hasEnded else { return false }
            let result = try rotating.wait()
            #expect(result.code == 0, "logrotate: \(result.errors)")
            self.rotating = nil
            nextRotation = MonotonicClock.nanoseconds() + .random(in: pace) * 1_000_000
        }
        guard MonotonicClock.nanoseconds() >= nextRotation, Files.exists(follow.path)
        else { return false }
        rotating = try rotation.start(environment: environment)
        rotations += 1
        return true
    }

    /// Ends the load, and has the stream read by a program that shares nothing with ours, and verified.
    func finish() throws {
        try gather(all: true)
        if let rotating { #expect(try rotating.wait().code == 0) }
        rotating = nil
        let directories = [follow.directory.path] + [oldDirectory].compactMap { $0 }
        let files = try directories.flatMap { directory in
            try DirectoryEntry.names(in: directory).filter { $0.hasPrefix("notifications.log") }.map {
                "\(directory)/\($0)"
            }
        }
        let proof = try StreamProof(files)
        #expect(proof.problems == [])
        #expect(proof.runs == written)
        let olddir = oldDirectory.map { ["--olddir", $0] } ?? []
        let verified = try run(Programs.follow, ["verify", follow.path] + olddir)
        #expect(verified.code == 0, "\(verified.output)")
    }
}
