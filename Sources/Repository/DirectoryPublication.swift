// An image on its way into a directory repository.
//
// Order is everything here:
//  1. layers and flat image are complete in staging, and on disk (`syncfs`), before anything is renamed;
//  2. under the lock: layers, then the flat image, then the public link, then the manifest and our record of it, each
//     in one step; so what is reachable by a public link, or named by a manifest, is there and whole at any instant, and
//     a run that finds a part of this done does the rest;
//  3. all of it is on disk (`syncfs` again) before the commit returns: only then do events say "published". The record
//     says that they have yet to, so that a process killed in between doesn't leave an image that nobody was told of.

import CLinux
import Glibc
import Images
import Layers
import Platform
import Synchronization

/// A publication into a directory repository.
final class DirectoryPublication: Publication {
    private let repository: DirectoryRepository
    private let plan: PublicationPlan
    private let staging: Staging
    /// What each new layer came to, by its place in the plan.
    private let unpacked = Mutex<[Int: UnpackedLayer]>([:])
    private let flatEntries = Mutex<Int?>(nil)

    private static let stagedFlat = "flat"

    init(_ repository: DirectoryRepository, _ plan: PublicationPlan) throws {
        self.repository = repository
        self.plan = plan
        try Self.checkSpace(plan, repository.root)
        staging = try repository.explaining { try Staging(repository: repository.root) }
    }

    func addLayer(_ index: Int, _ blob: VerifiedStream) throws -> LayerFacts {
        try repository.explaining { try unpack(index, blob) }
    }

    private func unpack(_ index: Int, _ blob: VerifiedStream) throws -> LayerFacts {
        let layer = plan.layers[index]
        let directory = Self.stagedLayer(index)
        let tree = "\(directory)/\(RepositoryLayout.layerTreeName)"
        // What an attempt left that failed.
        try Files.removeTree(directory, at: staging.descriptor.raw)
        try Files.makeDirectories(tree, at: staging.descriptor.raw)
        let root = try OwnedDescriptor(opening: tree, O_RDONLY | O_DIRECTORY, at: staging.descriptor.raw)
        let result = try LayerUnpacker.unpack(
            blob, into: root.raw, diffIdentifier: layer.diffIdentifier,
            created: timespec(tv_sec: layer.created.seconds, tv_nsec: layer.created.nanoseconds))
        try writeMetadata(of: layer, result, in: directory)
        unpacked.withLock { $0[index] = result }
        return LayerFacts(size: result.size, entries: result.entries)
    }

    func mergedTree() throws -> FlatTree {
        try repository.explaining {
            let tree = try FlatTree(plan.layers.indices.map(tree(of:)))
            try tree.checkLinks()
            return tree
        }
    }

    private func tree(of index: Int) throws -> LayerTree {
        let digest = plan.layers[index].descriptor.digest
        // A layer that the image lists twice was unpacked once.
        if let first = plan.layers.firstIndex(where: { $0.isNew && $0.descriptor.digest == digest }),
            let result = unpacked.withLock({ $0[first] })
        {
            let path = "\(staging.path)/\(Self.stagedLayer(first))/\(RepositoryLayout.layerTreeName)"
            return try LayerTree(reading: try open(path), context: result.context)
        }
        let context = try? Files.read(
            repository.path("\(RepositoryLayout.layer(digest))/\(RepositoryLayout.layerContextName)"),
            limit: 1 << 30)
        return try LayerTree(
            reading: try open(repository.path(RepositoryLayout.layerTree(digest))),
            context: try context.map { bytes throws(LayerError) in try LayerContext(decoding: bytes) }
                ?? LayerContext())
    }

    func addFlat(_ tree: FlatTree) throws -> Int {
        try repository.explaining { try build(tree) }
    }

    private func build(_ tree: FlatTree) throws -> Int {
        guard mkdirat(staging.descriptor.raw, Self.stagedFlat, 0o755) == 0 else {
            throw SystemError("create directory", "\(staging.path)/\(Self.stagedFlat)")
        }
        let root = try OwnedDescriptor(
            opening: Self.stagedFlat, O_RDONLY | O_DIRECTORY, at: staging.descriptor.raw)
        let entries = try FlatDirectory.build(tree, at: root.raw)
        flatEntries.withLock { $0 = entries }
        return entries
    }

    func commit(waiting: (String) -> Void) throws -> PublicationFacts {
        try repository.explaining { try publish(waiting: waiting) }
    }

    private func publish(waiting: (String) -> Void) throws -> PublicationFacts {
        try sync()
        return try RepositoryLock.hold(inside: repository.path(Staging.repositoryLock), waiting: waiting) {
            try checkReusedLayers()
            try checkPublicPath()
            // What is visible without a record is of a run that was killed before it wrote one, and told nobody.
            let record = try repository.record(plan.reference.publicPath)
            let isNoted = record?.configurationDigest == plan.configurationDigest.description
            let isUntold = !isNoted || record?.unannounced?.flat == true
            let layers = plan.contents.layers ? try publishLayers() : []
            try publishFlatImage()
            let linkChanged = plan.contents.flat && (!isLinked || isUntold)
            let isNew = linkChanged || flatEntries.withLock { $0 != nil }
            let unannounced = ImageRecord.Unannounced(
                layers: layers.map(\.hex), flat: isNew && plan.contents.flat)
            // All that takes room comes before the link: a disk that is full leaves the image as it was.
            try stageImageMetadata(unannounced)
            if plan.contents.flat, !isLinked { try publishLink() }
            try publishImageMetadata()
            try sync()
            return PublicationFacts(publishedLayers: layers, linkChanged: linkChanged, lost: lost.phrases)
        }
    }

