// Which fields each known action's events carry: the one table behind the JSON Schema and behind what `notify` says of
// a line that doesn't fit it. A field that an event gets is entered here, or the tests that validate each line fail.

/// The own fields of one known action's events.
package struct ActionFields: Sendable {
    /// What the events say has happened.
    package let action: Action
    /// Fields that each of them has.
    package let required: [Field]
    /// Fields that it has where its `status` is `ok`, and may have where that is `error`.
    package let requiredOnSuccess: [Field]
    /// Fields that it may have.
    package let optional: [Field]

    private init(
        _ action: Action, _ required: [Field] = [], onSuccess: [Field] = [], optional: [Field] = []
    ) {
        self.action = action
        self.required = required
        requiredOnSuccess = onSuccess
        // Whatever happens may have been caused by another event.
        self.optional = optional + [.causedBy]
    }

    /// The end of a pair: how it went and how long it took, and `error` where that is why.
    private static func end(
        _ action: Action, _ required: [Field], onSuccess: [Field] = [], optional: [Field] = []
    ) -> ActionFields {
        ActionFields(
            action, required + [.id, .status, .timeElapsedSeconds], onSuccess: onSuccess, optional: optional)
    }

    /// Whether the events end a pair: `error` is there exactly where `status` is `error`.
    package var isEnd: Bool { required.contains(.status) }

    /// All fields that the events may have.
    package var allowed: [Field] {
        required + requiredOnSuccess + (isEnd ? [.error] : []) + optional
    }

    /// All fields that the events may have, with those that every event has.
    package var everything: [Field] { FieldFormat.common.map(\.field) + allowed }

    /// What is wrong with an event of this action that has these fields, in words; nothing if all is well.
    package func problems(with fields: [(Field, String)]) -> [String] {
        let names = Set(fields.map(\.0))
        let status = fields.last { $0.0 == .status }?.1
        var wanted = required
        if isEnd { wanted += status == "error" ? [.error] : requiredOnSuccess }
        return wanted.filter { !names.contains($0) }.map { "it lacks \($0)" }
            + names.subtracting(allowed).map { "it has \($0)" }.sorted()
    }

    /// The fields of a known action; nil for any other.
    package static func of(_ action: Action) -> ActionFields? { all.first { $0.action == action } }

    /// On each event about an image.
    private static let image: [Field] = [.imageRequest, .image, .repository]
    private static let paths: [Field] = [.publicPath, .privatePath]
    private static let digests: [Field] = [.manifestDigest, .configDigest]
    private static let chain: [Field] = image + [.chain]

    /// Every known action.
    package static let all: [ActionFields] = [
        ActionFields(.startDUCC),
        ActionFields(.endDUCC, [.timeElapsedSeconds]),
        ActionFields(.startIteration, [.id], optional: [.repository]),
        end(.endIteration, [], optional: [.repository]),

        ActionFields(.startImageConversion, image + [.id]),
        end(.endImageConversion, image, optional: [.layers, .layersReused, .bytesDownloaded]),
        ActionFields(.skipImage, image + [.reason]),
        ActionFields(.startLayerConversion, image + [.layer, .id]),
        end(.endLayerConversion, image + [.layer], onSuccess: [.sizeBytes]),
        ActionFields(.startFlatConversion, image + [.id]),
        end(.endFlatConversion, image, onSuccess: [.files]),

        ActionFields(.publishLayer, image + [.layerDigest]),
        ActionFields(.publishFlatImage, image + paths + digests, optional: [.platform]),
        ActionFields(.publishImage, image + digests, optional: paths + [.platform]),
        ActionFields(.publishThinImage, image + [.thinImage], optional: digests + [.platform]),
        ActionFields(.publishPodmanImage, image + digests, optional: [.platform]),

        ActionFields(.startSingleChainConversion, image + [.id], optional: [.chain]),
        end(.endSingleChainConversion, image, optional: [.chain]),
        ActionFields(.startChainsIngestion, image + [.id]),
        ActionFields(.startSingleChainIngestion, chain + [.layer, .id]),
        end(.endSingleChainIngestion, chain + [.layer], onSuccess: [.sizeBytes]),
        ActionFields(.startPodmanIngestion, image + [.id]),
        end(.endPodmanIngestion, image),

        ActionFields(
            .deleteImage, [.image, .repository],
            optional: [.imageRequest, .reason] + paths + digests + [.platform]),
        ActionFields(.deleteLayer, [.repository, .layerDigest], optional: [.reason, .sizeBytes, .files]),
        ActionFields(.startGarbageCollection, [.repository, .id]),
        end(.endGarbageCollection, [.repository], optional: [.layers, .files, .sizeBytes]),

        ActionFields(.notificationWriteFailed, [.lostFirst, .lostLast, .error]),
    ]
}
