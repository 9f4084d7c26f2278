// What an image may lack whose files are all there: its thin image, and the events of a run that ended before it could
// tell.

import Engines
import Images
import Notifications
import Registry
import Repository

extension ImageConverter {
    /// The thin image of an unchanged image, where it is due and not in its registry: one request where it is.
    ///
    /// - Throws: `SourceError`, `ThinImageError`, `Interrupted`, what reading the image throws.
    func missingThinImage(
        of reference: ImageReference, _ record: ImageRecord, _ source: any ImageSource
    ) throws -> PushedImage? {
        guard let thinImages, repository.clientPath != nil, record.contents.layers else { return nil }
        if let digest = record.thinDigest, try thinImages.isPushed(digest, for: reference) { return nil }
        let manifest = try source.resolve(options.platform).manifest
        let thin = try makeThinImage(
            of: reference, layers: record.layers.map { try Digest($0.digest) },
            configuration: try source.configuration(manifest).bytes)
        guard let thin else { return nil }
        let digest = thin.manifest.digest.description
        return try digest != record.thinDigest && thinImages.isPushed(digest, for: reference) ? nil : thin
    }

    /// An image's thin image; nil where a thin image makes no sense.
    func makeThinImage(
        of reference: ImageReference, layers: [Digest], configuration: [UInt8]
    ) throws -> PushedImage? {
        guard options.contents.layers, let path = repository.clientPath else { return nil }
        do {
            return try ThinImage.make(of: reference, layers: layers, configuration: configuration, in: path)
        } catch  where thinImages == nil {
            // A configuration that is too odd for it is no reason not to publish what was asked for.
            return nil
        }
    }

    /// Pushes a thin image, unless it is there, and tells of it.
    func push(
        _ thin: PushedImage, by thinImages: ThinImages, _ reference: ImageReference,
        _ documents: [(Field, String)], _ events: ConversionEvents, _ result: inout ImageResult
    ) throws {
        let name = try attempting(reference) { () -> String? in
            let digest = thin.manifest.digest.description
            if try thinImages.isPushed(digest, for: reference) { return nil }
            return try thinImages.push(thin, for: reference)
        }
        guard let name else { return }
        result.thinImage = name
        events.emit(.publishThinImage, [(.thinImage, name)] + documents)
    }

    /// Does for an image whose files are there what is left to do, and tells of it.
    ///
    /// - Parameters:
    ///   - unannounced: what nobody was told of.
    ///   - thin: the thin image that is missing.
    func complete(
        _ record: ImageRecord, _ reference: ImageReference, _ unannounced: ImageRecord.Unannounced?,
        _ thin: PushedImage?, _ events: ConversionEvents, _ result: inout ImageResult
    ) throws {
        var completed = result
        defer { result = completed }
        if thin != nil {
            observer.imageBegan(reference)
            completed.outcome = .updated
        }
        try events.pair(.startImageConversion, .endImageConversion) { _ in
            let fields = try ImageFields(record)
            for layer in unannounced?.layers ?? [] { events.emit(.publishLayer, [(.layerDigest, layer)]) }
            if unannounced?.podman == true { events.emit(.publishPodmanImage, fields.documents) }
            if unannounced?.flat == true { events.emit(.publishFlatImage, fields.fields) }
            if let thin, let thinImages {
                note(.wholeOnly, of: reference, events)
                try push(thin, by: thinImages, reference, fields.documents, events, &completed)
            }
            events.emit(.publishImage, fields.fields)
        }
        note(nil, of: reference, events)
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
