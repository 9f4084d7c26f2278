// A repository as everything above sees it: what is in it, and how one image gets into it.
//
// The unit is one image's publication. It is the unit because on CernVM-FS a publication is the expensive step (one
// transaction, one new revision of the whole repository), and because an image must appear whole or not at all. So a
// publication is told everything about the image first, takes each new layer as a verified stream, then the flat tree
// as entries that refer to the layers' files, and commits once. Why both implementations can do that:
//
//  - The directory repository unpacks each stream into staging as it comes, hard-links the flat tree from the layers'
//    files, and at the commit renames what it staged into place: a rename is atomic, and the public link comes after
//    all that it leads to.
//  - The CernVM-FS repository spools each stream (so that nothing is downloaded while its transaction is open), and
//    at the commit feeds one archive to the server: the layers' entries, and the flat tree as hard-link entries to
//    paths among the layers, new ones and old ones alike; the server resolves those in its catalogue, without data.
//
// Neither needs to see a file of the flat tree, only which layer it comes from; neither makes anything visible before
// `commit`, and both can throw all of it away until then. Whoever converts knows nothing else about them.

import Images
import Layers
import Platform

/// A place that holds published images.
package protocol ImageRepository: Sendable {
    /// The repository's name, or its absolute path: `repository` of the events.
    var name: String { get }

    /// Reads what is in it, as it is at one moment.
    ///
    /// - Parameter body: reads; called again where what it saw may be of two moments. It holds nothing open.
    /// - Throws: `RepositoryError` where it can't be read, `Interrupted`, what `body` throws.
    func reading<Result>(_ body: (RepositoryContent) throws -> Result) throws -> Result

    /// What is known of the image published at a path; nil where there is none.
    ///
    /// - Throws: `RepositoryError`, `SystemError` where it can't be told, `Interrupted`.
    func record(_ publicPath: String) throws -> ImageRecord?

    /// Where clients find it in CernVM-FS, without `/cvmfs/`; nil where they can't.
    var clientPath: String? { get }

    /// Notes what somebody has yet to be told of a visible image; nil: everything was told.
    ///
    /// - Throws: `RepositoryError`, `SystemError`, `EncodingError`, `Interrupted`.
    func note(_ unannounced: ImageRecord.Unannounced?, of publicPath: String) throws

    /// Begins to publish an image. Nothing becomes visible before the publication is committed.
    ///
    /// - Throws: `RepositoryError`, `SystemError`.
    func begin(_ plan: PublicationPlan) throws -> any Publication
}

extension ImageRepository {
    package func record(_ publicPath: String) throws -> ImageRecord? {
        try reading { try $0.record(publicPath) }
    }

    /// The images that are there, whole, sorted by public path.
    ///
    /// - Throws: `RepositoryError`, `SystemError`, `Interrupted`.
    package func records() throws -> [ImageRecord] {
        try reading { content in
            try content.records().filter { record in
                // What of podman's store is missing is for the next conversion to mend, and no reason to be silent.
                let contents = record.contents
                return try content.isComplete(
                    record,
                    PublishedContents(layers: contents.layers, flat: contents.flat, podman: false))
            }
        }
    }

    /// Which of an image's layers are there, whole, and what their archives' digests are, `sha256:…`. One that doesn't
    /// say that of itself can't be compared with an image's configuration: it is as if it weren't there.
    ///
    /// - Throws: `RepositoryError`, `Interrupted`.
    package func layers(of manifest: Manifest) throws -> [Digest: String] {
        try reading { content in
            let digests = try Set(manifest.layers.map(\.digest)).filter { try content.hasLayer($0) }
            return Dictionary(
                uniqueKeysWithValues: try digests.compactMap { digest in
                    try content.facts(of: digest).map { (digest, $0.diffDigest) }
                })
        }
    }

    /// Whether the flat image of a configuration is there, whole.
    ///
    /// - Throws: `RepositoryError`, `Interrupted`.
    package func hasFlatImage(_ configuration: Digest) throws -> Bool {
        try reading { try $0.hasFlatImage(configuration) }
    }

    /// Whether everything that is wanted of an image is there and visible.
    ///
    /// - Throws: `RepositoryError`, `Interrupted`.
    package func isComplete(_ record: ImageRecord, _ contents: PublishedContents) throws -> Bool {
        try reading { try $0.isComplete(record, contents) }
    }
}

/// What of an image shall be in the repository.
package struct PublishedContents: Codable, Sendable, Equatable {
    /// The unpacked layers.
    package var layers: Bool
    /// The flat image with its public link.
    package var flat: Bool
    /// The image's entry in podman's store.
    package var podman: Bool

    package init(layers: Bool, flat: Bool, podman: Bool) {
        self.layers = layers
        self.flat = flat
        self.podman = podman
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        layers = try container.decode(Bool.self, forKey: .layers)
        flat = try container.decode(Bool.self, forKey: .flat)
        // What was published before there was such a store doesn't know of it.
        podman = try container.decodeIfPresent(Bool.self, forKey: .podman) ?? false
    }
}

/// One layer of an image to be published.
package struct PlannedLayer: Sendable {
    /// The blob.
    package let descriptor: Descriptor
    /// The digest of the archive in it, as the configuration says.
    package let diffIdentifier: Digest
    /// When it was made, as the configuration says.
    package let created: Timestamp
    /// Whether its stream will be handed in; otherwise the repository has it.
    package let isNew: Bool

    package init(descriptor: Descriptor, diffIdentifier: Digest, created: Timestamp, isNew: Bool) {
        self.descriptor = descriptor
        self.diffIdentifier = diffIdentifier
        self.created = created
        self.isNew = isNew
    }
}

