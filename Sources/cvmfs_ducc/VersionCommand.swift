// version.

import ArgumentParser

struct VersionCommand: DUCCCommand {
    static let configuration = CommandConfiguration(
        commandName: "version", abstract: "Shows the version.", aliases: ["v"])

    @OptionGroup var global: GlobalOptions

    func execute(_ context: CommandContext) throws -> CInt {
        StandardStream.output("cvmfs_ducc \(DUCC.version)")
        return DUCCExit.success
    }
}
