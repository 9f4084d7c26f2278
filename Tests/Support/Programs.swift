// Where the built programs are. `make test` builds them before it runs the tests.

import Platform

/// The project's own programs, as `make release` built them.
package enum Programs {
    /// The checkout's top.
    package static let root: String = {
        var path = #filePath
        for _ in 0..<3 { path = Files.parentPath(of: path) }
        return path
    }()

    package static let ducc = "\(root)/.build/release/cvmfs_ducc"
    package static let follow = "\(root)/.build/release/ducc-follow"
}

/// How many rounds a random test makes: `make test-long` makes many.
package enum TestScale {
    package static let isLong = ProcessEnvironment.current["DUCC_TEST_SCALE"] == "long"

    /// One of two numbers.
    package static func count(_ short: Int, long: Int) -> Int { isLong ? long : short }
}
