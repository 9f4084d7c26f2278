// What is in a repository, read from the directory that shows it: the repository itself, or the mounted revision of a
// CernVM-FS repository. Nothing is held open between two calls. What can't be read is an error, never absent: an image
// that seems to be missing would be fetched and published again.

import Glibc
import Images
import Layers
import Platform

/// The published images, layers and flat images beneath a root.
package struct RepositoryContent: Sendable {
    /// The root, absolute.
    package let root: String

    /// - Parameter root: an absolute path.
    package init(root: String) { self.root = root }

    /// A path in the repository.
    package func path(_ relative: String) -> String { root == "/" ? "/\(relative)" : "\(root)/\(relative)" }

    /// Whether anything is at a path, a link that leads nowhere included.
    ///
    /// - Throws: `SystemError`.
    package func exists(_ relative: String) throws(SystemError) -> Bool {
        try Files.mode(of: path(relative)) != nil
    }

    /// Whether a directory is at a path, or a link that leads to one.
    ///
    /// - Throws: `SystemError`.
    package func isDirectory(_ relative: String) throws(SystemError) -> Bool {
        try Files.mode(of: path(relative), followingLinks: true).map { $0 & S_IFMT == S_IFDIR } ?? false
    }

    /// The text of the symbolic link at a path; nil where there is none.
    ///
    /// - Throws: `SystemError`.
    package func linkTarget(_ relative: String) throws(SystemError) -> String? {
        guard try Files.mode(of: path(relative)).map({ $0 & S_IFMT == S_IFLNK }) == true else { return nil }
        guard let text = Files.linkTarget(path(relative)) else {
            throw SystemError("read the link", path(relative))
        }
        return text
    }

    /// The bytes of the file at a path; nil where it does not exist.
    ///
    /// - Throws: `SystemError`.
    package func read(_ relative: String, limit: Int) throws(SystemError) -> [UInt8]? {
        try Files.readIfPresent(path(relative), limit: limit)
    }

    package func record(_ publicPath: String) throws -> ImageRecord? {
        let directory = path(RepositoryLayout.imageMetadata(publicPath))
        guard let manifest = try readDocument("\(directory)/\(RepositoryLayout.manifestName)", orNone: [])
        else {
            return nil
        }
        let digest = "sha256:\(SHA256.hex(of: manifest))"
        // Another tool may have published over ours, or a crash come between the two files: the manifest counts.
        if let bytes = try readDocument("\(directory)/\(RepositoryLayout.recordName)", orNone: [EFBIG]),
            let record = RepositoryJSON.decode(ImageRecord.self, from: bytes),
            record.publicPath == publicPath, record.manifestDigest == digest
        {
            return record
        }
        return try recordFromManifest(publicPath, directory, manifest, digest)
    }

    func records() throws -> [ImageRecord] {
        var found: [ImageRecord] = []
        try collect(RepositoryLayout.metadata, "", &found)
        return found.sorted { $0.publicPath < $1.publicPath }
    }

    func hasLayer(_ digest: Digest) throws(SystemError) -> Bool {
        // `layers.json` is the last thing that is written of a layer: by us with all the rest, by the original DUCC
        // after the rest.
        guard try isDirectory(RepositoryLayout.layerTree(digest)) else { return false }
        return try exists(RepositoryLayout.layer(digest) + "/" + RepositoryLayout.layerFactsName)
    }

    package func hasFlatImage(_ configuration: Digest) throws(SystemError) -> Bool {
        try isDirectory(RepositoryLayout.flatImage(configuration))
    }

    func isComplete(_ record: ImageRecord, _ contents: PublishedContents) throws(SystemError) -> Bool {
        guard let configuration = try? Digest(record.configurationDigest) else { return false }
        if contents.flat {
            let expected = RepositoryLayout.linkTarget(from: record.publicPath, to: configuration)
            guard try linkTarget(record.publicPath) == expected, try hasFlatImage(configuration) else {
                return false
            }
        }
        if contents.podman, try !hasPodmanImage(record, configuration) { return false }
        guard contents.layers else { return true }
        for layer in record.layers {
            guard let digest = try? Digest(layer.digest), try hasLayer(digest) else { return false }
        }
        return true
    }

    /// Whether an image is in podman's store. Its names were entered with the record: a look into `images.json` for each
    /// image of a long list would cost more than all else that is asked of an unchanged one.
    private func hasPodmanImage(_ record: ImageRecord, _ configuration: Digest) throws(SystemError) -> Bool {
        if record.podmanProblem != nil { return true }
        guard record.contents.podman, try exists("\(RepositoryLayout.podmanImages)/images.json") else {
            return false
        }
        return try exists("\(RepositoryLayout.podmanImages)/\(configuration.hex)/manifest")
    }

    /// What a layer leaves open.
    ///
    /// - Throws: `LayerError` where what was noted of that is damaged, `SystemError`.
    func layerContext(_ digest: Digest) throws -> LayerContext {
        let bytes = try read(
            "\(RepositoryLayout.layer(digest))/\(RepositoryLayout.layerContextName)", limit: 1 << 30)
        guard let bytes else { return LayerContext() }
        return try LayerContext(decoding: bytes)
    }

    /// What a layer's `layers.json` says of it; nil where it says nothing.
    ///
    /// - Throws: `SystemError`.
    func facts(of digest: Digest) throws(SystemError) -> LayerFile? {
        try read("\(RepositoryLayout.layer(digest))/\(RepositoryLayout.layerFactsName)", limit: 1 << 20)
            .flatMap { RepositoryJSON.decode([LayerFile].self, from: $0) }?.first
    }

    /// A layer's `origin.json` with one more image; nil where it has that one.
    ///
    /// - Throws: `EncodingError`, `SystemError`.
    func origin(of digest: Digest, adding configuration: Digest) throws -> [UInt8]? {
        let path = "\(RepositoryLayout.layer(digest))/\(RepositoryLayout.layerOriginName)"
        let old = try read(path, limit: 64 << 20).flatMap {
            RepositoryJSON.decode(OriginFile.self, from: $0)
        }
        var origin = old ?? OriginFile(origin: [])
        if origin.origin.contains(configuration.description) { return nil }
        origin.origin.append(configuration.description)
        return try RepositoryJSON.encode(origin)
    }

    private func collect(_ directory: String, _ publicPath: String, _ found: inout [ImageRecord]) throws {
        for name in try DirectoryEntry.names(in: path(directory)) {
            let child = "\(directory)/\(name)"
            // A part of a repository's name may be spelled like the file.
            if name == RepositoryLayout.manifestName, try !isDirectory(child) {
                if let record = try record(publicPath) { found.append(record) }
            } else if try Files.mode(of: path(child)).map({ $0 & S_IFMT == S_IFDIR }) == true {
                try collect(child, publicPath.isEmpty ? name : "\(publicPath)/\(name)", &found)
            }
        }
    }

    /// A file's bytes, or nil where there is none, or where reading fails for one of the reasons.
    private func readDocument(_ path: String, orNone reasons: [CInt]) throws(SystemError) -> [UInt8]? {
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
    ) throws(SystemError) -> ImageRecord? {
        guard case .manifest(let manifest)? = try? ManifestDocument.decode(bytes, mediaType: nil) else {
            return nil
        }
        var information = stat()
        guard stat("\(directory)/\(RepositoryLayout.manifestName)", &information) == 0 else {
            throw SystemError("look at", "\(directory)/\(RepositoryLayout.manifestName)")
        }
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
            contents: PublishedContents(
                layers: true, flat: try linkTarget(publicPath) != nil, podman: false))
    }
}
