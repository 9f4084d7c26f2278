// A store of one's own on a client: an image whose one layer is the flat image in the repository, mounted there. Nothing
// is put over each other when a container starts, which a repository's own store can't spare podman.

import Glibc
import Images
import Platform
import Repository

/// Makes podman stores on clients.
package struct LocalPodmanStore {
    private let directory: String

    /// - Parameter directory: an absolute path; made where it isn't there.
    package init(_ directory: String) { self.directory = directory }

    /// Enters an image, in place of what the store has under its names.
    ///
    /// - Parameters:
    ///   - reference: how the image is called.
    ///   - record: what the repository knows of it.
    ///   - manifest: the exact bytes.
    ///   - configuration: the exact bytes.
    ///   - flat: where its flat image is, absolute.
    /// - Throws: `PodmanProblem` for an image that podman can't read, `RepositoryError` where what is there is no store,
    ///   `SystemError`, `ManifestError`, `EncodingError`, `Interrupted`.
    package func add(
        _ reference: ImageReference, _ record: ImageRecord, manifest: [UInt8], configuration: [UInt8],
        flat: String
    ) throws {
        let names = PodmanStore.names(of: reference)
        try PodmanReadable.check(names, configuration: configuration, manifest: manifest)
        let created = try ImageConfiguration.decode(configuration).created.flatMap { Timestamp(rfc3339: $0) }
        let time = (created ?? Timestamp(seconds: 0)).description
        let digest = try Digest(record.configurationDigest)
        for part in ["overlay/l", "overlay-images", "overlay-layers"] {
            try Files.makeDirectories("\(directory)/\(part)")
        }
        // One after the other; podman itself only reads there.
        let lock = try OwnedDescriptor(
            opening: "\(directory)/.lock", O_RDWR | O_CREAT | O_CLOEXEC, mode: 0o644)
        try FileLock.waitForRecordLock(lock.raw, path: directory) { _ in }
        // Of processes that were killed.
        Files.removeTemporaries(in: directory)
        var index = try PodmanIndex(reading: PodmanPaths(RepositoryContent(root: directory), at: nil))
        // The original DUCC's id of such a layer: containers that were made over it go on.
        let identifier = SHA256.hex(of: Array("cvmfs-flat-layer:\(digest.hex)".utf8))
        let layer = try index.add(
            PodmanIndex.Layer(
                diffIdentifier: try Digest("sha256:\(identifier)"), blob: nil, tree: flat, created: time,
                size: record.size ?? 0), over: nil)
        try index.add(
            PodmanIndex.Image(
                configuration: digest, configurationBytes: configuration, manifestBytes: manifest,
                manifest: try Digest(record.manifestDigest), names: names, layer: layer.identifier,
                created: time))
        for entry in try index.entries() {
            try entry.place(in: directory, by: "\(directory)/.entry")
        }
    }
}
