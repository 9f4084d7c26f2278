// An image on its way into a CernVM-FS repository, in one publish.
//
// A publish is what is expensive: a revision, a signature, a remount, seconds to minutes on a production server, and
// every byte is compressed and hashed by it. So an image is one archive, ingested at the repository's root:
//
//   the new layers  ─┐
//   the flat image   ├─ one archive ─▶ cvmfs_server ingest ─▶ one new revision
//   link, metadata  ─┘
//
// The flat image's files are hard links to the layers', old ones too, which the server resolves in its catalogue. What a
// publication costs, in publishes: a new image 1, also where it shares layers with others; a moved tag 1; an unchanged
// image none. One more, before it, where something has to go first: what was left half-finished at a layer's or a flat
// image's path, or is made anew on request (-f, -g).
//
// The layers' blobs are spooled in the temporary directory, and verified, before the server is asked for anything; nothing
// is downloaded and nothing of the mounted repository is open while its transaction is. No layer is unpacked: what is in
// it is known from one pass over its blob while it came (`LayerUnpacker.scan`), and at the commit a second one brings its
// files' data. So owners, modes and devices are the image's own, whoever runs this.

import Archive
import Glibc
import Images
import Layers
import Platform
import Synchronization

/// A publication into a CernVM-FS repository.
final class CernVMPublication: Publication {
    private let repository: CernVMRepository
    private let image: StagedImage
    private var plan: PublicationPlan { image.plan }
    private var content: RepositoryContent { repository.content }
    /// What new layers need to be known of before they are written.
    private let prepared = Mutex<[Int: Prepared]>([:])
    /// The flat image that is to be written; nil: none is.
    private let flat = Mutex<FlatTree?>(nil)
    private let reusedLost = Mutex(LostAttributes())
    /// When the image was published, as the record of the last attempt has it.
    private let attempted = Mutex<String?>(nil)

    private struct Prepared {
        let context: LayerContext
        /// Whiteouts in place of the marks of opaque directories.
        let hidden: [[UInt8]: [[UInt8]]]
    }

    let triesAgain = true

    private let directory: String

    /// - Parameter directory: where the image is put together.
    /// - Throws: `RepositoryError`, `SystemError`.
    init(_ repository: CernVMRepository, _ plan: PublicationPlan, in directory: String) throws {
        self.repository = repository
        self.directory = directory
        try StagedImage.checkSpace(plan, in: directory, "the temporary directory")
        image = StagedImage(
            plan, over: repository.content, in: try Staging(in: try Staging.makeSpool(in: directory)),
            as: .blob)
    }

    func addLayer(_ index: Int, _ blob: VerifiedStream) throws -> LayerFacts {
        try explaining { try image.addLayer(index, blob) }
    }

    /// Runs what writes to the temporary directory, and says where it was that there was no room.
    private func explaining<Result>(_ body: () throws -> Result) throws -> Result {
        do { return try body() } catch let error as SystemError where [ENOSPC, EDQUOT].contains(error.code) {
            throw RepositoryError(
                .refused,
                "the temporary directory \(directory) is full: \(error): name a larger one with "
                    + "--temporary-dir")
        }
    }

    func merge(makingFlat: Bool, telling: (String) -> Void) throws -> Int {
        guard plan.layers.contains(where: { image.stagedLayer($0.descriptor.digest) == nil }) else {
            return try mergeNow(makingFlat: makingFlat, telling: telling)
        }
        // A server that publishes mounts its new revision in place of the one that the old layers are read from, and
        // fails where somebody has a directory of that open: none of ours is when the lock goes.
        return try RepositoryLock.hold(inside: nil, waiting: telling) {
            try repository.untilNobodyIsFirst(waiting: telling) {
                try mergeNow(makingFlat: makingFlat, telling: telling)
            }
        }
    }

    private func mergeNow(makingFlat: Bool, telling: (String) -> Void) throws -> Int {
        let tree = try mergedTree()
        guard makingFlat else { return 0 }
        let merged = try image.flatTree(of: tree, telling: telling)
        let entries = try merged.countEntriesForCatalogs()
        flat.withLock { $0 = merged }
        image.flatEntries = entries
        return entries
    }