    func abandon() {
        // What can't be removed now is removed by whoever stages next.
        try? staging.remove()
    }

    // MARK: - What a layer says of itself

    private static func stagedLayer(_ index: Int) -> String { "layer-\(index)" }

    private func open(_ path: String) throws(SystemError) -> SharedDescriptor {
        SharedDescriptor(try OwnedDescriptor(opening: path, O_RDONLY | O_DIRECTORY))
    }

    private func writeMetadata(of layer: PlannedLayer, _ result: UnpackedLayer, in directory: String) throws {
        let entry = LayerFile(
            id: result.diffIdentifier.hex, created: Timestamp.now().description,
            compressedDigest: layer.descriptor.digest.description, compressedSize: layer.descriptor.size,
            diffDigest: result.diffIdentifier.description, diffSize: result.size)
        let origin = OriginFile(origin: [plan.configurationDigest.description])
        let descriptor = staging.descriptor.raw
        try Files.makeDirectories("\(directory)/\(RepositoryLayout.layerMetadataName)", at: descriptor)
        var files = [
            (RepositoryLayout.layerFactsName, try RepositoryJSON.encode([entry])),
            (RepositoryLayout.layerOriginName, try RepositoryJSON.encode(origin)),
        ]
        if !result.context.isEmpty {
            files.append((RepositoryLayout.layerContextName, result.context.encoded()))
        }
        // Where it becomes visible and this run is killed before it tells, another one will.
        if plan.isAnnounced { files.append((RepositoryLayout.untoldMarkName, Array(staging.name.utf8))) }
        for (name, bytes) in files {
            try Files.replace("\(directory)/\(name)", with: bytes, sync: false, at: descriptor)
        }
    }

    private var lost: LostAttributes {
        unpacked.withLock { layers in
            layers.values.reduce(into: LostAttributes()) { $0.add($1.lost) }
        }
    }

    /// Refuses at once what can't fit: the unpacked layers need at least the room of the packed ones.
    private static func checkSpace(_ plan: PublicationPlan, _ root: String) throws {
        let needed = plan.layers.reduce(0) { $0 + ($1.isNew ? $1.descriptor.size : 0) }
        var information = statvfs()
        guard statvfs(root, &information) == 0 else { throw SystemError("look at", root) }
        let (free, isBeyond) = UInt64(information.f_bavail).multipliedReportingOverflow(
            by: UInt64(information.f_frsize))
        guard isBeyond || UInt64(max(0, needed)) <= free else {
            throw RepositoryError(
                .refused,
                "the repository \(root) has \(free) bytes left, but the new layers alone have \(needed): "
                    + "free space there, nothing was downloaded")
        }
    }

    // MARK: - The commit's steps

    private func sync() throws(SystemError) {
        guard syncfs(staging.descriptor.raw) == 0 else { throw SystemError("sync", repository.root) }
    }

    /// A layer that was there when the conversion began may have been removed since.
    private func checkReusedLayers() throws(RepositoryError) {
        guard plan.contents.layers else { return }
        for layer in plan.layers where !layer.isNew {
            guard repository.hasLayer(layer.descriptor.digest) || isStaged(layer.descriptor.digest) else {
                throw RepositoryError(
                    .refused,
                    "the layer \(layer.descriptor.digest) was removed during the conversion: run it again")
            }
        }
    }

    private func isStaged(_ digest: Digest) -> Bool {
        plan.layers.contains { $0.isNew && $0.descriptor.digest == digest }
    }

    private func checkPublicPath() throws(RepositoryError) {
        let path = repository.path(plan.reference.publicPath)
        guard plan.contents.flat, Files.exists(path), Files.linkTarget(path) == nil else { return }
        throw RepositoryError(.refused, "\(path) is in the way: it is no symbolic link")
    }

    /// - Returns: those that somebody is to be told of: the ones that became visible now, and the ones that did in a run
    ///   that was killed before it could tell.
    private func publishLayers() throws -> [Digest] {
        var published: [Digest] = []
        var seen: Set<Digest> = []
        for (index, layer) in plan.layers.enumerated() {
            let digest = layer.descriptor.digest
            if layer.isNew, plan.replacesLayers || !repository.hasLayer(digest) {
                try place("\(staging.path)/\(Self.stagedLayer(index))", RepositoryLayout.layer(digest))
            } else {
                try addOrigin(to: digest)
                guard plan.isAnnounced, try takeOver(digest) else { continue }
            }
            if seen.insert(digest).inserted { published.append(digest) }
        }
        return published
    }

