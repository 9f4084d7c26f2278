// list REPOSITORY: what is published, and since when.

import ArgumentParser
import Images
import Platform
import Repository
import Terminal

struct ListCommand: DUCCCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists the images in a repository.",
        discussion: "Only images that are there, whole, are listed.")

    @Argument(
        help: ArgumentHelp(
            "The repository: its name in CernVM-FS, or a directory (/…, ./…).", valueName: "repository"))
    var repository: String

    @Flag(help: "One JSON object an image and line, with all digests.")
    var json = false

    @Option(
        help: ArgumentHelp(
            "Only images published since then: 2026-11-24, or 2026-11-24T08:00:00Z.", valueName: "time"),
        transform: { text in
            guard let time = Timestamp(rfc3339: text) else {
                throw ValidationError("'\(text)' is no time: write 2026-11-24 or 2026-11-24T08:00:00Z.")
            }
            return time
        })
    var since: Timestamp?

    @OptionGroup var global: GlobalOptions

    func execute(_ context: CommandContext) throws -> CInt {
        let opened = try Repositories.open(repository, temporaryDirectory: nil)
        let records = try opened.records().filter { record in
            guard let since else { return true }
            return Timestamp(rfc3339: record.published).map { $0 >= since } ?? false
        }
        if json {
            for record in records { StandardStream.output(try Self.line(record)) }
            return DUCCExit.success
        }
        let width = TerminalDevice.standardOutput.width
        // Too narrow for a table that still says anything: an image is a few lines then.
        if let width, width < Self.narrowest {
            for record in records { StandardStream.output(Self.block(record)) }
            return DUCCExit.success
        }
        var table = TextTable(columns: [
            .init("IMAGE", shrinks: true), "PLATFORM", "CONFIG", "PUBLISHED (UTC)",
            .init("SIZE", alignsRight: true),
            .init("LAYERS", alignsRight: true),
        ])
        for record in records {
            table.add([record.publicPath] + Self.details(record) + ["\(record.layers.count)"])
        }
        StandardStream.output(table.render(width: width))
        return DUCCExit.success
    }

    private static let narrowest = 70

    private static func details(_ record: ImageRecord) -> [String] {
        [
            record.platform ?? "-", String(record.configurationDigest.dropFirst("sha256:".count).prefix(12)),
            String(record.published.prefix(16)).replacing("T", with: " "),
            record.size.map(HumanText.bytes) ?? "-",
        ]
    }

    private static func block(_ record: ImageRecord) -> String {
        let details = details(record)
        return "\(record.publicPath)\n  \(details[0])  \(details[1])\n  \(details[2])  \(details[3])  "
            + ConsoleObserver.layers(record.layers.count, 0)
    }

    private static func line(_ record: ImageRecord) throws -> String {
        String(decoding: try RepositoryJSON.encodeLine(record), as: UTF8.self)
    }
}
