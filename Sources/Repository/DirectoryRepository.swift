// The repository in a shared directory: the embedded default, and real for sites that share images over NFS or Lustre.

import Glibc
import Images
import Platform

/// A repository in a directory.
package struct DirectoryRepository: ImageRepository {
    /// The repository's directory, absolute.
    let root: String

    package var name: String { root }

    /// Opens a repository, which is created where it isn't there.
    ///
    /// - Parameters:
    ///   - name: the path as the user wrote it; a leading `file:` is no part of the path.
    ///   - create: whether an absent one is made.
    /// - Throws: `RepositoryError` where there is none and none can be made.
    package init(_ name: String, create: Bool) throws(RepositoryError) {
        FileCreationMask.clear()
        var path = name.hasPrefix("file:") ? String(name.dropFirst("file:".count)) : name
        if path.hasPrefix("///") { path = String(path.dropFirst(2)) }
        while path.utf8.count > 1, path.hasSuffix("/") { path.removeLast() }
        path = Self.absolute(path)
        root = path
        // In this order: another converter may make it between the two questions.
        if Files.exists(path) {
            guard Files.isDirectory(path) else {
                throw RepositoryError(.noSuchRepository, "the repository \(path) is no directory")
            }
            if create { Staging.clean(repository: path) }
            return
        }
        guard create else { throw RepositoryError(.noSuchRepository, "there is no repository \(path)") }
        let parent = Files.parentPath(of: path)
        guard Files.isDirectory(parent) else {
            throw RepositoryError(
                .noSuchRepository, "the repository \(path) can't be created: there is no directory \(parent)")
        }
        do throws(SystemError) {
            try Files.makeDirectories(path)
        } catch {
            throw RepositoryError(.noSuchRepository, "the repository can't be created: \(error)")
        }
    }

    /// A path that means the same wherever a hook that is told of it runs.
    private static func absolute(_ path: String) -> String {
        if path.hasPrefix("/") { return path }
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        guard getcwd(&buffer, buffer.count) != nil else { return path }
        let here = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let parts = path.split(separator: "/").filter { $0 != "." }.map(String.init)
        return ([here == "/" ? "" : here] + parts).joined(separator: "/")
    }

    /// Whether a repository's name means a directory.
    package static func isDirectoryName(_ name: String) -> Bool {
        ["/", "./", "../", "file:"].contains { name.hasPrefix($0) } && !name.hasPrefix("/cvmfs/")
    }

    package func record(_ publicPath: String) throws -> ImageRecord? {
        let directory = path(RepositoryLayout.imageMetadata(publicPath))
        guard let manifest = try read("\(directory)/\(RepositoryLayout.manifestName)", orNone: []) else {
            return nil
        }
        let digest = "sha256:\(SHA256.hex(of: manifest))"
        // Another tool may have published over ours, or a crash come between the two files: the manifest counts.
        if let bytes = try read("\(directory)/\(RepositoryLayout.recordName)", orNone: [EFBIG]),
            let record = RepositoryJSON.decode(ImageRecord.self, from: bytes),
            record.publicPath == publicPath, record.manifestDigest == digest
        {
            return record
        }
        return recordFromManifest(publicPath, directory, manifest, digest)
    }

    package func records() throws -> [ImageRecord] {
        var found: [ImageRecord] = []
        try collect(RepositoryLayout.metadata, "", &found)
        return found.sorted { $0.publicPath < $1.publicPath }
    }

    package func hasLayer(_ digest: Digest) -> Bool {
        // `layers.json` is the last thing that is written of a layer: by us with all the rest, by the original DUCC
        // after the rest.
        Files.isDirectory(path(RepositoryLayout.layerTree(digest)))
            && Files.exists(path(RepositoryLayout.layer(digest)) + "/" + RepositoryLayout.layerFactsName)
    }

    package func hasFlatImage(_ configuration: Digest) -> Bool {
        Files.isDirectory(path(RepositoryLayout.flatImage(configuration)))
    }

    package func isComplete(_ record: ImageRecord, _ contents: PublishedContents) -> Bool {
        guard let configuration = try? Digest(record.configurationDigest) else { return false }
        if contents.flat {
            let expected = RepositoryLayout.linkTarget(from: record.publicPath, to: configuration)
            guard Files.linkTarget(path(record.publicPath)) == expected,
                hasFlatImage(configuration)
            else { return false }
        }
        guard contents.layers else { return true }
        return record.layers.allSatisfy { layer in (try? Digest(layer.digest)).map(hasLayer) ?? false }
    }

    package func noteAnnounced(_ publicPath: String) throws {
        guard var record = try record(publicPath), let unannounced = record.unannounced else { return }
        for layer in unannounced.layers.compactMap({ Digest(sha256Hex: $0) }) {
            unlink(path(RepositoryLayout.untoldMark(layer)))
        }
        record.unannounced = nil
        let directory = path(RepositoryLayout.imageMetadata(publicPath))
        // Not forced to disk: after a crash the events come once more.
        try Files.replace(
            "\(directory)/\(RepositoryLayout.recordName)", with: try RepositoryJSON.encode(record),
            sync: false)
    }

    package func begin(_ plan: PublicationPlan) throws -> any Publication {
        try DirectoryPublication(self, plan)
    }

    /// A path in the repository.
    func path(_ relative: String) -> String { root == "/" ? "/\(relative)" : "\(root)/\(relative)" }

    /// Runs what writes to the repository. Where its file system takes nothing, the error says so: the path of one file
    /// in an image doesn't tell a person what is full.
    ///
    /// - Throws: `RepositoryError` for such a file system; what `body` throws.
    func explaining<Result>(_ body: () throws -> Result) throws -> Result {
        do { return try body() } catch let error as SystemError {
            switch error.code {
            case ENOSPC, EDQUOT:
                throw RepositoryError(
                    .refused, "the repository \(root) is full: \(error): free space or inodes there")
            case EROFS:
                throw RepositoryError(
                    .refused, "the repository \(root) is on a read-only file system: \(error)")
            default: throw error
            }
        }
    }

    private func collect(_ directory: String, _ publicPath: String, _ found: inout [ImageRecord]) throws {
        for name in try DirectoryEntry.names(in: path(directory)) {
            let child = "\(directory)/\(name)"
            // A part of a repository's name may be spelled like the file.
            if name == RepositoryLayout.manifestName, !Files.isDirectory(path(child)) {
                if let record = try record(publicPath) { found.append(record) }
            } else if Files.linkTarget(path(child)) == nil, Files.isDirectory(path(child)) {
                try collect(child, publicPath.isEmpty ? name : "\(publicPath)/\(name)", &found)
            }
        }
    }

    /// A file's bytes, or nil where there is none, or where reading fails for one of the reasons.
    private func read(_ path: String, orNone reasons: [CInt]) throws(SystemError) -> [UInt8]? {
        do throws(SystemError) {
            return try Files.read(path, limit: 16 << 20)
        } catch {
            guard ([ENOENT, ENOTDIR, EISDIR] + reasons).contains(error.code) else { throw error }
            return nil
        }
    }

    /// What can be known of an image without our record, as the original DUCC leaves it: its manifest.
    private func recordFromManifest(
        _ publicPath: String, _ directory: String, _ bytes: [UInt8], _ digest: String
    ) -> ImageRecord? {
        guard case .manifest(let manifest)? = try? ManifestDocument.decode(bytes, mediaType: nil) else {
            return nil
        }
        var information = stat()
        guard stat("\(directory)/\(RepositoryLayout.manifestName)", &information) == 0 else { return nil }
        return ImageRecord(
            image: publicPath, imageRequest: "", publicPath: publicPath, referenceDigest: "",
            manifestDigest: digest,
            configurationDigest: manifest.config.digest.description, platform: nil, requestedPlatform: nil,
            published: Timestamp(
                seconds: information.st_mtim.tv_sec, nanoseconds: information.st_mtim.tv_nsec
            ).description,
            layers: manifest.layers.map {
                ImageRecord.Layer(digest: $0.digest.description, compressedSize: $0.size, size: nil)
            }, files: nil, lost: [],
            contents: PublishedContents(layers: true, flat: Files.linkTarget(path(publicPath)) != nil))
    }
}
