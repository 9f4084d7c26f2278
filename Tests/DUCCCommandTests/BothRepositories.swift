// What holds for a directory and for a repository of CernVM-FS alike is tested on both.

import Support
import Testing

/// Runs a test on a directory repository, and then on one of CernVM-FS where this machine can have one.
struct BothRepositories: TestTrait, SuiteTrait, TestScoping {
    /// Whether a conversion without a repository of its own goes to a CernVM-FS server.
    @TaskLocal static var isServer = false

    var isRecursive: Bool { true }

    func scopeProvider(for test: Test, testCase: Test.Case?) -> Self? { testCase == nil ? nil : self }

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        try await function()
        guard CernVMServer.isPossible else { return }
        try await Self.$isServer.withValue(true) { try await function() }
    }
}

extension Trait where Self == BothRepositories {
    /// On a directory, and on a CernVM-FS server.
    static var onBothRepositories: Self { BothRepositories() }
}
