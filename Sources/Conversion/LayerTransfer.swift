// The state that the threads which fetch an image's layers share.

import Platform
import Synchronization

/// The transfer of an image's layers, by several threads: how much, and whether it goes on.
final class LayerTransfer: Sendable {
    private let count = Atomic<Int>(0)
    private let isStopped = Atomic<Bool>(false)
    private let failure = Mutex<(any Error)?>(nil)

    /// - Throws: `ConversionError` where another layer has failed: this one is then of no use. `Interrupted` where that
    ///   is why: one signal stops all layers, and each says so.
    func add(_ bytes: Int) throws {
        count.wrappingAdd(bytes, ordering: .relaxed)
        guard !isStopped.load(ordering: .relaxed) else {
            try Interruption.check()
            throw ConversionError("another layer of the image failed")
        }
    }

    /// Ends the other layers' transfers too.
    func stop(_ error: any Error) {
        failure.withLock { if $0 == nil { $0 = error } }
        isStopped.store(true, ordering: .relaxed)
    }

    /// What failed first: what the other layers say afterwards may be heard of earlier.
    var cause: (any Error)? { failure.withLock { $0 } }

    var bytes: Int64 { Int64(count.load(ordering: .relaxed)) }
}

/// A conversion that can't be.
package struct ConversionError: Error, CustomStringConvertible, Sendable {
    package let description: String
    init(_ description: String) { self.description = description }
}
