// create-podman-store IMAGE REPOSITORY DIR: a store on this machine, over the repository's flat image.

import ArgumentParser
import Engines
import Images
import Platform
import Registry
import Repository

struct CreatePodmanStoreCommand: DUCCCommand {
    static let configuration = CommandConfiguration(
        commandName: "create-podman-store",
        abstract: "Makes a podman image store on this machine, over an image's flat image in a repository.",
        usage: "cvmfs_ducc create-podman-store <image> <repository> <directory> [<options>]",
        discussion: """
            The store has one layer for the image, which leads to its flat image: nothing is put over each other when a \
            container starts. It may hold any number of images, and is a few kilobytes long. podman finds it as one of \
            its additionalimagestores (containers-storage.conf(5)).
            """)

    @OptionGroup var image: ImageArgument

    @Argument(
        help: ArgumentHelp(
            "The repository, as this machine has it mounted: its name in CernVM-FS, or a directory (/…, ./…).",
            valueName: "repository"))
    var repository: String

    @Argument(help: ArgumentHelp("The store's directory.", valueName: "directory"))
    var directory: String

    @OptionGroup var global: GlobalOptions

    func execute(_ context: CommandContext) throws -> CInt {
        let reference = try image.reference()
        guard !reference.tagHasWildcard else {
            throw UsageError(description: "\(reference) means several images: name one tag")
        }
        guard !directory.isEmpty, !repository.isEmpty else {
            throw UsageError(
                description: "create-podman-store takes IMAGE REPOSITORY DIRECTORY: one of them is empty")
        }
        FileCreationMask.clear()
        let content = try Repositories.mounted(repository)
        let path = "\(RepositoryLayout.imageMetadata(reference.publicPath))/\(RepositoryLayout.manifestName)"
        guard let record = try content.record(reference.publicPath),
            let digest = try? Digest(record.configurationDigest), try content.hasFlatImage(digest)
        else {
            throw RepositoryError(
                .refused,
                "\(content.root) has no flat image of \(reference): convert it first, without --skip-flat (`cvmfs_ducc list \(repository)` says what is there)"
            )
        }
        let manifest = try Files.read(content.path(path), limit: ManifestDocument.largestSize)
        let store = Files.absolutePath(directory)
        try LocalPodmanStore(store).add(
            reference, record, manifest: manifest,
            configuration: try configuration(digest, manifest, reference, content, context),
            flat: content.path(RepositoryLayout.flatImage(digest)))
        StandardStream.output(
            """
            \(store) has \(PodmanStore.names(of: reference)[0]). For podman, in /etc/containers/storage.conf:

                [storage.options]
                additionalimagestores = ["\(store.replacing("\\", with: "\\\\").replacing("\"", with: "\\\""))"]
            """)
        return DUCCExit.success
    }

    /// The image's configuration: from the repository's own store where it is there, else from the image's source.
    private func configuration(
        _ digest: Digest, _ manifest: [UInt8], _ reference: ImageReference, _ content: RepositoryContent,
        _ context: CommandContext
    ) throws -> [UInt8] {
        if let known = PodmanStore.configuration(digest, in: content) { return known }
        guard case .manifest(let document) = try ManifestDocument.decode(manifest, mediaType: nil) else {
            throw RepositoryError(.refused, "\(content.root) has no manifest of \(reference)")
        }
        let source = try ImageSources.open(reference, client: try context.registryClient())
        return try source.configuration(document).bytes
    }
}