    /// Looks whether nobody was told of a layer that is there; then it is this run's to tell.
    private func takeOver(_ digest: Digest) throws(SystemError) -> Bool {
        let mark = repository.path(RepositoryLayout.untoldMark(digest))
        guard let owner = try? Files.read(mark, limit: 100),
            // A run that is still alive tells of its own.
            !staging.isAnothers(String(decoding: owner, as: UTF8.self))
        else { return false }
        try Files.replace(mark, with: Array(staging.name.utf8), sync: false)
        return true
    }

    /// Puts the flat image into its place, unless another publication did so meanwhile.
    private func publishFlatImage() throws(SystemError) {
        guard flatEntries.withLock({ $0 != nil }) else { return }
        if repository.hasFlatImage(plan.configurationDigest), !plan.replacesFlat { return }
        try place("\(staging.path)/\(Self.stagedFlat)", RepositoryLayout.flatImage(plan.configurationDigest))
    }

    /// Renames something staged to its place. What is there changes places with it in one step, and goes with the
    /// staging directory.
    private func place(_ staged: String, _ relative: String) throws(SystemError) {
        let target = repository.path(relative)
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

    /// Notes in a layer that was there before that this image uses it too.
    private func addOrigin(to digest: Digest) throws {
        let path = repository.path("\(RepositoryLayout.layer(digest))/\(RepositoryLayout.layerOriginName)")
        let old = (try? Files.read(path, limit: 64 << 20)).flatMap {
            RepositoryJSON.decode(OriginFile.self, from: $0)
        }
        var origin = old ?? OriginFile(origin: [])
        let name = plan.configurationDigest.description
        if origin.origin.contains(name) { return }
        origin.origin.append(name)
        try Files.replace(path, with: try RepositoryJSON.encode(origin), sync: false)
    }

    private static let stagedRecord = "record"
    private static let stagedManifest = "manifest"

    private func stageImageMetadata(_ unannounced: ImageRecord.Unannounced) throws {
        let record = ImageRecord(
            image: plan.reference.imageName, imageRequest: plan.reference.normalised,
            publicPath: plan.reference.publicPath, referenceDigest: plan.referenceDigest.description,
            manifestDigest: plan.manifestDigest.description,
            configurationDigest: plan.configurationDigest.description, platform: plan.platform?.description,
            requestedPlatform: plan.requestedPlatform.description, published: Timestamp.now().description,
            layers: plan.layers.enumerated().map { index, layer in
                ImageRecord.Layer(
                    digest: layer.descriptor.digest.description, compressedSize: layer.descriptor.size,
                    size: unpacked.withLock { $0[index]?.size } ?? knownSize(layer.descriptor.digest))
            }, files: flatEntries.withLock { $0 }, lost: lost.phrases, contents: plan.contents,
            unannounced: plan.isAnnounced ? unannounced : nil)
        for (name, bytes) in [
            (Self.stagedRecord, try RepositoryJSON.encode(record)), (Self.stagedManifest, plan.manifestBytes),
        ] {
            try Files.replace(name, with: bytes, sync: false, at: staging.descriptor.raw)
        }
        try Files.makeDirectories(imageMetadata)
    }

    private var imageMetadata: String {
        repository.path(RepositoryLayout.imageMetadata(plan.reference.publicPath))
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

    /// The length of an old layer's archive, as its `layers.json` has it.
    private func knownSize(_ digest: Digest) -> Int64? {
        let path = repository.path("\(RepositoryLayout.layer(digest))/\(RepositoryLayout.layerFactsName)")
        return (try? Files.read(path, limit: 1 << 20))
            .flatMap { RepositoryJSON.decode([LayerFile].self, from: $0) }?.first?.diffSize
    }

    private var linkTarget: String {
        RepositoryLayout.linkTarget(from: plan.reference.publicPath, to: plan.configurationDigest)
    }

    /// Whether the public link leads to this image.
    private var isLinked: Bool {
        Files.linkTarget(repository.path(plan.reference.publicPath)) == linkTarget
    }

    /// Makes the public link lead to this image, in one step.
    private func publishLink() throws(SystemError) {
        let path = repository.path(plan.reference.publicPath)
        try Files.makeDirectories(Files.parentPath(of: path))
        let temporary = "\(staging.path)/link"
        unlink(temporary)
        guard symlink(linkTarget, temporary) == 0 else { throw SystemError("create", temporary) }
        guard rename(temporary, path) == 0 else { throw SystemError("create", path) }
    }
}

/// An entry of a layer's `layers.json`: keys as podman has them.
private struct LayerFile: Codable {
    var id: String
    var created: String
    var compressedDigest: String
    var compressedSize: Int64?
    var diffDigest: String
    var diffSize: Int64

    enum CodingKeys: String, CodingKey {
        case id, created
        case compressedDigest = "compressed-diff-digest"
        case compressedSize = "compressed-size"
        case diffDigest = "diff-digest"
        case diffSize = "diff-size"
    }
}

/// A layer's `origin.json`: the configurations of the images that use it.
private struct OriginFile: Codable {
    var origin: [String]
}
