// What was last said of the images that needed no work: `loop` says it once, not at each turn.

import Synchronization

/// The reasons for which images were skipped, by their requests.
package final class SkipMemory: Sendable {
    private let reasons = Mutex<[String: String]>([:])

    package init() {}

    /// Notes why an image is skipped.
    ///
    /// - Returns: whether that is another reason than the last time.
    func note(_ reason: String, of request: String) -> Bool {
        reasons.withLock { $0.updateValue(reason, forKey: request) != reason }
    }

    /// The image needs work: whatever is said of it next is news.
    func forget(_ request: String) { reasons.withLock { _ = $0.removeValue(forKey: request) } }
}
