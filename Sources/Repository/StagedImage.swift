// An image's new layers, unpacked and verified in a staging directory, with the old ones beneath them where the
// repository shows them: what both kinds of repository publish from.

import Glibc
import Images
import Layers
import Platform
import Synchronization

/// What of an image is put together before it becomes visible.
final class StagedImage: Sendable {
    let plan: PublicationPlan
    let staging: Staging
    private let content: RepositoryContent
    /// What each new layer came to, by its place in the plan.
    private let unpacked = Mutex<[Int: UnpackedLayer]>([:])
    private let files = Mutex<Int?>(nil)
    private let marksUntold: Bool

    /// - Parameters:
    ///   - directory: where the staging directory is made.
    ///   - marksUntold: whether new layers say of themselves that nobody was told of them yet.
    /// - Throws: `SystemError`.
    init(
        _ plan: PublicationPlan, over content: RepositoryContent, in directory: String, marksUntold: Bool
    ) throws(SystemError) {
        self.plan = plan
        self.content = content
        self.marksUntold = marksUntold
        staging = try Staging(in: directory)
    }

    /// How many entries the flat image has that was made; nil where none was.
    var flatEntries: Int? {
        get { files.withLock { $0 } }
        set { files.withLock { $0 = newValue } }
    }

    /// A new layer's directory in the staging directory.
    static func name(ofLayer index: Int) -> String { "layer-\(index)" }

