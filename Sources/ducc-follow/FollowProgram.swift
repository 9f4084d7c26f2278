import ArgumentParser
import Following
import Glibc
import Platform

/// From the command line to the exit code.
enum FollowProgram {
    static func main(_ arguments: [String], watcher: DirectoryWatcher) -> ExitStatusCode {
        let command: FollowCommand
        do {
            command = try FollowCommand.parse(arguments)
        } catch {
            if FollowCommand.exitCode(for: error) == .success {
                print(FollowCommand.fullMessage(for: error))
                return .done
            }
            Report.say(FollowCommand.message(for: error))
            Report.say("ducc-follow --help says what there is")
            return .usage
        }
        do {
            return try FollowSession(command, watcher: watcher).run()
        } catch let error as Interrupted {
            return .interrupted(error)
        } catch let error as CursorError {
            Report.say(error.description)
            return error.isInUse ? .inUse : .configuration
        } catch let error as HookError {
            Report.say(error.description)
            return .configuration
        } catch let error as OutputError {
            Report.say(error.description)
            return .output
        } catch {
            Report.say("\(error)")
            return .noStream
        }
    }
}
