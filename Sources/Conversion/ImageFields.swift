// Fields of the events that tell of an image that is visible, from a plan or from a record.

import Images
import Notifications
import Repository

/// What the events tell of an image that is visible.
struct ImageFields {
    var fields: [(Field, String)] { places + documents }
    private let places: [(Field, String)]
    /// Its digests, and what it runs on.
    let documents: [(Field, String)]

    init(_ plan: PublicationPlan) {
        self.init(
            publicPath: plan.contents.flat ? plan.reference.publicPath : nil,
            manifest: plan.manifestDigest.description,
            configuration: plan.configurationDigest, platform: plan.platform?.description)
    }

    init(_ record: ImageRecord) throws {
        self.init(
            publicPath: record.contents.flat ? record.publicPath : nil, manifest: record.manifestDigest,
            configuration: try Digest(record.configurationDigest), platform: record.platform)
    }

    private init(publicPath: String?, manifest: String, configuration: Digest, platform: String?) {
        places =
            publicPath.map {
                [(.publicPath, $0), (.privatePath, RepositoryLayout.flatImage(configuration))]
            } ?? []
        documents =
            [(.manifestDigest, manifest), (.configDigest, configuration.description)]
            + (platform.map { [(.platform, $0)] } ?? [])
    }
}
