// The random model test: whatever happens to a stream, its hooks and the daemon, every event is delivered, in order, and
// once where nothing excuses a repeat. What is excused is in ModelReference.swift, what can happen in ModelSteps.swift.
//
// A failure prints the sequence, shrunk, as it can be put into a test: `try expectNothingWrong([…], .numbered)`.
// `DUCC_TEST_SEED=17` runs one sequence alone, `DUCC_TEST_SEED=17-400` some.

import Platform
import Support
import Testing

@Suite("Random sequences of what can happen to a stream, its hooks and the daemon")
struct ModelTests {
    private static let program = Result { try ModelProgram() }
    private static let parts = 4
    private static let mostFailures = 3

    private static var seeds: ClosedRange<UInt64> {
        let wanted = ProcessEnvironment.current["DUCC_TEST_SEED"]?.split(separator: "-").compactMap {
            UInt64($0)
        }
        if let first = wanted?.first, let last = wanted?.last { return first...max(first, last) }
        return 1...UInt64(TestScale.count(100, long: 2000))
    }

    @Test("every event is delivered, in order, and once where nothing excuses a repeat", arguments: 0..<parts)
    func sequences(part: Int) throws {
        let program = try Self.program.get()
        var failures = 0
        for seed in Self.seeds where seed % UInt64(Self.parts) == UInt64(part) && failures < Self.mostFailures
        {
            var generator = ModelGenerator(seed: seed)
            let scheme = generator.scheme()
            let steps = generator.steps()
            guard let problem = try ModelWorld.run(steps, scheme, program, told: 60) else { continue }
            failures += 1
            let (shrunk, reason) = try ModelShrinking(scheme, program).shrink(steps, problem)
            Issue.record(
                """
                seed \(seed), \(steps.count) steps: \(problem)
                shrunk to \(shrunk.count): \(reason)
                    try expectNothingWrong([\(shrunk.map(\.description).joined(separator: ", "))], .\(scheme))
                """)
        }
    }

    /// Sequences that went wrong once, as they were shrunk.
    private static let mended: [(ModelDisk.Scheme, [ModelStep])] = [
        // What was not read before a copy was made, was copied before anything was read, or copied and renamed.
        (.elsewhere, [.writePart(2, missing: 112, key: 2), .save, .copyTruncate(between: 0)]),
        (.numbered, [.write(1, count: 1, key: 0), .kill, .start, .copyTruncate(between: 2)]),
        (
            .dated,
            [
                .write(1, count: 3, key: 0), .copyTruncate(between: 0), .settle, .write(0, count: 2, key: 0),
                .copyTruncate(between: 1),
            ]
        ),
        (
            .elsewhere,
            [
                .write(0, count: 2, key: 1), .settle, .write(1, count: 2, key: 0), .copyTruncate(between: 0),
                .rotate(create: true), .write(1, count: 2, key: 1),
            ]
        ),
        // What was done beyond the cursor, in a file that has another inode since.
        (
            .elsewhere,
            [
                .write(0, count: 3, key: 0), .turn, .write(1, count: 2, key: 2), .turn, .stop, .start,
                .copyTruncate(between: 0),
            ]
        ),
        // What was done beyond the cursor, two restarts ago.
        (
            .dated,
            [
                .write(1, count: 2, key: 1), .write(2, count: 1, key: 0), .turn, .stop, .pause(1), .start,
                .settle, .reload(1, leaves: true),
            ]
        ),
        // A hook that is left behind while a file is removed that has something for it.
        (
            .dated,
            [
                .write(1, count: 1, key: 2), .save, .write(2, count: 2, key: 1), .write(1, count: 3, key: 0),
                .write(2, count: 2, key: 2), .deleteLive,
            ]
        ),
        // A file that got its first line after it was renamed, compressed before that was seen.
        (
            .elsewhere,
            [
                .writePart(2, missing: 226, key: 0), .reload(3, leaves: false), .rotate(create: true),
                .write(2, count: 3, key: 2), .compress(6, tool: 21, halfway: false),
            ]
        ),
        // What is said to be missing lies in a file that is done with.
        (
            .elsewhere,
            [
                .write(2, count: 2, key: 1), .write(0, count: 1, key: 0), .rotate(create: true),
                .write(2, count: 1, key: 2), .copyTruncate(between: 0), .write(1, count: 3, key: 2), .settle,
                .write(2, count: 1, key: 1), .stop,
            ]
        ),
        // What is said to be missing lies in a compressed file that was done with.
        (
            .numbered,
            [
                .write(0, count: 3, key: 2), .rotate(create: true), .writePart(0, missing: 210, key: 0),
                .replace(1), .copyTruncate(between: 0), .write(0, count: 1, key: 1), .pause(2), .save,
                .copyTruncate(between: 2), .compress(2, tool: 21, halfway: false), .kill,
                .write(0, count: 2, key: 0),
            ]
        ),
        (
            .elsewhere,
            [
                .write(1, count: 3, key: 0), .write(2, count: 3, key: 2), .rotate(create: false),
                .write(0, count: 3, key: 0), .rotate(create: true), .write(2, count: 2, key: 2), .stop,
                .replace(1), .pause(2), .start, .settle, .reload(2, leaves: true),
                .write(2, count: 2, key: 2), .compress(7, tool: 3, halfway: false),
            ]
        ),
        // What was read of a compressed file says what is missing behind it.
        (
            .dated,
            [
                .writePart(0, missing: 93, key: 1), .copyTruncate(between: 0), .rotate(create: false),
                .write(1, count: 2, key: 2), .turn, .replace(3), .stop, .write(1, count: 2, key: 0),
                .copyTruncate(between: 2), .compress(4, tool: 27, halfway: false),
                .write(0, count: 2, key: 1),
            ]
        ),
        // Copied and truncated twice, then deleted, all between two looks.
        (
            .numbered,
            [
                .writeLate(2, key: 0), .turn, .write(1, count: 1, key: 1), .copyTruncate(between: 1),
                .writeLate(1, key: 0), .copyTruncate(between: 0), .deleteLive, .writeLate(1, key: 2),
            ]
        ),
        // A hook that gets events again alone, and then reads with the others.
        (
            .elsewhere,
            [
                .write(0, count: 2, key: 1), .copyTruncate(between: 1), .write(1, count: 3, key: 1), .settle,
                .kill, .start, .settle, .write(0, count: 1, key: 2),
            ]
        ),
        (
            .numbered,
            [
                .losePower(bytes: 220, grown: 3), .settle, .copyTruncate(between: 2), .writeLate(0, key: 1),
                .deleteLive, .write(1, count: 3, key: 1), .write(0, count: 3, key: 0),
            ]
        ),
        // Copied and truncated twice, with looks at the copies before.
        (
            .elsewhere,
            [
                .write(1, count: 2, key: 1), .copyTruncate(between: 0, looks: 3),
                .copyTruncate(between: 1, looks: 3), .settle, .kill,
            ]
        ),
        (
            .numbered,
            [
                .writeLate(0, key: 2), .turn, .copyTruncate(between: 1, looks: 3),
                .copyTruncate(between: 1, looks: 3),
            ]
        ),
        (
            .elsewhere,
            [
                .losePower(bytes: 582, grown: 3), .copyTruncate(between: 2, looks: 3),
                .write(0, count: 2, key: 2),
            ]
        ),
        (
            .numbered,
            [
                .write(0, count: 3, key: 2), .settle, .copyTruncate(between: 0, looks: 0),
                .copyTruncate(between: 2, looks: 3),
            ]
        ),
        // Truncated without a copy just before the end.
        (
            .numbered,
            [
                .writeLate(0, key: 2), .copyTruncate(between: 1, looks: 3),
                .copyTruncate(between: 1, looks: 3), .stop,
            ]
        ),
        // A file that is empty again, and a copy of what it had.
        (
            .numbered,
            [
                .write(2, count: 1, key: 0), .copyTruncate(between: 2, looks: 2), .turn,
                .write(0, count: 2, key: 1), .copyTruncate(between: 1, looks: 2),
                .copyTruncate(between: 2, looks: 2), .reload(0, leaves: false), .kill,
            ]
        ),
        // A file that is empty again, and a copy of what it had.
        (
            .numbered,
            [
                .write(2, count: 1, key: 0), .copyTruncate(between: 2, looks: 2), .turn,
                .write(0, count: 2, key: 1), .copyTruncate(between: 1, looks: 2),
                .write(0, count: 3, key: 0), .copyTruncate(between: 2, looks: 2),
                .reload(0, leaves: false), .kill,
            ]
        ),
        // Read before it was truncated, and told behind an event of another key.
        (
            .elsewhere,
            [
                .write(1, count: 1, key: 0), .settle, .losePower(bytes: 130, grown: 2),
                .copyTruncate(between: 2, looks: 2), .write(0, count: 1, key: 2), .pause(3), .create,
            ]
        ),
    ]

