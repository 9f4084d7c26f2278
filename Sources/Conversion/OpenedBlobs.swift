// Blobs that were asked for before it is their turn: to see whether a layer that need not be in the registry is to be
// had, it is opened, and what was opened is what is read.

import Images
import Platform
import Synchronization

/// Streams that wait to be read.
final class OpenedBlobs: Sendable {
    // @unchecked: whoever takes a stream out is its only user.
    private struct Opened: @unchecked Sendable { let stream: any ByteStream }

    private let streams = Mutex<[Digest: Opened]>([:])
    /// Each is an open connection: a manifest can name more layers than a process has descriptors.
    private static let most = 16

    /// Keeps a stream; where there are too many already, it is asked for again when it is its turn.
    func keep(_ stream: any ByteStream, of digest: Digest) {
        let opened = Opened(stream: stream)
        streams.withLock { if $0.count < Self.most { $0[digest] = opened } }
    }

    /// The stream of a blob, once.
    func take(_ digest: Digest) -> (any ByteStream)? {
        streams.withLock { $0.removeValue(forKey: digest) }?.stream
    }
}
