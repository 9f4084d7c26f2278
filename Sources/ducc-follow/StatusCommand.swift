// `ducc-follow status`: how far each hook is behind, for people and for monitoring.

import ArgumentParser
import Delivery
import FoundationEssentials
import Glibc
import Platform
import Terminal

/// Says where each hook is.
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Say how far each hook is behind the stream, and how many events it gave up.",
        discussion: """
            With --max-lag and --max-dead it is a check for monitoring: exit code 0 where no hook is beyond them, 1 \
            where one is, 2 where that can't be told.
            """)

    @Option(help: ArgumentHelp("The daemon's configuration.", valueName: "follow.yaml"))
    var config = HookOptions.defaultConfig

    @Option(help: ArgumentHelp("How old the oldest event not done may be: 300, 5m, 1h.", valueName: "time"))
    var maxLag: TimeSpan?

    @Option(help: ArgumentHelp("How many dead letters a hook may have.", valueName: "n"))
    var maxDead: Int?

    @Flag(help: "One JSON object a hook.")
    var json = false

    /// Looks.
    ///
    /// - Returns: `.found` where a threshold is passed.
    func look() throws -> ExitStatusCode {
        let configuration: Configuration
        var statuses: [HookStatus] = []
        do {
            configuration = try Configuration.read(path: config)
            for hook in configuration.hooks {
                statuses.append(
                    try HookStatus.look(at: hook, of: configuration, now: Double(Timestamp.now().seconds)))
            }
        } catch let error as Interrupted { throw error } catch {
            Report.say("\(error)")
            return .stateUnreadable
        }
        try print(statuses)
        let isBeyond = statuses.contains { status in
            maxLag.map { status.seconds > Double($0.seconds) } ?? false
                || maxDead.map { status.dead > $0 } ?? false
        }
        return isBeyond ? .found : .done
    }

    private func print(_ statuses: [HookStatus]) throws {
        let device = TerminalDevice.standardOutput
        guard !json else {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys]
            for status in statuses {
                try device.write(String(decoding: try encoder.encode(status), as: UTF8.self) + "\n")
            }
            return
        }
        for status in statuses {
            let lag =
                status.events == 0
                ? "nothing waits"
                : "\(status.events) event\(status.events == 1 ? "" : "s") wait\(status.events == 1 ? "s" : ""), "
                    + "the oldest for \(HumanText.seconds(status.seconds)), \(HumanText.bytes(status.bytes)) to read"
            let dead = status.dead > 0 ? "; \(status.dead) given up" : ""
            let trouble = status.trouble.map {
                "; \($0.event) was tried \($0.attempts) time\($0.attempts == 1 ? "" : "s"): \($0.outcome)"
            }
            try device.write(
                "\(status.hook): \(lag)\(trouble ?? "")\(dead)\(status.isPaused ? "; paused" : "")\n")
        }
    }
}