    private func mergedTree() throws -> FlatTree {
        let trees = try image.trees()
        var uncovered = 0
        for (index, layer) in plan.layers.enumerated() {
            let lower = Array(trees[..<index])
            guard image.stagedLayer(layer.descriptor.digest) != nil else {
                uncovered += try FlatTree.countShown(through: trees[index], over: lower)
                continue
            }
            guard layer.isNew else { continue }
            let context = try trees[index].context(withOpaque: true)
            let hidden = try FlatTree.hidden(by: trees[index], over: lower)
            prepared.withLock { $0[index] = Prepared(context: context, hidden: hidden) }
        }
        reusedLost.withLock { lost in
            lost = LostAttributes()
            lost.noteUncovered(uncovered)
        }
        return try image.mergedTree(of: trees)
    }

    private var prefix: String { repository.archivePrefix }

    func commit(waiting: (String) -> Void) throws -> PublicationFacts {
        try RepositoryLock.hold(inside: nil, waiting: waiting) {
            try repository.untilNobodyIsFirst(waiting: waiting) { try publish(waiting) }
        }
    }

    func abandon() { try? image.staging.remove() }

    // MARK: - The commit

    private func publish(_ waiting: (String) -> Void) throws -> PublicationFacts {
        let mount = try repository.waitForMount()
        try image.checkReusedLayers()
        try image.checkPublicPath()
        let old = try repository.record(plan.reference.publicPath)
        if let old, try isPublished(as: old) {
            // An attempt of ours that failed after all may have published it.
            let isOurs = attempted.withLock { $0 == old.published }
            return PublicationFacts(
                publishedLayers: isOurs
                    ? old.unannounced?.layers.compactMap(Digest.init(sha256Hex:)) ?? [] : [],
                linkChanged: isOurs && old.unannounced?.flat == true, lost: old.lost, isAnothers: !isOurs)
        }
        let isNoted = old?.configurationDigest == plan.configurationDigest.description
        let layers = try plan.layers.indices.filter { index in
            let layer = plan.layers[index]
            return try plan.contents.layers && layer.isNew
                && (plan.replacesLayers || !content.hasLayer(layer.descriptor.digest))
        }
        let writesFlat =
            try image.flatEntries != nil
            && (plan.replacesFlat || !content.hasFlatImage(plan.configurationDigest))
        try checkWay(layers, writesFlat)
        let companions = try image.companionEntries()
        // All of this was read of one revision.
        guard repository.spool.mount == mount else { throw ServerBusy(reason: "somebody publishes there") }
        try removeOld(layers, writesFlat)

        let linkChanged =
            try plan.contents.flat && (!image.isLinked() || !isNoted || old?.unannounced?.flat == true)
        // Those of the image that was here too, though this one may not have them.
        let known = plan.isAnnounced ? old?.unannounced?.layers.compactMap(Digest.init(sha256Hex:)) ?? [] : []
        let new = layers.map { plan.layers[$0].descriptor.digest }
        let published = known.filter { !new.contains($0) } + new
        let unannounced = ImageRecord.Unannounced(
            layers: published.map(\.hex),
            flat: plan.contents.flat && (linkChanged || image.flatEntries != nil),
            podman: plan.entersPodman)

        var record = try image.record(nil, lost: [])
        let answer = try repository.ingest(
            ["-t", "-", "-b", repository.archiveBase, "-k"]
        ) { [self] pipe in
            record = try write(layers, writesFlat, companions, into: pipe) { [repository, plan] record in
                guard plan.isAnnounced else { return }
                try repository.spool.note(
                    ServerSpool.Untold(published: record.published, unannounced: unannounced),
                    of: plan.reference.publicPath, over: old?.published)
            }
        }
        try judge(answer, record, waiting)
        return PublicationFacts(publishedLayers: published, linkChanged: linkChanged, lost: record.lost)
    }

