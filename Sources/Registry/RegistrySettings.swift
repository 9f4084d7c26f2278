// What a registry client takes from its surroundings, in one place, so that tests give it others.

import HTTP
import Platform

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

    /// Shown to whatever registry is asked, in place of all others.
    package var credential: Credential?
    /// How much of a blob is pushed in one request, in bytes.
    package var chunkSize = 8 << 20
    /// Where what is too large for memory is kept for a while.
    package var temporaryDirectory = "/tmp"

    /// Those of this process.
    package init() { self.init(environment: ProcessEnvironment.current) }

    /// Those of an environment; certificates where podman and docker look for them (containers-certs.d(5)).
    package init(environment: [String: String]) {
        self.environment = environment
        let own = environment["HOME"].map { ["\($0)/.config/containers/certs.d"] } ?? []
        certificateDirectories = own + ["/etc/containers/certs.d", "/etc/docker/certs.d"]
    }
}
