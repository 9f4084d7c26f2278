// What an image may lack whose files are all there: its thin image, and the events of a run that ended before it could
// tell.

import Engines
import Images
import Notifications
import Registry
import Repository

extension ImageConverter {
    /// How an image's thin image is called; nil where none is due.
    ///
    /// - Throws: `ThinImageError`.
    func thinName(of reference: ImageReference) throws(ThinImageError) -> ImageReference? {
        guard let thinImages, repository.clientPath != nil, options.contents.layers else { return nil }
        return try thinImages.name(for: reference)
    }

    /// The thin image of an unchanged image, where it is due and not in its registry: one request where it is.
    ///
    /// - Throws: `SourceError`, `ThinImageError`, `Interrupted`, what reading the image throws.
    func missingThinImage(
        of reference: ImageReference, _ record: ImageRecord, _ source: any ImageSource
    ) throws -> MissingThinImage? {
        guard let name = try thinName(of: reference), record.contents.layers else { return nil }
        return try attempting(reference) {
            if try isPushed(record.thinDigest, as: name) { return nil }
            let (document, manifest, _) = try source.resolve(options.platform)
            // It moved just now: the next look will find it changed.
            guard document.digest.description == record.manifestDigest else { return nil }
            let image = try makeThinImage(
                of: reference, layers: record.layers.map { try Digest($0.digest) },
                configuration: try source.configuration(manifest).bytes)
            // What an older version noted may be another one than this version makes.
            let digest = image?.manifest.digest.description
            guard let image, try digest == record.thinDigest || !isPushed(digest, as: name) else {
                return nil
            }
            return MissingThinImage(name: name, image: image)
        }
    }

    private func isPushed(_ digest: String?, as name: ImageReference) throws -> Bool {
        guard let digest, let thinImages else { return false }
        return try thinImages.isPushed(digest, as: name)
    }

    /// An image's thin image; nil where a thin image makes no sense.
    func makeThinImage(
        of reference: ImageReference, layers: [Digest], configuration: [UInt8]
    ) throws -> PushedImage? {
        guard options.contents.layers, let path = repository.clientPath else { return nil }
        do {
            return try ThinImage.make(of: reference, layers: layers, configuration: configuration, in: path)
        } catch {
            // A configuration that is too odd for it is no reason not to publish what else was asked for.
            guard thinImages != nil else { return nil }
            throw ThinImageError(description: "\(reference) can't have a thin image: \(error)")
        }
    }

    /// Pushes the thin image of an image that was published, unless it is there.
    ///
    /// - Throws: `SourceError`, `Interrupted`.
    func push(
        _ thin: PushedImage, as name: ImageReference, _ reference: ImageReference,
        _ documents: [(Field, String)], _ events: ConversionEvents, _ result: inout ImageResult
    ) throws {
        // What was told by now need not come again where this fails.
        note(.wholeOnly, of: reference, events)
        let isThere = try attempting(reference) {
            try isPushed(thin.manifest.digest.description, as: name)
        }
        if isThere { return }
        try push(MissingThinImage(name: name, image: thin), reference, documents, events, &result)
    }

    private func push(
        _ thin: MissingThinImage, _ reference: ImageReference, _ documents: [(Field, String)],
        _ events: ConversionEvents, _ result: inout ImageResult
    ) throws {
        try attempting(reference) { try thinImages?.push(thin.image, as: thin.name) }
        result.thinImage = thin.name.imageName
        events.emit(.publishThinImage, [(.thinImage, thin.name.imageName)] + documents)
    }

    /// Does for an image whose files are there what is left to do, and tells of it.
    ///
    /// - Returns: whether there was something.
    /// - Throws: as `missingThinImage` does; the image's events have its failure then.
    func complete(
        _ record: ImageRecord, _ reference: ImageReference, _ source: any ImageSource,
        _ events: ConversionEvents, _ result: inout ImageResult
    ) throws -> Bool {
        let unannounced = events.areWritten ? record.unannounced : nil
        // What nobody was told of comes first: it is true whatever the thin image's registry says.
        let missing =
            unannounced == nil ? Result { try missingThinImage(of: reference, record, source) } : nil
        if case .success(nil)? = missing { return false }
        // Once there is nothing left to do, that is said again.
        skips?.forget(reference.normalised)
        var completed = result
        defer { result = completed }
        try events.pair(.startImageConversion, .endImageConversion) { _ in
            let fields = try ImageFields(record)
            for layer in unannounced?.layers ?? [] { events.emit(.publishLayer, [(.layerDigest, layer)]) }
            if unannounced?.podman == true { events.emit(.publishPodmanImage, fields.documents) }
            if unannounced?.flat == true { events.emit(.publishFlatImage, fields.fields) }
            if unannounced != nil || missing != nil { note(.wholeOnly, of: reference, events) }
            let thin = try missing?.get() ?? missingThinImage(of: reference, record, source)
            if let thin {
                observer.imageBegan(reference)
                completed.outcome = .updated
                try push(thin, reference, fields.documents, events, &completed)
            }
            events.emit(.publishImage, fields.fields)
        }
        note(nil, of: reference, events)
        return true
    }

    /// Notes what somebody has yet to be told of an image. It is visible: that this can't be noted (on a disk that is
    /// full) is no failure of the image's.
    func note(
        _ unannounced: ImageRecord.Unannounced?, of reference: ImageReference, _ events: ConversionEvents
    ) {
        guard events.areWritten else { return }
        do { try repository.note(unannounced, of: reference.publicPath) } catch {
            observer.warn("\(reference): its events will come once more: \(error)")
        }
    }
}
