// What can happen, spelled as consumers match on it: DUCC's own words (its typo included) and the new ones.

/// What an event says has happened.
///
/// The known actions are constants; a program of its own may use any other name of the form
/// `[a-z][a-z0-9_]*` (see ``isWellFormed``).
public struct Action: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The action as it stands in the event's `action` field.
    public let rawValue: String

    /// An action of this name.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// The action's name.
    public var description: String { rawValue }

    /// The most bytes of a name: it stands before everything that could make room for it in a line.
    public static let longestName = 256

    /// Whether the name has the form that every action must have: `[a-z][a-z0-9_]*`, and no more than
    /// ``longestName`` bytes.
    public var isWellFormed: Bool {
        // Asked for each event: through a span, which costs nothing but the look.
        rawValue.utf8Span.span.withUnsafeBufferPointer { name in
            guard let first = name.first, (0x61...0x7a).contains(first), name.count <= Self.longestName
            else { return false }
            return name.allSatisfy(Self.isAllowed)
        }
    }

    /// The nearest name that has the form: an event is worth more than its name.
    var repaired: Action {
        let name = rawValue.utf8.map { Self.isAllowed($0) ? $0 : UInt8(ascii: "_") }
        let first = name.first.map { (0x61...0x7a).contains($0) } == true ? "" : "x"
        return Action(
            rawValue: String((first + String(decoding: name, as: UTF8.self)).prefix(Self.longestName)))
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        (0x61...0x7a).contains(byte) || (0x30...0x39).contains(byte) || byte == UInt8(ascii: "_")
    }

    /// A command that changes something has begun: the first event of its run.
    public static let startDUCC = Action(rawValue: "start_ducc")
    /// The command has ended: the last event of its run.
    public static let endDUCC = Action(rawValue: "end_ducc")
    /// A flat image is about to be made.
    public static let startFlatConversion = Action(rawValue: "start_flat_conversion")
    /// The flat image is made, or finally failed.
    public static let endFlatConversion = Action(rawValue: "end_flat_conversion")
    /// A chain of layers is about to be made.
    public static let startSingleChainConversion = Action(rawValue: "start_single_chain_conversion")
    /// The chain of layers is made. DUCC spells it like this, and consumers match on it.
    public static let endSingleChainConversion = Action(rawValue: "end_single_chain_convertion")
    /// The chains of an image are about to be ingested.
    public static let startChainsIngestion = Action(rawValue: "start_chains_ingestion")
    /// One layer of a chain is about to be ingested.
    public static let startSingleChainIngestion = Action(rawValue: "start_single_chain_ingestion")
    /// One layer of a chain is ingested, or finally failed.
    public static let endSingleChainIngestion = Action(rawValue: "end_single_chain_ingestion")
    /// A layer is about to be fetched and unpacked.
    public static let startLayerConversion = Action(rawValue: "start_layer_conversion")
    /// The layer is fetched and unpacked, or finally failed.
    public static let endLayerConversion = Action(rawValue: "end_layer_conversion")
    /// A layer is visible.
    public static let publishLayer = Action(rawValue: "publish_layer")
    /// A flat image is visible under its public path; sent for a change of the link alone too.
    public static let publishFlatImage = Action(rawValue: "publish_flat_image")
    /// An image is about to be entered into podman's store.
    public static let startPodmanIngestion = Action(rawValue: "start_podman_ingestion")
    /// The image is in podman's store, or finally failed.
    public static let endPodmanIngestion = Action(rawValue: "end_podman_ingestion")

    /// An image needs work and is about to be converted.
    public static let startImageConversion = Action(rawValue: "start_image_conversion")
    /// The image is converted, or finally failed.
    public static let endImageConversion = Action(rawValue: "end_image_conversion")
    /// Everything that was asked for an image is visible: the event most hooks want.
    public static let publishImage = Action(rawValue: "publish_image")
    /// An image needed no work; the reason is in `reason`.
    public static let skipImage = Action(rawValue: "skip_image")
    /// A thin image is in its registry.
    public static let publishThinImage = Action(rawValue: "publish_thin_image")
    /// An image is visible in podman's store.
    public static let publishPodmanImage = Action(rawValue: "publish_podman_image")
    /// An image was withdrawn.
    public static let deleteImage = Action(rawValue: "delete_image")
    /// A layer that nothing used was removed.
    public static let deleteLayer = Action(rawValue: "delete_layer")
    /// Garbage collection has begun.
    public static let startGarbageCollection = Action(rawValue: "start_garbage_collection")
    /// Garbage collection has ended.
    public static let endGarbageCollection = Action(rawValue: "end_garbage_collection")
    /// A turn of `loop` has begun.
    public static let startIteration = Action(rawValue: "start_iteration")
    /// A turn of `loop` has ended.
    public static let endIteration = Action(rawValue: "end_iteration")
    /// Events of this run could not be written; which ones is in `lost_first` and `lost_last`.
    public static let notificationWriteFailed = Action(rawValue: "notification_write_failed")

    /// Whether the event must be on disk before the program goes on (`SyncPolicy.publish`).
    var isDurable: Bool {
        rawValue.hasPrefix("publish_") || rawValue.hasPrefix("delete_") || self == .endDUCC
    }
}
