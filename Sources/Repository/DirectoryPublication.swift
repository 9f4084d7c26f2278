// An image on its way into a directory repository.
//
// Order is everything here:
//  1. layers and flat image are complete in staging, and on disk (`syncfs`), before anything is renamed;
//  2. under the lock: layers, then the flat image, then what engines need (podman's store: whatever a list names is
//     there before it), then the public link, then the manifest and our record of it, each in one step; so what is reachable by a public link, or named by a manifest, is there and whole at any instant, and
//     a run that finds a part of this done does the rest;
//  3. all of it is on disk (`syncfs` again) before the commit returns: only then do events say "published". The record
//     says that they have yet to, so that a process killed in between doesn't leave an image that nobody was told of.

import CLinux
import Glibc
import Images
import Layers
import Platform

/// A publication into a directory repository.
final class DirectoryPublication: Publication {
    private let repository: DirectoryRepository
    private let image: StagedImage
    private var plan: PublicationPlan { image.plan }
    private var staging: Staging { image.staging }

    /// A file system that refused something refuses it a moment later too.
    let triesAgain = false

    private static let stagedFlat = "flat"

    init(_ repository: DirectoryRepository, _ plan: PublicationPlan) throws {
        self.repository = repository
        try StagedImage.checkSpace(plan, in: repository.root, "the repository")
        image = try repository.explaining {
            StagedImage(
                plan, over: repository.content,
                in: try Staging(in: repository.content.path(Staging.directory)), as: .directory)
        }
    }

    func addLayer(_ index: Int, _ blob: VerifiedStream) throws -> LayerFacts {
        try repository.explaining { try image.addLayer(index, blob) }
    }

    func merge(makingFlat: Bool, telling: (String) -> Void) throws -> Int {
        try repository.explaining {
            let tree = try image.mergedTree(of: image.trees())
            return makingFlat ? try build(image.flatTree(of: tree, telling: telling)) : 0
        }
    }

    private func build(_ tree: FlatTree) throws -> Int {
        guard mkdirat(staging.descriptor.raw, Self.stagedFlat, 0o755) == 0 else {
            throw SystemError("create directory", "\(staging.path)/\(Self.stagedFlat)")
        }
        let root = try OwnedDescriptor(
            opening: Self.stagedFlat, O_RDONLY | O_DIRECTORY, at: staging.descriptor.raw)
        let entries = try FlatDirectory.build(tree, at: root.raw)
        image.flatEntries = entries
        return entries
    }

    func commit(waiting: (String) -> Void) throws -> PublicationFacts {
        try repository.explaining { try publish(waiting: waiting) }
    }

    private func publish(waiting: (String) -> Void) throws -> PublicationFacts {
        try sync()
        return try RepositoryLock.hold(
            inside: repository.content.path(Staging.repositoryLock), waiting: waiting
        ) {
            try image.checkReusedLayers()
            try image.checkPublicPath()
            // What is visible without a record is of a run that was killed before it wrote one, and told nobody.
            let record = try repository.record(plan.reference.publicPath)
            let isNoted = record?.configurationDigest == plan.configurationDigest.description
            let isUntold = !isNoted || record?.unannounced?.flat == true
            let layers = plan.contents.layers ? try publishLayers() : []
            try publishFlatImage()
            let linkChanged = try plan.contents.flat && (!image.isLinked() || isUntold)
            let isNew = linkChanged || image.flatEntries != nil
            let unannounced = ImageRecord.Unannounced(
                layers: layers.map(\.hex), flat: isNew && plan.contents.flat,
                podman: plan.entersPodman)
            // All that takes room comes before the link: a disk that is full leaves the image as it was.
            try stageImageMetadata(unannounced)
            for entry in try image.companionEntries() { try publish(entry) }
            if plan.contents.flat, try !image.isLinked() { try publishLink() }
            try publishImageMetadata()
            try sync()
            return PublicationFacts(
                publishedLayers: layers, linkChanged: linkChanged, lost: image.lost.phrases)
        }
    }

    func abandon() {
        // What can't be removed now is removed by whoever stages next.
        try? staging.remove()
    }

    // MARK: - The commit's steps

    private func sync() throws(SystemError) {
        guard syncfs(staging.descriptor.raw) == 0 else { throw SystemError("sync", repository.root) }
    }

