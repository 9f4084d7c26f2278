// check-image-syntax IMAGE: what a reference means, without asking any registry.

import ArgumentParser
import Images
import Terminal

struct CheckImageSyntaxCommand: DUCCCommand {
    static let configuration = CommandConfiguration(
        commandName: "check-image-syntax", abstract: "Checks an image's name and shows its parts.",
        aliases: ["check-image", "image-check"])

    @Argument(help: ArgumentHelp("The image's name.", valueName: "image"))
    var image: String

    @Flag(name: [.customShort("z"), .long], help: "Comma-separated values with a header.")
    var machineFriendly = false

    @OptionGroup var global: GlobalOptions

    func execute(_ context: CommandContext) throws -> CInt {
        let reference: ImageReference
        do {
            reference = try ImageReference(parsing: image)
        } catch {
            context.log.error("\(error)")
            return DUCCExit.failure
        }
        let scheme: String =
            switch reference.source {
            case .registry(let scheme, _): scheme.rawValue
            case .ociLayout: "oci"
            case .dockerArchive: "docker-archive"
            }
        // DUCC's columns: a name carries neither a user nor whether an image is thin.
        let parts = [
            ("name", reference.normalised), ("user", ""), ("scheme", scheme),
            ("registry", reference.registry),
            ("repository", reference.repository), ("tag", reference.resolved.tag ?? ""),
            ("digest", reference.digest?.description ?? ""), ("is_thin", "false"),
        ]
        if machineFriendly {
            StandardStream.output(parts.map(\.0).joined(separator: ","))
            StandardStream.output(parts.map { Self.field($0.1) }.joined(separator: ","))
            return DUCCExit.success
        }
        var table = TextTable(columns: ["PART", "VALUE"])
        for (name, value) in parts where !value.isEmpty { table.add([name, value]) }
        table.add(["public path", reference.publicPath])
        StandardStream.output(table.render(width: nil))
        return DUCCExit.success
    }

    /// A value as RFC 4180 writes it.
    private static func field(_ value: String) -> String {
        guard value.contains(where: { ",\"\n\r".contains($0) }) else { return value }
        return "\"" + value.replacing("\"", with: "\"\"") + "\""
    }
}