    /// Whether the image is there as it was to be published: it was not when its conversion began.
    private func isPublished(as record: ImageRecord) throws -> Bool {
        guard !plan.replacesFlat, !plan.replacesLayers,
            record.manifestDigest == plan.manifestDigest.description,
            record.referenceDigest == plan.referenceDigest.description,
            record.requestedPlatform == plan.requestedPlatform.description
        else { return false }
        return try content.isComplete(record, plan.contents)
    }

    /// What the server says is not all there is to it: it may have failed after it published, or have done nothing.
    private func judge(_ answer: ServerAnswer, _ record: ImageRecord, _ waiting: (String) -> Void) throws {
        let isThere = try repository.reading { try $0.record(plan.reference.publicPath) } == record
        if isThere {
            if !answer.isDone {
                waiting(
                    "\(repository.server) has published, but cvmfs_server ended with \(answer.status): \(answer.reason)"
                )
            }
            return
        }
        throw RepositoryError(
            .refused,
            answer.isDone
                ? "cvmfs_server ingest ended well, but \(repository.server) doesn't show the image"
                : "cvmfs_server ingest failed with \(answer.status): \(answer.reason)")
    }

    /// - Parameter note: called with the record before it may become visible: whoever finds it published and this process
    ///   gone tells of it.
    /// - Returns: the record that is in it.
    private func write(
        _ layers: [Int], _ writesFlat: Bool, _ companions: [CompanionEntry], into pipe: ArchivePipe,
        note: (ImageRecord) throws -> Void
    ) throws -> ImageRecord {
        let archive = try ServerArchive(content, prefix: prefix, pipe)
        var lost = reusedLost.withLock { $0 }
        var archived: [Digest: ArchivedLayer] = [:]
        for (index, layer) in plan.layers.enumerated() where layer.isNew {
            let digest = layer.descriptor.digest
            let isPublished = layers.contains(index)
            // One that another converter has published meanwhile is linked to like any other.
            guard try isPublished || !content.hasLayer(digest),
                let tree = image.stagedLayer(digest)?.layer.tree
            else {
                continue
            }
            archived[digest] = ArchivedLayer(
                tree, at: isPublished ? prefix + RepositoryLayout.layerTree(digest) : nil)
        }
        for index in layers { lost.add(try add(index, archived, to: archive)) }
        // No name comes twice: an image may list a layer more than once.
        var noted = Set(layers.map { plan.layers[$0].descriptor.digest })
        for layer in plan.layers where plan.contents.layers {
            let digest = layer.descriptor.digest
            guard noted.insert(digest).inserted,
                let origin = try content.origin(of: digest, adding: plan.configurationDigest)
            else { continue }
            try archive.addFile(
                "\(RepositoryLayout.layer(digest))/\(RepositoryLayout.layerOriginName)", origin)
        }
        if writesFlat, let tree = flat.withLock({ $0 }) {
            let flat = RepositoryLayout.flatImage(plan.configurationDigest)
            try archive.addDirectory(RepositoryLayout.flat, isCatalogue: true)
            let unsupported = try archive.addFlat(tree, at: flat) { try source(of: $0, layers, archived) }
            // Of links to the layers' files nothing is lost that wasn't noted of those.
            if !plan.contents.layers { lost.add(unsupported) }
            try archive.addMark(ofCatalogue: flat)
        }
        for entry in companions {
            guard case .layer(let index, _) = entry.kind else { continue }
            try archive.addLayer(index, of: try image.merged(), at: entry.path) {
                try source(of: $0, layers, archived)
            }
        }
        for (index, layer) in plan.layers.enumerated() where layer.isNew {
            guard let archived = archived[layer.descriptor.digest] else { continue }
            try archive.addFiles(of: archived, from: try image.spooledBlob(ofLayer: index))
        }
        let record = try image.record(nil, lost: lost.phrases)
        try note(record)
        attempted.withLock { $0 = record.published }
        let metadata = RepositoryLayout.imageMetadata(plan.reference.publicPath)
        try archive.addFile("\(metadata)/\(RepositoryLayout.manifestName)", plan.manifestBytes)
        try archive.addFile("\(metadata)/\(RepositoryLayout.recordName)", try RepositoryJSON.encode(record))
        for entry in companions {
            if case .layer = entry.kind { continue }
            try archive.add(entry)
        }
        if plan.contents.flat { try archive.addLink(plan.reference.publicPath, to: image.linkTarget) }
        try archive.finish()
        return record
    }

