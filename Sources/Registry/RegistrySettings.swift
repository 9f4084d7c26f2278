// What a registry client takes from its surroundings, in one place, so that tests give it others.

import Glibc
import HTTP

/// How registries are asked.
package struct RegistrySettings: Sendable {
    /// The variables that name credentials, mirrors and certificates.
    package var environment: [String: String]
    /// When a failed request is sent again.
    package var retry = RetryPolicy()
    /// When a transfer counts as dead.
    package var speed = SpeedLimit()
    /// Where a directory `HOST[:PORT]` may hold certificates; the first that has one is the one.
    package var certificateDirectories: [String]

    /// Those of this process.
    package init() { self.init(environment: Self.processEnvironment) }

    /// Those of an environment; certificates where podman and docker look for them (containers-certs.d(5)).
    package init(environment: [String: String]) {
        self.environment = environment
        let own = environment["HOME"].map { ["\($0)/.config/containers/certs.d"] } ?? []
        certificateDirectories = own + ["/etc/containers/certs.d", "/etc/docker/certs.d"]
    }

    private static var processEnvironment: [String: String] {
        var variables: [String: String] = [:]
        var pointer = environ
        while let entry = pointer.pointee {
            let text = String(cString: entry)
            if let equals = text.firstIndex(of: "=") {
                variables[String(text[..<equals])] = String(text[text.index(after: equals)...])
            }
            pointer += 1
        }
        return variables
    }
}
