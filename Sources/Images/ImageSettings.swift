/// How an image is run (image-spec, config.md, `config`).
package struct ImageSettings: Hashable, Sendable {
    /// `NAME=VALUE` each.
    package let environment: [String]
    /// What is run, with its first arguments; empty for none.
    package let entrypoint: [String]
    /// The arguments that count where nobody gives any; without an entrypoint, what is run.
    package let command: [String]

    /// Settings of their parts.
    package init(environment: [String] = [], entrypoint: [String] = [], command: [String] = []) {
        self.environment = environment
        self.entrypoint = entrypoint
        self.command = command
    }
}
