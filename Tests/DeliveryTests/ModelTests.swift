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

    private static var seeds: ClosedRange<UInt64> {
        let wanted = ProcessEnvironment.current["DUCC_TEST_SEED"]?.split(separator: "-").compactMap { UInt64($0) }
        if let first = wanted?.first, let last = wanted?.last { return first...max(first, last) }
        return 1...UInt64(TestScale.count(100, long: 2000))
    }

    @Test("every event is delivered, in order, and once where nothing excuses a repeat", arguments: 0..<parts)
    func sequences(part: Int) throws {
        let program = try Self.program.get()
        for seed in Self.seeds where seed % UInt64(Self.parts) == UInt64(part) {
            var generator = ModelGenerator(seed: seed)
            let scheme = generator.scheme()
            let steps = generator.steps()
            guard let problem = try ModelWorld.run(steps, scheme, program) else { continue }
            let (shrunk, reason) = try ModelShrinking(scheme, program).shrink(steps, problem)
            Issue.record(
                """
                seed \(seed), \(steps.count) steps: \(problem)
                shrunk to \(shrunk.count): \(reason)
                    try expectNothingWrong([\(shrunk.map(\.description).joined(separator: ", "))], .\(scheme))
                """)
            return
        }
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
    private static let seconds: UInt64 = 60

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
