// What follow.yaml may look like: for editors, and for people.

import ArgumentParser
import Delivery

/// `ducc-follow configuration-schema`
struct ConfigurationSchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "configuration-schema",
        abstract: "Print the JSON Schema (2020-12) of follow.yaml, for editors that complete and check.")
}

/// `ducc-follow configuration-reference`
struct ConfigurationReferenceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "configuration-reference",
        abstract: "Print a follow.yaml with every key, what it means and what it is by default.")
}
