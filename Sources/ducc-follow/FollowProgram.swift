import ArgumentParser
import Delivery
import Following
import Glibc
import Platform

/// `ducc-follow`, all of it.
struct FollowRoot: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ducc-follow",
        abstract: "Follow a notification stream, run a program for each of its events, or verify it.",
        discussion: """
            ducc-follow notifications.log
            ducc-follow notifications.log --action publish_flat_image --exec ./hook {repository} {public_path}
            ducc-follow verify notifications.log

            The first two are short for ducc-follow follow …; ducc-follow help follow tells its options. A stream that \
            has a command's name is followed as ./NAME.
            """,
        subcommands: [
            FollowCommand.self, RunCommand.self, CheckCommand.self, StatusCommand.self, PauseCommand.self,
            ResumeCommand.self, CursorCommand.self,
            DeadCommand.self, VerifyCommand.self, ConfigurationSchemaCommand.self,
            ConfigurationReferenceCommand.self,
        ], defaultSubcommand: FollowCommand.self)
}

/// From the command line to the exit code.
enum FollowProgram {
    /// The command that tells how the one is used that was used wrongly: argument-parser ends its message with it, as
    /// `See 'ducc-follow run --help' for more information.`
    private static func help(for error: any Error) -> String {
        let last = FollowRoot.fullMessage(for: error).split(separator: "\n").last ?? ""
        let pieces = last.split(separator: "'")
        return pieces.first { $0.hasPrefix("ducc-follow ") }.map(String.init) ?? "ducc-follow help"
    }

    static func main(_ arguments: [String], watcher: DirectoryWatcher) -> ExitStatusCode {
        let command: any ParsableCommand
        do {
            command = try FollowRoot.parseAsRoot(arguments)
        } catch {
            if FollowRoot.exitCode(for: error) == .success {
                print(FollowRoot.fullMessage(for: error))
                return .done
            }
            Report.say(FollowRoot.message(for: error))
            Report.say("\(help(for: error)) says what there is")
            return .usage
        }
        do {
            switch command {
            case let command as FollowCommand: return try FollowSession(command, watcher: watcher).run()
            case let command as RunCommand: return try command.deliver(watcher: watcher)
            case let command as CheckCommand: return try command.check()
            case let command as CursorCommand.List: try command.apply()
            case let command as CursorCommand.Set: try command.apply()
            case let command as CursorCommand.Reset: try command.apply()
            case let command as DeadCommand.List: try command.apply()
            case let command as DeadCommand.Show: try command.apply()
            case let command as DeadCommand.Replay: try command.apply()
            case let command as DeadCommand.Drop: try command.apply()
            case is ConfigurationSchemaCommand: print(ConfigurationSchema.text, terminator: "")
            case is ConfigurationReferenceCommand: print(ConfigurationReference.text, terminator: "")
            case let command as StatusCommand: return try command.look()
            case let command as PauseCommand: try command.apply()
            case let command as ResumeCommand: try command.apply()
            case let command as VerifyCommand: return try command.verify()
            default:
                // `ducc-follow help …`, which tells by throwing.
                var help = command
                do { try help.run() } catch { print(FollowRoot.fullMessage(for: error)) }
                return .done
            }
            return .done
        } catch let error as Interrupted {
            return .interrupted(error)
        } catch let error as CursorError {
            Report.say(error.description)
            return error.isInUse ? .unavailable : .configuration
        } catch let error as StateError {
            Report.say(error.description)
            return error.isInUse ? .unavailable : .configuration
        } catch let error as ConfigurationError {
            for mistake in error.mistakes { Report.say(mistake) }
            return .configuration
        } catch let error as HookError {
            Report.say(error.description)
            return .configuration
        } catch let error as RequestError {
            Report.say(error.description)
            switch error.kind {
            case .mistaken: return .usage
            case .missing: return .noStream
            case .unavailable: return .unavailable
            }
        } catch let error as OutputError {
            Report.say(error.description)
            return .output
        } catch {
            Report.say("\(error)")
            return .noStream
        }
    }
}
