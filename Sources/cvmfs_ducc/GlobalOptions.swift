// What every command takes.

import ArgumentParser
import Conversion
import Glibc
import Images
import Logging
import Notifications
import Platform
import Registry
import Repository
import Terminal

extension SyncPolicy: ExpressibleByArgument {}
extension ProgressDisplay.Mode: ExpressibleByArgument {}

/// How much is logged.
enum Verbosity: String, ExpressibleByArgument, CaseIterable {
    case trace, debug, info, warn, error

    var level: Logger.Level {
        switch self {
        case .trace: .trace
        case .debug: .debug
        case .info: .info
        case .warn: .warning
        case .error: .error
        }
    }
}

/// Options of all commands.
struct GlobalOptions: ParsableArguments {
    @Option(
        name: [.customShort("n"), .long],
        help: ArgumentHelp("Append what happens, as JSON lines, to this file.", valueName: "file"))
    var notificationFile: String?

    @Option(
        help: ArgumentHelp(
            "Which events are forced to disk before the work goes on: every, publish or none.",
            valueName: "when"))
    var notificationSync = SyncPolicy.publish

    @Option(
        name: [.customShort("t"), .long],
        help: ArgumentHelp(
            "Where what is too large for memory is kept for a while (DUCC_TMP_DIR; TMPDIR; /tmp).",
            valueName: "directory"))
    var temporaryDir: String?

    @Option(help: ArgumentHelp("How progress is shown: auto, plain or none.", valueName: "how"))
    var progress = ProgressDisplay.Mode.auto

    @Option(
        name: [.customShort("v"), .long],
        help: ArgumentHelp("How much is logged: trace, debug, info, warn or error.", valueName: "level"))
    var verbosity = Verbosity.info
}

/// What a command works with.
struct CommandContext {
    let display: ProgressDisplay
    let log: Logger
    private let global: GlobalOptions

    init(_ global: GlobalOptions) {
        self.global = global
        display = ProgressDisplay(mode: global.progress)
        StandardErrorLogHandler.bootstrap(level: global.verbosity.level, display: display)
        log = Logger(label: "cvmfs_ducc")
    }

    /// The events of this run: they go to the notification file, where one is named.
    ///
    /// - Throws: `NotificationFileError`.
    func events() throws(NotificationFileError) -> ConversionEvents {
        ConversionEvents(try notificationWriter())
    }

    /// The writer of the notification file, where one is named.
    ///
    /// - Throws: `NotificationFileError`.
    func notificationWriter() throws(NotificationFileError) -> NotificationWriter? {
        guard let path = global.notificationFile else { return nil }
        let mode = 0o660 & ~FileCreationMask.original
        return try NotificationWriter(path: path, sync: global.notificationSync, fileMode: mode)
    }

    /// A client for registries.
    ///
    /// - Parameter credential: shown to them, in place of those that are set up.
    /// - Throws: `UsageError` where there is no such temporary directory.
    func registryClient(showing credential: Credential? = nil) throws(UsageError) -> RegistryClient {
        var settings = RegistrySettings()
        settings.credential = credential
        settings.temporaryDirectory = try temporaryDirectory(settings.environment)
        return RegistryClient(agent: "cvmfs_ducc/\(DUCC.version)", settings: settings)
    }

    /// The repository of a name, to be written to.
    ///
    /// - Throws: `RepositoryError` where there is none, also where there is no such temporary directory; `Interrupted`.
    func repository(_ name: String) throws -> any ImageRepository {
        let temporary: String
        do throws(UsageError) { temporary = try temporaryDirectory(ProcessEnvironment.current) } catch {
            throw RepositoryError(.refused, error.description)
        }
        return try Repositories.open(name, temporaryDirectory: temporary)
    }

    private func temporaryDirectory(_ environment: [String: String]) throws(UsageError) -> String {
        let choices = [
            ("--temporary-dir", global.temporaryDir), ("DUCC_TMP_DIR", environment["DUCC_TMP_DIR"]),
        ]
        for case (let name, let path?) in choices where !path.isEmpty {
            guard Files.isDirectory(path) else {
                throw UsageError(
                    description: "\(name) is '\(path)', which is no directory: make it, or name another")
            }
            return path
        }
        // Set for everybody, and often left over: no reason to stop where it is wrong.
        if let path = environment["TMPDIR"], Files.isDirectory(path) { return path }
        return "/tmp"
    }
}
