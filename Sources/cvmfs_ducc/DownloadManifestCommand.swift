// download-manifest IMAGE: what a registry says an image is made of.

import ArgumentParser
import Images
import Platform
import Registry

struct DownloadManifestCommand: DUCCCommand {
    static let configuration = CommandConfiguration(
        commandName: "download-manifest", abstract: "Prints an image's manifest, byte for byte.",
        discussion: "Of an image for several platforms it is the manifest of one of them.",
        aliases: ["get-manifest"])

    @OptionGroup var image: ImageArgument

    @Option(
        name: [.customShort("u"), .long],
        help: ArgumentHelp(
            "Ask as this user; the password is that of DUCC_OUTPUT_REGISTRY_PASS, or is asked for.",
            valueName: "user"))
    var username: String?

    @OptionGroup var platform: PlatformOption
    @OptionGroup var global: GlobalOptions

    func execute(_ context: CommandContext) throws -> CInt {
        let reference = try image.reference()
        guard !reference.tagHasWildcard else {
            throw UsageError(description: "\(reference) means several images: name one tag")
        }
        var credential: Credential?
        if let username {
            guard case .registry = reference.source else {
                throw UsageError(
                    description: "--username is for an image of a registry, which \(reference) is not")
            }
            credential = try UserPassword.credential(
                username, from: "--username", for: "at \(reference.registry)")
        }
        let client = try context.registryClient(showing: credential)
        let source = try ImageSources.open(reference, client: client)
        let manifest = try source.resolve(platform.platform).document.bytes
        try Files.writeAll(manifest, to: 1, path: "standard output")
        return DUCCExit.success
    }
}

/// Which image of a multi-platform one is meant.
struct PlatformOption: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Which image of a multi-platform one to take.", valueName: "os/arch[/variant]"),
        transform: { text in
            do { return try ImagePlatform(parsing: text) } catch { throw ValidationError("\(error)") }
        })
    var platform = ImagePlatform.default
}