    /// What a layer of the flat image is in the archive, by its place in the image.
    private func source(
        of index: Int, _ layers: [Int], _ archived: [Digest: ArchivedLayer]
    ) throws -> LayerArchive.FlatSource {
        // One more than the image's own layers: what was made for the flat image alone.
        guard index < plan.layers.count else { return .added }
        let digest = plan.layers[index].descriptor.digest
        guard let layer = archived[digest] else {
            return .published(prefix + RepositoryLayout.layerTree(digest))
        }
        return .new(layer)
    }

    private func add(
        _ index: Int, _ archived: [Digest: ArchivedLayer], to archive: ServerArchive
    ) throws -> LostAttributes {
        let layer = plan.layers[index]
        let digest = layer.descriptor.digest
        guard let tree = archived[digest], let result = image.stagedLayer(digest)?.layer else {
            return LostAttributes()
        }
        let path = RepositoryLayout.layer(digest)
        let prepared = prepared.withLock { $0[index] }
        try archive.addDirectory(RepositoryLayout.layers, isCatalogue: true)
        try archive.addDirectory(Files.parentPath(of: path), isCatalogue: true)
        var lost = try archive.addLayer(
            tree, at: RepositoryLayout.layerTree(digest), hidden: prepared?.hidden ?? [:])
        try archive.addMark(ofCatalogue: RepositoryLayout.layerTree(digest))
        let context = prepared?.context ?? result.context
        lost.noteOpaqueDirectories(context.opaqueDirectoryCount)
        for (name, bytes) in try image.metadata(of: layer, result, context) {
            try archive.addFile("\(path)/\(name)", bytes)
        }
        return lost
    }

    // MARK: - What is in the way

    /// The server accepts a directory where the repository has a file or a link, and damages its catalogue.
    private func checkWay(_ layers: [Int], _ writesFlat: Bool) throws {
        var paths = [RepositoryLayout.imageMetadata(plan.reference.publicPath), plan.reference.publicPath]
        paths += layers.map { RepositoryLayout.layer(plan.layers[$0].descriptor.digest) }
        if writesFlat { paths.append(RepositoryLayout.flatImage(plan.configurationDigest)) }
        for path in paths {
            var parent = repository.pathInServer(path)
            repeat {
                if parent != repository.pathInServer(plan.reference.publicPath) {
                    try image.checkDirectory("\(repository.spool.mounted)/\(parent)")
                }
                parent = Files.parentPath(of: parent)
            } while parent != "."
        }
    }

    /// Removes what stands where a layer or a flat image shall be: an archive is merged into what is there.
    private func removeOld(_ layers: [Int], _ writesFlat: Bool) throws {
        var paths = layers.map { RepositoryLayout.layer(plan.layers[$0].descriptor.digest) }
        if writesFlat { paths.append(RepositoryLayout.flatImage(plan.configurationDigest)) }
        paths = try paths.filter { try content.exists($0) }
        if paths.isEmpty { return }
        // Only paths of digests: the server splits others at colons and blanks. A gateway takes one at a time.
        let groups = repository.isBehindGateway ? paths.map { [$0] } : [paths]
        for group in groups {
            let answer = try repository.ingest(group.flatMap { ["-d", repository.pathInServer($0)] })
            guard
                try repository.reading({ content in try group.allSatisfy { try !content.exists($0) } })
            else {
                throw RepositoryError(
                    .refused, "cvmfs_server ingest --delete failed with \(answer.status): \(answer.reason)")
            }
        }
    }
}
