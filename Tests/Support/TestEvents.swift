// Events that tests emit. Each line that any test emits must be as the schema says: these are of no known action, or
// have all its fields.

import Notifications

extension Action {
    /// An event of the tests' own, of which the schema knows nothing but the form.
    package static let test = Action(rawValue: "test")
    /// One that is forced to disk.
    package static let publishTest = Action(rawValue: "publish_test")
}

extension Field {
    /// What an event of the tests' own says.
    package static let text = Field(rawValue: "text")
}

extension NotificationWriter {
    /// Ends the run.
    @discardableResult
    package func end() -> String { emit(.endDUCC, [(.timeElapsedSeconds, "0.000001")]) }
}

/// The fields that are on every event about an image.
package func fields(ofImage image: String) -> [(Field, String)] {
    [(.imageRequest, "https://\(image)"), (.image, image), (.repository, "software.example.org")]
}

/// A digest as it is in `manifest_digest`.
package let testDigest = "sha256:" + String(repeating: "1f", count: 32)

/// A UUID as it is in `id`.
package let testIdentifier = "f1cec170-cfe9-40ed-8c57-0a733cc918ae"

/// What a `publish_flat_image` has.
package func fields(ofFlatImage image: String) -> [(Field, String)] {
    fields(ofImage: image) + [
        (.publicPath, image), (.privatePath, ".flat/1f/1f1f"), (.manifestDigest, testDigest),
        (.configDigest, testDigest),
    ]
}
