// The command line: which command, and how it ends.

import ArgumentParser
import Glibc
import Logging
import Platform
import Terminal

/// A command that tells how it went by its exit code.
protocol DUCCCommand: ParsableCommand {
    var global: GlobalOptions { get }

    /// Runs the command.
    ///
    /// - Returns: the exit code.
    func execute(_ context: CommandContext) throws -> CInt
}

/// `cvmfs_ducc`, all of it.
struct DUCC: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cvmfs_ducc",
        abstract: "Unpacks container images into a shared file system, and tells the world about it.",
        discussion: """
            Images are named SCHEME://REGISTRY/REPOSITORY:TAG, oci:PATH:TAG for a directory in the OCI layout, or \
            docker-archive:PATH:TAG. A repository is a directory: /…, ./…, ../… or file:….

            Exit codes: 0 all done; 1 something failed; 2 usage; 101 no password; 102 wish list unreadable; \
            103 wish list invalid; 104 no such repository; 105 notification file can't be opened; 130, 143 stopped \
            by a signal.
            """,
        subcommands: [
            ConvertCommand.self, LoopCommand.self, ConvertSingleImageCommand.self, ListCommand.self,
            CreatePodmanStoreCommand.self,
            DownloadManifestCommand.self, CheckImageSyntaxCommand.self, NotifyCommand.self,
            NotificationSchemaCommand.self,
            VersionCommand.self,
        ])

    /// The version, which requests carry too.
    static let version = "0.1.0"

    /// Runs the program.
    ///
    /// - Returns: the exit code.
    static func run(_ arguments: [String]) -> CInt {
        let command: any DUCCCommand
        do {
            var parsed = try parseAsRoot(ArgumentOrder.normalised(arguments))
            guard let known = parsed as? any DUCCCommand else {
                // The parser's own command for help, of whatever it is asked: the help is its error. Without any
                // command that of the whole, as DUCC prints it.
                if !arguments.isEmpty { try parsed.run() }
                StandardStream.output(helpMessage())
                return DUCCExit.usage
            }
            command = known
        } catch {
            let text = fullMessage(for: error)
            guard exitCode(for: error) != .success else {
                StandardStream.output(text)
                return DUCCExit.success
            }
            StandardStream.errors(text)
            return DUCCExit.usage
        }
        let context = CommandContext(command.global)
        do {
            let code = try command.execute(context)
            context.display.finish()
            return code
        } catch {
            context.display.finish()
            context.log.error("\(error)")
            return DUCCExit.code(of: error)
        }
    }
}

/// The process's standard streams, by descriptor: Swift's `stderr` is no thing to share between threads.
enum StandardStream {
    /// Writes a line of results. A reader that left is no error of ours.
    static func output(_ text: String) { write(text, to: 1) }

    /// Writes a line to standard error.
    static func errors(_ text: String) { write(text, to: 2) }

    private static func write(_ text: String, to descriptor: CInt) {
        let line = Array((text.hasSuffix("\n") ? text : text + "\n").utf8)
        try? Files.writeAll(line, to: descriptor, path: "standard output")
    }
}
