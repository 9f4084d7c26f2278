// What a person watching is told while a conversion runs. The programs draw it; nothing here knows how.

import Images

/// Told of progress, from any thread.
package protocol ConversionObserver: Sendable {
    /// An image needs work.
    func imageBegan(_ reference: ImageReference)
    /// A layer's transfer began; `bytes` is its length.
    func layerBegan(_ digest: Digest, bytes: Int64)
    /// So many more bytes of a layer were transferred and unpacked.
    func layerAdvanced(_ digest: Digest, bytes: Int)
    /// A layer is unpacked, or failed: `error` says why.
    func layerEnded(_ digest: Digest, entries: Int, error: String?)
    /// The flat image is being made.
    func flatBegan(_ reference: ImageReference)
    /// The flat image is complete, or failed.
    func flatEnded(_ reference: ImageReference, entries: Int?)
    /// Something worth a line: that a lock is waited for, or that an attribute was lost.
    func warn(_ text: String)
    /// An image is done.
    func imageEnded(_ reference: ImageReference, _ result: ImageResult)
}
