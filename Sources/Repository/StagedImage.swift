// An image's new layers, verified in a staging directory, with the old ones beneath them where the repository shows them:
// what both kinds of repository publish from. A directory repository has them unpacked there, to be renamed into place; a
// CernVM-FS repository has their blobs as they came, and their trees in memory.

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
    private let tree = Mutex<FlatTree?>(nil)
    private let form: Form

    /// What a new layer is in the staging directory.
    enum Form {
        /// A directory, as it will be in the repository.
        case directory
        /// Its blob.
        case blob
    }

    /// - Parameter staging: where new layers are put.
    init(_ plan: PublicationPlan, over content: RepositoryContent, in staging: Staging, as form: Form) {
        self.plan = plan
        self.content = content
        self.staging = staging
        self.form = form
    }

    /// How many entries the flat image has that was made; nil where none was.
    var flatEntries: Int? {
        get { files.withLock { $0 } }
        set { files.withLock { $0 = newValue } }
    }

    /// A new layer's name in the staging directory.
    static func name(ofLayer index: Int) -> String { "layer-\(index)" }

    /// Takes a new layer, with what it says of itself.
    ///
    /// - Throws: `LayerError`, `ArchiveError`, `SystemError`, `Interrupted`, or the stream's error.
    func addLayer(_ index: Int, _ blob: VerifiedStream) throws -> LayerFacts {
        let layer = plan.layers[index]
        let name = Self.name(ofLayer: index)
        let created = timespec(tv_sec: layer.created.seconds, tv_nsec: layer.created.nanoseconds)
        let result: UnpackedLayer
        switch form {
        case .directory:
            let tree = "\(name)/\(RepositoryLayout.layerTreeName)"
            // What an attempt left that failed.
            try Files.removeTree(name, at: staging.descriptor.raw)
            try Files.makeDirectories(tree, at: staging.descriptor.raw)
            result = try LayerUnpacker.unpack(
                blob, into: try open("\(staging.path)/\(tree)"), diffIdentifier: layer.diffIdentifier,
                created: created)
            try writeMetadata(of: layer, result, in: name)
        case .blob:
            let path = "\(staging.path)/\(name)"
            let spool = SharedDescriptor(
                try OwnedDescriptor(opening: path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o600))
            result = try LayerUnpacker.scan(
                blob, spool: spool, path: path, diffIdentifier: layer.diffIdentifier, created: created)
        }
        unpacked.withLock { $0[index] = result }
        return LayerFacts(size: result.size, entries: result.entries)
    }

    /// A new layer's blob, read again from the staging directory.
    ///
    /// - Throws: `SystemError`.
    func spooledBlob(ofLayer index: Int) throws -> VerifiedStream {
        try VerifiedStream(
            try FileStream(path: "\(staging.path)/\(Self.name(ofLayer: index))"),
            plan.layers[index].descriptor)
    }

    /// What a new layer came to, and where it is staged; a layer that the image lists twice was unpacked once.
    func stagedLayer(_ digest: Digest) -> (index: Int, layer: UnpackedLayer)? {
        guard let index = plan.layers.firstIndex(where: { $0.isNew && $0.descriptor.digest == digest }),
            let layer = unpacked.withLock({ $0[index] })
        else { return nil }
        return (index, layer)
    }

    /// The length of a layer's archive; nil where it isn't known.
    ///
    /// - Throws: `SystemError`.
    func size(of digest: Digest) throws -> Int64? {
        try stagedLayer(digest)?.layer.size ?? content.facts(of: digest)?.diffSize
    }

    /// What goes into the publication besides the image itself: no path twice, which is more than a server takes. The
    /// last one counts.
    ///
    /// - Throws: what a companion throws, `RepositoryError` where something is in the way.
    func companionEntries() throws -> [CompanionEntry] {
        let all = try plan.companions.flatMap { try $0.entries(for: plan, size: size, over: content) }
            .compactMap(settled)
        var paths: Set<String> = []
        let entries = Array(all.reversed().filter { paths.insert($0.path).inserted }.reversed())
        try checkWay(of: entries)
        return entries
    }

    /// An entry as it is made: a layer's tree that is whole by itself is a link; one that was made before stays.
    private func settled(_ entry: CompanionEntry) throws -> CompanionEntry? {
        guard case .layer(let index, let text) = entry.kind else { return entry }
        guard try merged().needsLowerLayers(index) else { return CompanionEntry(entry.path, .link(text)) }
        guard let mode = try Files.mode(of: content.path(entry.path)) else { return entry }
        return mode & S_IFMT == S_IFDIR ? nil : CompanionEntry(entry.path, .link(text))
    }

    /// The merged tree of all layers, made now where no merge was asked for.
    ///
    /// - Throws: as `mergedTree`.
    func merged() throws -> FlatTree { try tree.withLock { $0 } ?? mergedTree(of: trees()) }

    /// Refuses where something that is no directory is on the way to what shall be made, or a directory in its place: a
    /// link there would lead out of the repository, and a server damages its catalogue.
    private func checkWay(of entries: [CompanionEntry]) throws {
        var directories: Set<String> = []
        for entry in entries {
            if case .directory = entry.kind {
                directories.insert(entry.path)
            } else if try Files.mode(of: content.path(entry.path)).map({ $0 & S_IFMT == S_IFDIR }) == true {
                throw RepositoryError(
                    .refused, "\(content.path(entry.path)) is in the way: it is a directory")
            }
            var parent = Files.parentPath(of: entry.path)
            while parent != ".", directories.insert(parent).inserted { parent = Files.parentPath(of: parent) }
        }
        for directory in directories.sorted() { try checkDirectory(content.path(directory)) }
    }

    /// Refuses where something that is no directory is at a path.
    ///
    /// - Throws: `RepositoryError`, `SystemError`.
    func checkDirectory(_ path: String) throws {
        guard let mode = try Files.mode(of: path), mode & S_IFMT != S_IFDIR else { return }
        throw RepositoryError(.refused, "\(path) is in the way: it is no directory")
    }

    /// The layers' trees, the lowest first.
    ///
    /// - Throws: `LayerError`, `SystemError`, `Interrupted`.
    func trees() throws -> [LayerTree] {
        let trees = Mutex<[Int: LayerTree]>([:])
        // What a server shows is asked of another process, which answers several at a time.
        try Threads.forEach(plan.layers.count, width: 4) { [self] index in
            let tree = try tree(of: plan.layers[index].descriptor.digest)
            trees.withLock { $0[index] = tree }
        }
        return trees.withLock { $0 }.sorted { $0.key < $1.key }.map(\.value)
    }

    private func tree(of digest: Digest) throws -> LayerTree {
        if let (index, result) = stagedLayer(digest) {
            if let tree = result.tree { return tree }
            let path = "\(staging.path)/\(Self.name(ofLayer: index))/\(RepositoryLayout.layerTreeName)"
            return try LayerTree(reading: try open(path), context: result.context)
        }
        let root = try open(content.path(RepositoryLayout.layerTree(digest)))
        let context = try content.layerContext(digest)
        return switch form {
        case .directory: try LayerTree(reading: root, context: context)
        case .blob: try LayerTree(readingAll: root.raw, context: context)
        }
    }

    /// The merged tree of all layers, once every new one was added.
    ///
    /// - Throws: `LayerError`, `SystemError`, `Interrupted`.
    func mergedTree(of trees: [LayerTree]) throws -> FlatTree {
        let merged = try FlatTree(trees)
        try merged.checkLinks()
        tree.withLock { $0 = merged }
        return merged
    }

    /// A merged tree as the flat image has it: with what engines need over it, as one layer more.
    ///
    /// - Throws: `LayerError`, `Interrupted`.
    func flatTree(of tree: FlatTree, telling: (String) -> Void) throws -> FlatTree {
        try tree.adding(
            plan.flatAdditions,
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
    func record(_ unannounced: ImageRecord.Unannounced?, lost: [String]) throws -> ImageRecord {
        ImageRecord(
            image: plan.reference.imageName, imageRequest: plan.reference.normalised,
            publicPath: plan.reference.publicPath, referenceDigest: plan.referenceDigest.description,
            manifestDigest: plan.manifestDigest.description,
            configurationDigest: plan.configurationDigest.description, platform: plan.platform?.description,
            requestedPlatform: plan.requestedPlatform.description, published: Timestamp.now().description,
            layers: try plan.layers.map { layer in
                ImageRecord.Layer(
                    digest: layer.descriptor.digest.description, compressedSize: layer.descriptor.size,
                    size: try size(of: layer.descriptor.digest))
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
    /// - Throws: `RepositoryError`, `SystemError`.
    func checkReusedLayers() throws {
        guard plan.contents.layers else { return }
        for layer in plan.layers where !layer.isNew {
            let digest = layer.descriptor.digest
            guard try content.hasLayer(digest) || stagedLayer(digest) != nil else {
                throw RepositoryError(
                    .refused, "the layer \(digest) was removed during the conversion: run it again")
            }
        }
    }

    /// Refuses where something that is no link is at the public path.
    ///
    /// - Throws: `RepositoryError`, `SystemError`.
    func checkPublicPath() throws {
        let path = content.path(plan.reference.publicPath)
        guard plan.contents.flat, let mode = try Files.mode(of: path), mode & S_IFMT != S_IFLNK else {
            return
        }
        throw RepositoryError(.refused, "\(path) is in the way: it is no symbolic link")
    }

    /// The text of the public link.
    var linkTarget: String {
        RepositoryLayout.linkTarget(from: plan.reference.publicPath, to: plan.configurationDigest)
    }

    /// Whether the public link leads to this image.
    ///
    /// - Throws: `SystemError`.
    func isLinked() throws(SystemError) -> Bool {
        try content.linkTarget(plan.reference.publicPath) == linkTarget
    }

    private func open(_ path: String) throws(SystemError) -> SharedDescriptor {
        SharedDescriptor(try OwnedDescriptor(opening: path, O_RDONLY | O_DIRECTORY))
    }

    private func writeMetadata(of layer: PlannedLayer, _ result: UnpackedLayer, in directory: String) throws {
        let descriptor = staging.descriptor.raw
        try Files.makeDirectories("\(directory)/\(RepositoryLayout.layerMetadataName)", at: descriptor)
        var files = try metadata(of: layer, result, result.context)
        // Where it becomes visible and this run is killed before it tells, another one will.
        if plan.isAnnounced { files.append((RepositoryLayout.untoldMarkName, Array(staging.name.utf8))) }
        for (name, bytes) in files {
            try Files.replace("\(directory)/\(name)", with: bytes, sync: false, at: descriptor)
        }
    }

    /// The files that a new layer says of itself, by their names in its directory. The last one makes it count as a layer
    /// that is there.
    ///
    /// - Parameter context: what it leaves open.
    /// - Throws: `EncodingError`.
    func metadata(
        of layer: PlannedLayer, _ result: UnpackedLayer, _ context: LayerContext
    ) throws -> [(name: String, bytes: [UInt8])] {
        let entry = LayerFile(
            id: result.diffIdentifier.hex, created: Timestamp.now().description,
            compressedDigest: layer.descriptor.digest.description, compressedSize: layer.descriptor.size,
            diffDigest: result.diffIdentifier.description, diffSize: result.size)
        let origin = OriginFile(origin: [plan.configurationDigest.description])
        return (context.isEmpty ? [] : [(RepositoryLayout.layerContextName, context.encoded())]) + [
            (RepositoryLayout.layerOriginName, try RepositoryJSON.encode(origin)),
            (RepositoryLayout.layerFactsName, try RepositoryJSON.encode([entry])),
        ]
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