    /// Unpacks a new layer, with what it says of itself.
    ///
    /// - Throws: `LayerError`, `ArchiveError`, `SystemError`, `Interrupted`, or the stream's error.
    func addLayer(_ index: Int, _ blob: VerifiedStream) throws -> LayerFacts {
        let layer = plan.layers[index]
        let directory = Self.name(ofLayer: index)
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

    /// What a new layer came to, and where it is staged; a layer that the image lists twice was unpacked once.
    func stagedLayer(_ digest: Digest) -> (index: Int, layer: UnpackedLayer)? {
        guard let index = plan.layers.firstIndex(where: { $0.isNew && $0.descriptor.digest == digest }),
            let layer = unpacked.withLock({ $0[index] })
        else { return nil }
        return (index, layer)
    }

    /// The length of a layer's archive; nil where it isn't known.
    func size(of digest: Digest) -> Int64? {
        stagedLayer(digest)?.layer.size ?? content.facts(of: digest)?.diffSize
    }

    /// What goes into the publication besides the image itself: no path twice, which is more than a server takes. The
    /// last one counts.
    ///
    /// - Throws: what a companion throws, `RepositoryError` where something is in the way.
    func companionEntries() throws -> [CompanionEntry] {
        let all = try plan.companions.flatMap { try $0.entries(for: plan, size: size, over: content) }
        var paths: Set<String> = []
        let entries = Array(all.reversed().filter { paths.insert($0.path).inserted }.reversed())
        try checkWay(of: entries)
        return entries
    }

    /// Refuses where something that is no directory is on the way to what shall be made, or a directory in its place: a
    /// link there would lead out of the repository, and a server damages its catalogue.
    private func checkWay(of entries: [CompanionEntry]) throws(RepositoryError) {
        var directories: Set<String> = []
        for entry in entries {
            let path = content.path(entry.path)
            if case .directory = entry.kind {
                directories.insert(entry.path)
            } else if Files.isDirectory(path), Files.linkTarget(path) == nil {
                throw RepositoryError(.refused, "\(path) is in the way: it is a directory")
            }
            var parent = Files.parentPath(of: entry.path)
            while parent != ".", directories.insert(parent).inserted { parent = Files.parentPath(of: parent) }
        }
        for directory in directories.sorted() {
            let path = content.path(directory)
            if Files.linkTarget(path) != nil || Files.exists(path) && !Files.isDirectory(path) {
                throw RepositoryError(.refused, "\(path) is in the way: it is no directory")
            }
        }
    }

    /// The layers' trees, the lowest first.
    ///
    /// - Throws: `LayerError`, `SystemError`, `Interrupted`.
    func trees() throws -> [LayerTree] {
        try plan.layers.map { layer in
            let digest = layer.descriptor.digest
            if let (index, result) = stagedLayer(digest) {
                let path = "\(staging.path)/\(Self.name(ofLayer: index))/\(RepositoryLayout.layerTreeName)"
                return try LayerTree(reading: try open(path), context: result.context)
            }
            return try LayerTree(
                reading: try open(content.path(RepositoryLayout.layerTree(digest))),
                context: try content.layerContext(digest))
        }
    }

    /// The merged tree of all layers, once every new one was added.
    ///
    /// - Throws: `LayerError`, `SystemError`, `Interrupted`.
    func mergedTree(of trees: [LayerTree]) throws -> FlatTree {
        let tree = try FlatTree(trees)
        try tree.checkLinks()
        return tree
    }

    private static let additions = "additions"

    /// A merged tree as the flat image has it: with what engines need over it, as one layer more.
    ///
    /// - Throws: `LayerError`, `SystemError`, `Interrupted`.
    func flatTree(of tree: FlatTree, telling: (String) -> Void) throws -> FlatTree {
        // What an attempt left that failed.
        try Files.removeTree(Self.additions, at: staging.descriptor.raw)
        try Files.makeDirectories(Self.additions, at: staging.descriptor.raw)
        return try tree.adding(
            plan.flatAdditions, in: try open("\(staging.path)/\(Self.additions)"),
            modified: timespec(tv_sec: plan.created.seconds, tv_nsec: plan.created.nanoseconds), warn: telling
        )
    }

    /// What of the new layers could not be kept.
    var lost: LostAttributes {
        unpacked.withLock { layers in
            layers.values.reduce(into: LostAttributes()) { $0.add($1.lost) }
        }
    }

    /// What is noted of the image beside its manifest.
    ///
    /// - Parameter unannounced: what somebody has yet to be told of.
    func record(_ unannounced: ImageRecord.Unannounced?, lost: [String]) -> ImageRecord {
        ImageRecord(
            image: plan.reference.imageName, imageRequest: plan.reference.normalised,
            publicPath: plan.reference.publicPath, referenceDigest: plan.referenceDigest.description,
            manifestDigest: plan.manifestDigest.description,
            configurationDigest: plan.configurationDigest.description, platform: plan.platform?.description,
            requestedPlatform: plan.requestedPlatform.description, published: Timestamp.now().description,
            layers: plan.layers.map { layer in
                ImageRecord.Layer(
                    digest: layer.descriptor.digest.description, compressedSize: layer.descriptor.size,
                    size: size(of: layer.descriptor.digest))
            }, files: flatEntries, lost: lost, contents: plan.contents,
            thinDigest: plan.thinDigest?.description, podmanProblem: plan.podmanProblem,
            unannounced: unannounced)
    }

    /// Refuses at once what can't fit: the unpacked layers need at least the room of the packed ones.
    ///
    /// - Parameter what: what the directory is, for people.
    /// - Throws: `RepositoryError`, `SystemError`.
    static func checkSpace(_ plan: PublicationPlan, in directory: String, _ what: String) throws {
        let needed = plan.layers.reduce(0) { $0 + ($1.isNew ? $1.descriptor.size : 0) }
        var information = statvfs()
        guard statvfs(directory, &information) == 0 else { throw SystemError("look at", directory) }
        let (free, isBeyond) = UInt64(information.f_bavail).multipliedReportingOverflow(
            by: UInt64(information.f_frsize))
        guard isBeyond || UInt64(max(0, needed)) <= free else {
            throw RepositoryError(
                .refused,
                "\(what) \(directory) has \(free) bytes left, but the new layers alone have \(needed): "
                    + "free space there, nothing was downloaded")
        }
    }

    /// Refuses where a layer was removed that was there when the conversion began.
    ///
    /// - Throws: `RepositoryError`.
    func checkReusedLayers() throws(RepositoryError) {
        guard plan.contents.layers else { return }
        for layer in plan.layers where !layer.isNew {
            let digest = layer.descriptor.digest
            guard content.hasLayer(digest) || stagedLayer(digest) != nil else {
                throw RepositoryError(
                    .refused, "the layer \(digest) was removed during the conversion: run it again")
            }
        }
    }

    /// Refuses where something that is no link is at the public path.
    ///
    /// - Throws: `RepositoryError`.
    func checkPublicPath() throws(RepositoryError) {
        let path = content.path(plan.reference.publicPath)
        guard plan.contents.flat, Files.exists(path), Files.linkTarget(path) == nil else { return }
        throw RepositoryError(.refused, "\(path) is in the way: it is no symbolic link")
    }

    /// The text of the public link.
    var linkTarget: String {
        RepositoryLayout.linkTarget(from: plan.reference.publicPath, to: plan.configurationDigest)
    }

    /// Whether the public link leads to this image.
    var isLinked: Bool { Files.linkTarget(content.path(plan.reference.publicPath)) == linkTarget }

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
        if plan.isAnnounced, marksUntold {
            files.append((RepositoryLayout.untoldMarkName, Array(staging.name.utf8)))
        }
        for (name, bytes) in files {
            try Files.replace("\(directory)/\(name)", with: bytes, sync: false, at: descriptor)
        }
    }
}

/// An entry of a layer's `layers.json`: keys as podman has them.
struct LayerFile: Codable {
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
struct OriginFile: Codable {
    var origin: [String]
}
