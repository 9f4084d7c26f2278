// Applying one layer: a single pass over the blob's bytes, from the network to the files or to a tree in memory.
//
//   blob ─▶ digest, size ─▶║─▶ inflate ─▶║─▶ diff id ─▶ tar ─▶ entries applied to the root
//
// Each part between bars works ahead of the next, in a thread of its own.
//
// The result may be used only when `unpack` or `scan` has returned: then the blob and the archive in it were what their
// digests said, to the last byte. After an error the root is in no defined state and is thrown away by whoever made it.

import Archive
import Glibc
import Images
import Platform

/// What stops an archive that would fill the disk or the memory.
package struct LayerLimits: Sendable {
    /// The most entries of one layer, the directories that they need included.
    package var entries = 10_000_000
    /// The most bytes of all entries' paths together.
    package var pathBytes = 1 << 30
    /// The most bytes of one layer's archive, and of its files with their holes.
    package var bytes: Int64 = 1 << 40

    package init() {}
}

/// What one layer came to.
package struct UnpackedLayer: Sendable {
    /// The digest of the archive.
    package let diffIdentifier: Digest
    /// The archive's length in bytes: what `size_bytes` of the layer's events tells.
    package let size: Int64
    /// How many entries the archive has.
    package let entries: Int
    /// What could not be kept.
    package let lost: LostAttributes
    /// What it leaves open.
    package let context: LayerContext
    /// Its tree, where it was only scanned.
    package let tree: LayerTree?
}

/// Applies layers.
package enum LayerUnpacker {
    /// Unpacks a layer beneath a directory. What becomes of it depends on the archive alone.
    ///
    /// - Parameters:
    ///   - blob: the layer's bytes, with their check.
    ///   - root: an empty directory.
    ///   - diffIdentifier: the digest that the image's configuration gives for the archive; nil where it gives none.
    ///   - created: the time of directories that no entry names.
    /// - Throws: `LayerError`, `ArchiveError`, `SystemError`, `Interrupted`, or the stream's error.
    package static func unpack(
        _ blob: VerifiedStream, into root: SharedDescriptor, diffIdentifier: Digest?, created: timespec,
        limits: LayerLimits = LayerLimits()
    ) throws -> UnpackedLayer {
        let budget = LayerBudget(limits)
        let target = try DirectoryTarget(root, budget)
        let applier = LayerApplier(target, budget)
        let archive = try pass(blob, blob, diffIdentifier, limits) { try applier.add($0, from: $1) }
        let (context, lost) = try target.finish(created: created)
        return UnpackedLayer(
            diffIdentifier: archive.digest, size: archive.size, entries: budget.entries, lost: lost,
            context: context, tree: nil)
    }

    /// Applies a layer to a tree in memory: what `unpack` would make of it, without a file and without privileges.
    ///
    /// - Parameters:
    ///   - blob: the layer's bytes, with their check.
    ///   - spool: where the blob's bytes go as they are: an empty file.
    /// - Throws: as `unpack`.
    package static func scan(
        _ blob: VerifiedStream, spool: SharedDescriptor, path: String, diffIdentifier: Digest?,
        created: timespec,
        limits: LayerLimits = LayerLimits()
    ) throws -> UnpackedLayer {
        let budget = LayerBudget(limits)
        let target = TreeTarget(budget, created: created)
        let applier = LayerApplier(target, budget)
        let spooled = SpooledStream(blob, to: spool, path: path)
        let archive = try pass(spooled, blob, diffIdentifier, limits) { entry, reader in
            try target.beginEntry()
            try applier.add(entry, from: reader)
        }
        let tree = try target.finish()
        return UnpackedLayer(
            diffIdentifier: archive.digest, size: archive.size, entries: budget.entries,
            lost: LostAttributes(),
            context: try tree.context(withOpaque: false), tree: tree)
    }

    /// Reads a blob to its verified end, and gives each of its entries to `body`.
    ///
    /// - Parameter stream: the blob, or a stream over it.
    private static func pass(
        _ stream: any ByteStream, _ blob: VerifiedStream, _ diffIdentifier: Digest?, _ limits: LayerLimits,
        _ body: (TarEntry, TarReader) throws -> Void
    ) throws -> (digest: Digest, size: Int64) {
        let fetched = ReadAheadStream(stream)
        let inflated = ReadAheadStream(try Decompression.stream(fetched))
        func cancel() { for stream in [fetched, inflated] { stream.cancel() } }
        // Until then the blob is the first thread's: a compressed stream may end before the blob does.
        func stop() -> (any Error)? {
            cancel()
            let inner = inflated.stop()
            return fetched.stop() ?? inner
        }
        // A refused layer's error doesn't wait for what the other side has still to send.
        defer { cancel() }
        let archive = try HashingStream(inflated, limit: limits.bytes)
        do {
            let reader = try TarReader(archive)
            while let entry = try reader.next() {
                try Interruption.check()
                try body(entry, reader)
            }
        } catch let error as ArchiveError {
            // Bytes that didn't come, or aren't the ones the manifest names, explain a damaged archive better than the
            // damage does.
            if let cause = stop(), !(cause is ArchiveError) { throw cause }
            try blob.drain()
            throw error
        }
        let found = try archive.finish()
        if let failure = stop() { throw failure }
        while try !stream.next().isEmpty {}
        guard let digest = Digest(sha256Hex: found), diffIdentifier == nil || diffIdentifier == digest else {
            throw LayerError(
                "the layer unpacks to sha256:\(found), but the image's configuration says "
                    + "\(diffIdentifier?.description ?? "")")
        }
        return (digest, archive.count)
    }
}
