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

    /// Where they are; `DUCC_TEST_PROGRAMS` names another place while one works on them.
    package static let directory =
        ProcessEnvironment.current["DUCC_TEST_PROGRAMS"] ?? "\(root)/.build/release"

    package static let ducc = "\(directory)/cvmfs_ducc"
    package static let follow = "\(directory)/ducc-follow"
    /// A writer in a process of its own.
    package static let emitter = "\(directory)/test-emitter"
}

/// How many rounds a random test makes: `make test-long` makes many.
package enum TestScale {
    package static let isLong = ProcessEnvironment.current["DUCC_TEST_SCALE"] == "long"

    /// One of two numbers.
    package static func count(_ short: Int, long: Int) -> Int { isLong ? long : short }
}
