// One image from its source into a repository: look whether there is anything to do, fetch what is missing, publish.

import Engines
import Images
import Layers
import Notifications
import Platform
import Registry
import Repository

/// How images are converted.
package struct ConversionOptions: Sendable {
    /// Which image of an index is taken.
    package var platform = ImagePlatform.default
    /// What is published of an image.
    package var contents = PublishedContents(layers: true, flat: true, podman: true)
    /// Layers that are there are fetched and unpacked again.
    package var overwriteLayers = false
    /// Images that are there and unchanged are converted all the same.
    package var convertAgain = false
    /// How many layers of an image are transferred at a time.
    package var concurrentDownloads = 4
    /// All tries of what fails, the first one included.
    package var attempts = 1

    package init() {}
}

/// Converts images into one repository.
package struct ImageConverter: Sendable {
    let repository: any ImageRepository
    private let client: RegistryClient
    let options: ConversionOptions
    let events: ConversionEvents
    let observer: any ConversionObserver
    let skips: SkipMemory?
    let thinImages: ThinImages?

    /// - Parameters:
    ///   - thinImages: makes and pushes them; nil: none are made.
    ///   - skips: what was said of skipped images before; nil: each skip is told.
    package init(
        into repository: any ImageRepository, client: RegistryClient, options: ConversionOptions,
        events: ConversionEvents, observer: any ConversionObserver, thinImages: ThinImages? = nil,
        skips: SkipMemory? = nil
    ) {
        self.thinImages = thinImages
        self.skips = skips
        self.repository = repository
        self.client = client
        self.options = options
        self.events = events
        self.observer = observer
    }

    /// Converts the image that a reference names, or each whose tag its wildcard matches. A failure is a result, not an
    /// error: other images are to be converted all the same.
    ///
    /// - Parameter ended: is told of each image when it is done.
    /// - Throws: `Interrupted` alone.
    package func convert(
        _ reference: ImageReference, ended: (ImageReference, ImageResult) -> Void
    ) throws(Interrupted) {
        guard reference.tagHasWildcard else { return ended(reference, try convert(reference)) }
        let images: [ImageReference]
        do {
            images = try client.expand(reference)
        } catch {
            if let interrupted = error as? Interrupted { throw interrupted }
            return ended(reference, fail(reference, error))
        }
        if images.isEmpty { observer.warn("\(reference): no tag matches") }
        for image in images { ended(image, try convert(image)) }
    }

    /// A wish whose images can't even be named.
    private func fail(_ reference: ImageReference, _ error: any Error) -> ImageResult {
        try? tellFailedLook(at: reference, error)
        return ImageResult(outcome: .failed, error: "\(error)")
    }

    /// Not even the look at an image worked: it counts as one that needed work and failed.
    ///
    /// - Throws: the error.
    private func tellFailedLook(at reference: ImageReference, _ error: any Error) throws {
        observer.imageBegan(reference)
        try events(of: reference).pair(.startImageConversion, .endImageConversion) { _ in throw error }
    }

    /// The events of one image.
    private func events(of reference: ImageReference) -> ConversionEvents {
        events.adding([
            (.imageRequest, reference.normalised), (.image, reference.imageName),
            (.repository, repository.name),
        ])
    }

    private func convert(_ reference: ImageReference) throws(Interrupted) -> ImageResult {
        let began = MonotonicClock.nanoseconds()
        var result = ImageResult(outcome: .unchanged)
        do {
            try convert(reference.resolved, &result)
        } catch {
            if let interrupted = error as? Interrupted { throw interrupted }
            result.outcome = .failed
            result.error = "\(error)"
            if case .locked? = (error as? RepositoryError)?.kind { result.countsAlways = true }
        }
        result.seconds = Double(MonotonicClock.nanoseconds() - began) / 1e9
        return result
    }

    private func convert(_ reference: ImageReference, _ result: inout ImageResult) throws {
        let events = events(of: reference)
        let source: any ImageSource
        let record: ImageRecord?
        let isUnchanged: Bool
        do {
            source = try ImageSources.open(reference, client: client)
            record = try repository.record(reference.publicPath)
            isUnchanged =
                try record.map { record in
                    try attempting(reference) { try self.isUnchanged(record, source) }
                } ?? false
        } catch let error where !(error is Interrupted) {
            skips?.forget(reference.normalised)
            return try tellFailedLook(at: reference, error)
        }
        if isUnchanged, let record {
            result.layers = record.layers.count
            result.layersReused = record.layers.count
            guard try !complete(record, reference, source, events, &result) else { return }
            let reason = "already converted"
            if skips?.note(reason, of: reference.normalised) != false {
                events.emit(.skipImage, [(.reason, reason)])
            } else {
                result.isOldNews = true
            }
            return
        }
        skips?.forget(reference.normalised)
        observer.imageBegan(reference)
        result.outcome = record == nil ? .converted : .updated
        var converted = result
        defer { result = converted }
        try events.pair(.startImageConversion, .endImageConversion) { endFields in
            defer {
                endFields += [
                    (.layers, "\(converted.layers)"), (.layersReused, "\(converted.layersReused)"),
                    (.bytesDownloaded, "\(converted.bytesDownloaded)"),
                ]
            }
            try publish(reference, from: source, events, &converted)
        }
    }

    /// Whether the repository has what is wanted of the image, as its source has it now: one request at the most.
    private func isUnchanged(_ record: ImageRecord, _ source: any ImageSource) throws -> Bool {
        guard !options.convertAgain, !options.overwriteLayers,
            record.requestedPlatform == options.platform.description,
            try repository.isComplete(record, options.contents)
        else { return false }
        return try source.currentDigest().description == record.referenceDigest
    }

    /// Fetches and publishes what is missing of an image.
    private func publish(
        _ reference: ImageReference, from source: any ImageSource, _ events: ConversionEvents,
        _ result: inout ImageResult
    ) throws {
        let ((document, manifest, referenceDigest), (configuration, bytes)) = try attempting(reference) {
            let found = try source.resolve(options.platform)
            return (found, try source.configuration(found.manifest))
        }
        let replacesFlat = options.convertAgain || options.overwriteLayers
        let builds =
            try options.contents.flat && (replacesFlat || !repository.hasFlatImage(manifest.config.digest))
        let opened = OpenedBlobs()
        let layers = try plannedLayers(
            reference, manifest, configuration, source, opened, needed: options.contents.layers || builds)
        let thinName = try thinName(of: reference)
        if thinImages != nil, thinName == nil, repository.clientPath != nil, options.contents.layers {
            observer.warn(
                "\(reference): it has no name for a thin image: give the wish list an output_format")
        }
        let created = configuration.created.flatMap { Timestamp(rfc3339: $0) }
        let podman = podmanStore(reference, configuration: bytes, manifest: document.bytes, created: created)
        let thin = try makeThinImage(
            of: reference, layers: layers.map(\.descriptor.digest), configuration: bytes)
        let plan = PublicationPlan(
            reference: reference, referenceDigest: referenceDigest, manifestBytes: document.bytes,
            manifestDigest: document.digest, configurationDigest: manifest.config.digest,
            flatAdditions: SingularityFiles.additions(for: configuration.settings),
            created: created ?? Timestamp(seconds: 0), thinDigest: thin?.manifest.digest,
            podmanProblem: podman.problem, companions: podman.companions,
            platform: configuration.platform, requestedPlatform: options.platform,
            layers: layers,
            contents: options.contents, replacesLayers: options.overwriteLayers, replacesFlat: replacesFlat,
            isAnnounced: events.areWritten)
        let fresh = plan.layers.indices.filter { plan.layers[$0].isNew }
        result.layers = plan.layers.count
        result.layersReused = plan.layers.count - fresh.count

        let publication = try repository.begin(plan)
        defer { publication.abandon() }
        let transfer = LayerTransfer()
        defer { result.bytesDownloaded = transfer.bytes }
        do {
            try Threads.forEach(fresh.count, width: options.concurrentDownloads) { position in
                try addLayer(fresh[position], plan, to: publication, from: source, opened, events, transfer)
            }
        } catch { throw transfer.failure ?? error }
        let facts =
            builds
            ? try publishFlat(publication, plan, events)
            : try publishOther(publication, plan, merges: !fresh.isEmpty, events)
        if facts.isAnothers {
            result.outcome = .unchanged
            return
        }
        for loss in facts.lost { observer.warn("\(reference): the repository did not keep \(loss)") }
        if let thin, let thinName {
            try push(thin, as: thinName, reference, ImageFields(plan).documents, events, &result)
        }
        events.emit(.publishImage, imageFields(plan))
        note(nil, of: reference, events)
    }

    /// What enters the image into podman's store, or why it can't be there: everything else of it is published.
    private func podmanStore(
        _ reference: ImageReference, configuration: [UInt8], manifest: [UInt8], created: Timestamp?
    ) -> (companions: [any ImageCompanion], problem: String?) {
        guard options.contents.podman else { return ([], nil) }
        do throws(PodmanProblem) {
            let store = try PodmanStore(
                reference, configuration: configuration, manifest: manifest, created: created)
            return ([store], nil)
        } catch {
            observer.warn("\(reference): it isn't in podman's store: \(error)")
            return ([], error.description)
        }
    }

    /// Publishes an image whose flat image is there, or not wanted.
    private func publishOther(
        _ publication: any Publication, _ plan: PublicationPlan, merges: Bool, _ events: ConversionEvents
    ) throws -> PublicationFacts {
        if merges { _ = try merge(publication, plan, makingFlat: false) }
        let facts = try commit(publication, plan, events)
        if facts.linkChanged { emitFlatImage(plan, events) }
        return facts
    }

    private func publishFlat(
        _ publication: any Publication, _ plan: PublicationPlan, _ events: ConversionEvents
    ) throws -> PublicationFacts {
        try events.pair(.startFlatConversion, .endFlatConversion) { endFields in
            observer.flatBegan(plan.reference)
            var entries: Int?
            defer { observer.flatEnded(plan.reference, entries: entries) }
            let count = try merge(publication, plan, makingFlat: true)
            let facts = try commit(publication, plan, events)
            entries = count
            endFields.append((.files, "\(count)"))
            if !facts.isAnothers { emitFlatImage(plan, events) }
            return facts
        }
    }

    private func merge(
        _ publication: any Publication, _ plan: PublicationPlan, makingFlat: Bool
    ) throws -> Int {
        try attempting(plan.reference, unless: { !publication.triesAgain }) {
            try publication.merge(makingFlat: makingFlat) { observer.warn("\(plan.reference): \($0)") }
        }
    }

    private func commit(
        _ publication: any Publication, _ plan: PublicationPlan, _ events: ConversionEvents
    ) throws -> PublicationFacts {
        let commit = {
            try attempting(plan.reference, unless: { !publication.triesAgain }) {
                try publication.commit { observer.warn($0) }
            }
        }
        let facts =
            plan.entersPodman
            ? try events.pair(.startPodmanIngestion, .endPodmanIngestion) { _ in try commit() } : try commit()
        for digest in facts.publishedLayers { events.emit(.publishLayer, [(.layerDigest, digest.hex)]) }
        if plan.entersPodman, !facts.isAnothers {
            events.emit(.publishPodmanImage, ImageFields(plan).documents)
        }
        return facts
    }

    private func emitFlatImage(_ plan: PublicationPlan, _ events: ConversionEvents) {
        events.emit(.publishFlatImage, imageFields(plan))
    }

    private func imageFields(_ plan: PublicationPlan) -> [(Field, String)] { ImageFields(plan).fields }

    private func addLayer(
        _ index: Int, _ plan: PublicationPlan, to publication: any Publication, from source: any ImageSource,
        _ opened: OpenedBlobs, _ events: ConversionEvents, _ transfer: LayerTransfer
    ) throws {
        let descriptor = plan.layers[index].descriptor
        let digest = descriptor.digest
        try Interruption.check()
        try events.pair(.startLayerConversion, .endLayerConversion, [(.layer, digest.hex)]) { endFields in
            observer.layerBegan(digest, bytes: descriptor.size)
            do {
                let facts = try attempting(plan.reference, unless: { transfer.hasStopped }) {
                    let stream = try opened.take(digest) ?? source.blob(descriptor)
                    let blob = try VerifiedStream(stream, descriptor) { count in
                        try transfer.add(count)
                        observer.layerAdvanced(digest, bytes: count)
                    }
                    return try publication.addLayer(index, blob)
                }
                endFields.append((.sizeBytes, "\(facts.size)"))
                observer.layerEnded(digest, entries: facts.entries, error: nil)
            } catch {
                transfer.stop(error)
                observer.layerEnded(digest, entries: 0, error: "\(error)")
                throw error
            }
        }
    }

    /// Runs what may fail, as often as is asked for. A try that another one follows is a warning and no event: an end
    /// with `status=error` is final.
    ///
    /// - Throws: the last try's error; `Interrupted` at once.
    func attempting<Result>(
        _ reference: ImageReference, unless isPointless: () -> Bool = { false }, _ body: () throws -> Result
    ) throws -> Result {
        var attempt = 1
        while true {
            do { return try body() } catch let error
                where !(error is Interrupted) && attempt < options.attempts && !isPointless()
            {
                observer.warn("\(reference): attempt \(attempt) of \(options.attempts) failed: \(error)")
                attempt += 1
            }
        }
    }

    private func plannedLayers(
        _ reference: ImageReference, _ manifest: Manifest, _ configuration: ImageConfiguration,
        _ source: any ImageSource, _ opened: OpenedBlobs, needed: Bool
    ) throws -> [PlannedLayer] {
        let history = configuration.history.filter { !$0.emptyLayer }
        var seen: Set<Digest> = []
        let present = options.overwriteLayers ? [:] : try repository.layers(of: manifest)
        /// What each layer's archive is; of those that are there by what was verified when they came.
        var archives = present
        return try manifest.layers.enumerated().compactMap { index, descriptor in
            let diffIdentifier = configuration.diffIdentifiers[index]
            let known = archives[descriptor.digest] ?? diffIdentifier.description
            try configuration.check(layer: index, descriptor.digest, is: known)
            archives[descriptor.digest] = known
            let created =
                history.count == manifest.layers.count ? history[index].created : configuration.created
            let isMissing = present[descriptor.digest] == nil
            if descriptor.layerKind == .foreign, needed, isMissing, !seen.contains(descriptor.digest),
                let why = try whyForeignIsMissing(descriptor, source, opened)
            {
                observer.warn(
                    "\(reference): layer \(descriptor.digest) is not distributable and left out: \(why)")
                return nil
            }
            return PlannedLayer(
                descriptor: descriptor, diffIdentifier: diffIdentifier,
                created: created.flatMap { Timestamp(rfc3339: $0) } ?? Timestamp(seconds: 0),
                isNew: needed && isMissing && seen.insert(descriptor.digest).inserted)
        }
    }

    /// Why a layer that need not be in the registry is not to be had, or nil where it is: then it is open.
    private func whyForeignIsMissing(
        _ descriptor: Descriptor, _ source: any ImageSource, _ opened: OpenedBlobs
    ) throws -> String? {
        do {
            opened.keep(try source.blob(descriptor), of: descriptor.digest)
            return nil
        } catch let error as SourceError { return "\(error)" }
    }
}
