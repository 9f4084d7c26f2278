// The state that the threads which fetch an image's layers share.

import Platform
import Synchronization

/// The transfer of an image's layers, by several threads: how much, and whether it goes on.
final class LayerTransfer: Sendable {
    private let count = Atomic<Int>(0)
    private let isStopped = Atomic<Bool>(false)
    private let first = Mutex<(any Error)?>(nil)

    /// - Throws: `ConversionError` where another layer has failed: this one is then of no use. `Interrupted` where that
    ///   is why: one signal stops all layers, and each says so.
    func add(_ bytes: Int) throws {
        count.wrappingAdd(bytes, ordering: .relaxed)
        guard !isStopped.load(ordering: .relaxed) else {
            try Interruption.check()
            throw ConversionError("another layer of the image failed")
        }
    }

    /// Whether a layer has failed for good.
    var hasStopped: Bool { isStopped.load(ordering: .relaxed) }

    /// Stops all layers; the first error is the reason.
    func stop(_ error: any Error) {
        first.withLock { if $0 == nil { $0 = error } }
        isStopped.store(true, ordering: .releasing)
    }

    /// Why the transfer stopped: the layer's own error, whichever thread is the first to return.
    var failure: (any Error)? { first.withLock { $0 } }

    var bytes: Int64 { Int64(count.load(ordering: .relaxed)) }
}

/// A conversion that can't be.
package struct ConversionError: Error, CustomStringConvertible, Sendable {
    package let description: String
    init(_ description: String) { self.description = description }
}
