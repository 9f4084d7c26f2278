// `ducc-follow run follow.yaml`: the daemon.

import ArgumentParser
import Delivery
import Following
import FoundationEssentials
import Glibc
import Platform

/// Runs the hooks of a configuration.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Deliver a stream's events to the hooks of a configuration, until SIGTERM.",
        discussion: """
            Each hook has a cursor of its own, kept in the configuration's state directory: it goes on where it was, \
            whatever happened to this process or to the stream's files meanwhile. Decisions are logged to standard \
            error, one line each. SIGHUP lets it read the configuration again: hooks that are the same go on \
            undisturbed; where anything is wrong with it, all of them do. SIGTERM ends it.
            """)

    @Argument(help: ArgumentHelp("The configuration, a YAML file.", valueName: "follow.yaml"))
    var configurationFile: String

    @OptionGroup var logging: LogOptions

    /// Delivers.
    ///
    /// - Returns: `.done` where SIGTERM ended it.
    func deliver(watcher: DirectoryWatcher) throws -> ExitStatusCode {
        HangUp.install()
        DescriptorLimit.raise()
        let configuration = try Configuration.read(path: configurationFile)
        let log = logging.deliveryLog
        let daemon = try Daemon(configuration, watcher: watcher, log: log)
        log(.info, "following \(configuration.stream) with \(configuration.hooks.count) hooks")
        let service = ServiceNotifier()
        try? service?.ready(status: "following \(configuration.stream)")
        var supervision = Daemon.Supervision()
        supervision.interval = service?.watchdogInterval.map { $0 / 2 }
        supervision.keepAlive = { try? service?.keepAlive() }
        supervision.hangUp = {
            try? service?.reloading()
            reload(daemon, log)
            try? service?.ready()
        }
        supervision.stopping = { try? service?.stopping() }
        daemon.run(supervision)
        log(.info, "stopped")
        do throws(Interrupted) { try Interruption.check() } catch {
            // SIGTERM is how a daemon is meant to end.
            return error.signal == SIGTERM ? .done : .interrupted(error)
        }
        return .done
    }

    private func reload(_ daemon: Daemon, _ log: DeliveryLog) {
        log(.info, "reloading \(configurationFile)")
        do throws(ConfigurationError) {
            try daemon.reload(try Configuration.read(path: configurationFile))
        } catch {
            for mistake in error.mistakes { log(.error, mistake) }
            log(.error, "not reloaded: the hooks go on as they were")
        }
    }
}

/// How much is logged, and how.
struct LogOptions: ParsableArguments {
    /// What a log line looks like.
    enum Format: String, ExpressibleByArgument, CaseIterable { case text, json }

    @Option(help: "text or json: one line, or one object, for each decision.")
    var logFormat = Format.text

    @Flag(name: [.customShort("v"), .long], help: "Tell of each delivery too.")
    var verbose = false

    /// A log to standard error.
    var deliveryLog: DeliveryLog {
        switch logFormat {
        case .text: Self.text(isVerbose: verbose)
        case .json: Self.json(isVerbose: verbose)
        }
    }

    /// A line for people.
    static func text(isVerbose: Bool) -> DeliveryLog {
        DeliveryLog { level, message, details in
            if level == .debug, !isVerbose { return }
            let pairs = details.map { " \($0.0)=\($0.1)" }.joined()
            Report.say((level == .info || level == .debug ? "" : "\(level.rawValue): ") + message + pairs)
        }
    }

    /// A JSON object a line.
    private static func json(isVerbose: Bool) -> DeliveryLog {
        DeliveryLog { level, message, details in
            if level == .debug, !isVerbose { return }
            var fields = Dictionary(details) { $1 }
            fields["time"] = Timestamp.now().description
            fields["level"] = level.rawValue
            fields["message"] = message
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            if let data = try? encoder.encode(fields) {
                Report.write(String(decoding: data, as: UTF8.self))
            }
        }
    }
}
