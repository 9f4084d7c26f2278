// The password of the user whom a command line or a wish list names.

/// The variables that DUCC knows for it.
package enum OutputPassword {
    /// The first that is set is used: today's name, and two older ones.
    package static let variables = [
        "DUCC_OUTPUT_REGISTRY_PASS", "DUCC_DOCKER_REGISTRY_PASS", "DOCKER2CVMFS_DOCKER_REGISTRY_PASS",
    ]

    /// The password, or nil where no variable has one.
    package static func find(_ environment: [String: String]) -> String? {
        variables.lazy.compactMap { environment[$0] }.first { !$0.isEmpty }
    }
}