    /// - Returns: those that somebody is to be told of: the ones that became visible now, and the ones that did in a run
    ///   that was killed before it could tell.
    private func publishLayers() throws -> [Digest] {
        var published: [Digest] = []
        var seen: Set<Digest> = []
        for (index, layer) in plan.layers.enumerated() {
            let digest = layer.descriptor.digest
            if layer.isNew, try plan.replacesLayers || !repository.content.hasLayer(digest) {
                try place(
                    "\(staging.path)/\(StagedImage.name(ofLayer: index))", RepositoryLayout.layer(digest))
            } else {
                if let origin = try repository.content.origin(of: digest, adding: plan.configurationDigest) {
                    let name = "\(RepositoryLayout.layer(digest))/\(RepositoryLayout.layerOriginName)"
                    try Files.replace(repository.content.path(name), with: origin, sync: false)
                }
                guard plan.isAnnounced, try takeOver(digest) else { continue }
            }
            if seen.insert(digest).inserted { published.append(digest) }
        }
        return published
    }

    /// Looks whether nobody was told of a layer that is there; then it is this run's to tell.
    private func takeOver(_ digest: Digest) throws(SystemError) -> Bool {
        let mark = repository.content.path(RepositoryLayout.untoldMark(digest))
        guard let owner = try? Files.read(mark, limit: 100),
            // A run that is still alive tells of its own.
            !staging.isAnothers(String(decoding: owner, as: UTF8.self))
        else { return false }
        try Files.replace(mark, with: Array(staging.name.utf8), sync: false)
        return true
    }

    /// Puts the flat image into its place, unless another publication did so meanwhile.
    private func publishFlatImage() throws(SystemError) {
        guard image.flatEntries != nil else { return }
        if try repository.content.hasFlatImage(plan.configurationDigest), !plan.replacesFlat { return }
        try place("\(staging.path)/\(Self.stagedFlat)", RepositoryLayout.flatImage(plan.configurationDigest))
    }

    /// Renames something staged to its place. What is there changes places with it in one step, and goes with the
    /// staging directory.
    private func place(_ staged: String, _ relative: String) throws(SystemError) {
        let target = repository.content.path(relative)
        try Files.makeDirectories(Files.parentPath(of: target))
        if Files.exists(target) {
            if ducc_exchange(staged, target) == 0 { return }
            guard errno == EINVAL || errno == ENOSYS else { throw SystemError("replace", target) }
            // A file system that can't exchange (NFS): for an instant the name is missing.
            let old = "\(staging.path)/replaced-\(RandomIdentifier.hex(8))"
            guard rename(target, old) == 0 else { throw SystemError("replace", target) }
            if rename(staged, target) == 0 { return }
            let failure = SystemError("rename \(staged) to", target)
            rename(old, target)
            throw failure
        }
        guard rename(staged, target) == 0 else { throw SystemError("rename \(staged) to", target) }
    }

    private static let stagedRecord = "record"
    private static let stagedManifest = "manifest"

    private func stageImageMetadata(_ unannounced: ImageRecord.Unannounced) throws {
        let record = try image.record(plan.isAnnounced ? unannounced : nil, lost: image.lost.phrases)
        for (name, bytes) in [
            (Self.stagedRecord, try RepositoryJSON.encode(record)), (Self.stagedManifest, plan.manifestBytes),
        ] {
            try Files.replace(name, with: bytes, sync: false, at: staging.descriptor.raw)
        }
        try Files.makeDirectories(imageMetadata)
    }

    private var imageMetadata: String {
        repository.content.path(RepositoryLayout.imageMetadata(plan.reference.publicPath))
    }

    /// Either file without the other counts for nothing: a record is believed only beside the manifest that it names.
    private func publishImageMetadata() throws(SystemError) {
        for (staged, name) in [
            (Self.stagedRecord, RepositoryLayout.recordName),
            (Self.stagedManifest, RepositoryLayout.manifestName),
        ] {
            let path = "\(imageMetadata)/\(name)"
            guard rename("\(staging.path)/\(staged)", path) == 0 else { throw SystemError("create", path) }
        }
    }

    /// Makes the public link lead to this image.
    private func publishLink() throws {
        try publish(CompanionEntry(plan.reference.publicPath, .link(image.linkTarget)))
    }

    private func publish(_ entry: CompanionEntry) throws {
        guard case .layer(let index, _) = entry.kind else {
            return try entry.place(in: repository.root, by: "\(staging.path)/entry")
        }
        let name = "entry-\(index)"
        try Files.removeTree(name, at: staging.descriptor.raw)
        guard mkdirat(staging.descriptor.raw, name, 0o700) == 0 else {
            throw SystemError("create directory", "\(staging.path)/\(name)")
        }
        let root = try OwnedDescriptor(
            opening: name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: staging.descriptor.raw)
        try FlatDirectory.build(index, of: try image.merged(), at: root.raw)
        try place("\(staging.path)/\(name)", entry.path)
    }
}
