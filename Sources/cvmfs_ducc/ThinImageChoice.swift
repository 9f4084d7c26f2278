// Whether a command makes thin images, and as whom it pushes them.

import Conversion
import Images
import Registry
import Repository
import Wishes

/// Decides about thin images.
struct ThinImageChoice {
    let context: CommandContext
    let conversion: ConversionArguments

    /// Those that a wish list asks for: it names who pushes them, or how they are called.
    ///
    /// - Throws: `MissingPassword`, `UsageError`, `Interrupted`.
    func thinImages(of list: WishList, in repository: any ImageRepository) throws -> ThinImages? {
        guard !conversion.skipsThinImages, list.user != nil || list.outputFormat != .standard,
            isPossible(in: repository)
        else { return nil }
        return try thinImages(named: list.outputFormat, by: list.user, from: "the wish list's user")
    }

    /// The one of an image that a command line names.
    ///
    /// - Throws: `MissingPassword`, `UsageError`, `Interrupted`.
    func thinImages(
        named name: String, by user: String?, in repository: any ImageRepository
    ) throws -> ThinImages? {
        let names: OutputFormat
        do { names = try OutputFormat(name) } catch {
            throw UsageError(description: "--thin-image-name: \(error)")
        }
        guard !conversion.skipsThinImages, isPossible(in: repository) else { return nil }
        return try thinImages(named: names, by: user, from: "--username")
    }

    private func isPossible(in repository: any ImageRepository) -> Bool {
        if repository.clientPath != nil { return true }
        context.log.info(
            "\(repository.name) is a directory, which can't serve cvmfs://: no thin images are made")
        return false
    }

    private func thinImages(
        named names: OutputFormat, by user: String?, from origin: String
    ) throws -> ThinImages {
        let credential = try user.map { user in
            try UserPassword.credential(user, from: origin, for: "for pushing thin images")
        }
        return ThinImages(named: names, by: try context.registryClient(showing: credential))
    }
}