    @Test("what went wrong once goes well", arguments: 0..<mended.count)
    func regressions(number: Int) throws {
        let (scheme, steps) = Self.mended[number]
        try expectNothingWrong(steps, scheme)
    }

    private func expectNothingWrong(_ steps: [ModelStep], _ scheme: ModelDisk.Scheme) throws {
        let problem = try ModelWorld.run(steps, scheme, try Self.program.get())
        #expect(problem == nil)
    }
}

/// Leaves out of a sequence whatever it fails without.
struct ModelShrinking {
    private let scheme: ModelDisk.Scheme
    private let program: ModelProgram
    private static let seconds: UInt64 = 40

    init(_ scheme: ModelDisk.Scheme, _ program: ModelProgram) {
        self.scheme = scheme
        self.program = program
    }

    /// - Returns: what is left, and what goes wrong then.
    func shrink(_ steps: [ModelStep], _ problem: String) throws -> ([ModelStep], String) {
        let limit = MonotonicClock.nanoseconds() + Self.seconds * 1_000_000_000
        var (steps, problem) = (steps, problem)
        var length = max(1, steps.count / 2)
        while true {
            var isSmaller = false
            var begin = 0
            while begin < steps.count, MonotonicClock.nanoseconds() < limit {
                var fewer = steps
                fewer.removeSubrange(begin..<min(begin + length, steps.count))
                if let found = try fails(fewer) {
                    (steps, problem) = (fewer, found)
                    isSmaller = true
                } else {
                    begin += length
                }
            }
            if MonotonicClock.nanoseconds() >= limit || length == 1 && !isSmaller { return (steps, problem) }
            if !isSmaller || length > steps.count { length = max(1, length / 2) }
        }
    }

    /// Processes take their time: what fails now and then is tried twice.
    private func fails(_ steps: [ModelStep]) throws -> String? {
        for _ in 0..<2 { if let problem = try ModelWorld.run(steps, scheme, program) { return problem } }
        return nil
    }
}