/// Everything about an image that is known before its layers are fetched.
package struct PublicationPlan: Sendable {
    package let reference: ImageReference
    /// The digest of what the reference itself names.
    package let referenceDigest: Digest
    /// The registry's exact bytes.
    package let manifestBytes: [UInt8]
    package let manifestDigest: Digest
    package let configurationDigest: Digest
    /// What the flat image has besides its layers' files, parents first.
    package let flatAdditions: [FlatAddition]
    /// When the image was made, as its configuration says.
    package let created: Timestamp
    /// The digest of the image's thin image; nil where a thin image makes no sense.
    package let thinDigest: Digest?
    /// Why the image is not in podman's store though it shall be.
    package let podmanProblem: String?
    /// What else goes into the image's publication.
    package let companions: [any ImageCompanion]
    package let platform: ImagePlatform?
    package let requestedPlatform: ImagePlatform
    /// The layers, the lowest first; one that the image lists twice is here twice and new once.
    package let layers: [PlannedLayer]
    package let contents: PublishedContents
    /// Whether layers that the repository has are made anew.
    package let replacesLayers: Bool
    /// Whether a flat image that the repository has is made anew.
    package let replacesFlat: Bool
    /// Whether somebody will tell of what becomes visible, and `note` that afterwards.
    package let isAnnounced: Bool

    /// Whether the image goes into podman's store.
    package var entersPodman: Bool { contents.podman && podmanProblem == nil }

    package init(
        reference: ImageReference, referenceDigest: Digest, manifestBytes: [UInt8], manifestDigest: Digest,
        configurationDigest: Digest, flatAdditions: [FlatAddition], created: Timestamp, thinDigest: Digest?,
        podmanProblem: String?, companions: [any ImageCompanion], platform: ImagePlatform?,
        requestedPlatform: ImagePlatform,
        layers: [PlannedLayer], contents: PublishedContents,
        replacesLayers: Bool, replacesFlat: Bool, isAnnounced: Bool
    ) {
        self.reference = reference
        self.referenceDigest = referenceDigest
        self.manifestBytes = manifestBytes
        self.manifestDigest = manifestDigest
        self.configurationDigest = configurationDigest
        self.flatAdditions = flatAdditions
        self.created = created
        self.thinDigest = thinDigest
        self.podmanProblem = podmanProblem
        self.companions = companions
        self.platform = platform
        self.requestedPlatform = requestedPlatform
        self.layers = layers
        self.contents = contents
        self.replacesLayers = replacesLayers
        self.replacesFlat = replacesFlat
        self.isAnnounced = isAnnounced
    }
}

/// An image on its way into a repository: `addLayer` for each new layer, from any number of threads, then `merge`, then
/// `commit`, and `abandon` at last; or `abandon` at any point. What failed may be tried again where `triesAgain` says so.
package protocol Publication: AnyObject, Sendable {
    /// Takes a new layer.
    ///
    /// - Parameters:
    ///   - index: its place in the plan.
    ///   - blob: its bytes; they are read to their verified end.
    /// - Throws: `LayerError`, `ArchiveError`, `SystemError`, `Interrupted`, or the stream's error.
    func addLayer(_ index: Int, _ blob: VerifiedStream) throws -> LayerFacts

    /// Puts the layers over each other, once every new one was added, and makes the flat image where it is wanted: the
    /// merged tree's entries, each of which refers to a layer's file.
    ///
    /// - Parameter telling: called with what to tell the user: that old layers can't be read yet, what of the flat image
    ///   can't be had.
    /// - Returns: how many entries the flat image has; 0 where none is made.
    /// - Throws: `LayerError` where they don't fit, `RepositoryError`, `SystemError`, `Interrupted`.
    func merge(makingFlat: Bool, telling: (String) -> Void) throws -> Int

    /// Makes the image visible, all of it in one step, and durable.
    ///
    /// - Parameter waiting: called once where another writer has to be waited for, with what to tell the user.
    /// - Throws: `RepositoryError`, `SystemError`, `Interrupted`. The image is then what it was before; layers of the new
    ///   one may be there, whole, and are reused.
    func commit(waiting: (String) -> Void) throws -> PublicationFacts

    /// Whether `merge` and `commit` may be tried again after they failed.
    var triesAgain: Bool { get }

    /// Throws away what was not committed, or what a commit left over.
    func abandon()
}

/// What a layer came to.
package struct LayerFacts: Sendable {
    /// The archive's length in bytes.
    package let size: Int64
    /// How many entries it has.
    package let entries: Int
}

/// What a commit did.
package struct PublicationFacts: Sendable {
    /// The layers to tell of, the lowest first: they became visible, now or in a run of the image that was killed before
    /// it could tell.
    package let publishedLayers: [Digest]
    /// Whether the public link is new or leads elsewhere than before.
    package let linkChanged: Bool
    /// What of the image the file system could not keep.
    package let lost: [String]
    /// Whether another converter had published the very image when the commit's turn came: nothing was done, and telling
    /// of it is the other's.
    package var isAnothers = false
}

/// A repository that isn't there, or refuses.
package struct RepositoryError: Error, CustomStringConvertible, Sendable {
    package enum Kind: Sendable {
        /// There is no such repository.
        case noSuchRepository
        /// What is there stands in the way.
        case refused
        /// The lock can't be had.
        case locked
    }

    package let kind: Kind
    /// One line: what is wrong, where, what to do.
    package let description: String

    package init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}
