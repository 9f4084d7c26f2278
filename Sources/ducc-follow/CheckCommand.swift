// `ducc-follow check follow.yaml`: would the daemon take it?

import ArgumentParser
import Delivery
import Platform

/// Looks at a configuration without doing anything.
struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Say what is wrong with a configuration: file, line and column of each mistake.",
        discussion: "Exit code 0: nothing is wrong. 78: something is.")

    @Argument(help: ArgumentHelp("The configuration, a YAML file.", valueName: "follow.yaml"))
    var configurationFile: String

    /// Checks.
    ///
    /// - Returns: `.configuration` where something is wrong.
    func check() throws -> ExitStatusCode {
        let configuration = try Configuration.read(path: configurationFile)
        var result = ExitStatusCode.done
        for hook in configuration.hooks {
            do throws(HookError) { _ = try HookCommand(hook) } catch {
                Report.say("\(configurationFile): hook \(hook.name): \(error)")
                result = .configuration
            }
        }
        if case .done = result {
            let count = configuration.hooks.count
            print("\(configurationFile): nothing is wrong; \(count) hook\(count == 1 ? "" : "s")")
        }
        return result
    }
}
