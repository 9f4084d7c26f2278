// An image in an archive that `docker save` or `podman save` made (docker's image specification 1.2, "Combined Image
// JSON + Filesystem Changeset Format"): `manifest.json` names the configuration and the layers among the entries.
//
// An archive has no digests: they are computed in one pass, and a manifest is made of them. For each layer the entries
// before it are passed over; for that a compressed archive is decompressed into the temporary directory first. A name
// in an archive is only compared, never opened.

import Archive
import FoundationEssentials
import Glibc
import Images
import Platform
import Synchronization

/// A source that reads an image from a docker archive. Used from several threads.
final class DockerArchiveSource: ImageSource {
    private let path: String
    private let reference: ImageReference
    private let temporaryDirectory: String
    private let contents = Mutex<Contents?>(nil)
    /// The archive without its compression.
    private let plain = Mutex<SharedDescriptor?>(nil)

    /// An image's parts.
    private struct Contents: Sendable {
        let manifest: FetchedDocument
        let configuration: [UInt8]
        let configurationDigest: Digest
        /// The names of layers' entries, by their digests.
        let layers: [Digest: String]
    }

    /// - Parameter temporaryDirectory: where a compressed archive is decompressed.
    init(path: String, reference: ImageReference, temporaryDirectory: String) {
        self.path = path
        self.reference = reference
        self.temporaryDirectory = temporaryDirectory
    }

    func currentDigest() throws -> Digest { try read().manifest.digest }

    func document(_ digest: Digest?) throws -> FetchedDocument {
        let document = try read().manifest
        guard digest == nil || digest == document.digest else {
            throw SourceError("\(reference) has no manifest \(digest?.description ?? "")")
        }
        return document
    }

    func blob(_ descriptor: Descriptor) throws -> any ByteStream {
        let contents = try read()
        if descriptor.digest == contents.configurationDigest { return MemoryStream(contents.configuration) }
        guard let name = contents.layers[descriptor.digest] else {
            throw SourceError("\(path) has no layer \(descriptor.digest)")
        }
        let archive = try open()
        while let entry = try archive.next() {
            if entry.kind == .file, Self.name(entry) == name { return EntryStream(archive) }
            try Interruption.check()
        }
        throw SourceError("\(path) was changed while it was read: '\(name)' is gone")
    }

    // MARK: Reading the archive

    private func read() throws -> Contents {
        try contents.withLock { known in
            if let known { return known }
            do {
                let found = try contents(of: try listing())
                known = found
                return found
            } catch let error as ArchiveError {
                throw SourceError("\(path) is no docker archive: \(error)")
            }
        }
    }

    /// Reads the archive from its beginning.
    private func open() throws -> TarReader {
        let descriptor = try plain.withLock { known in
            let descriptor = try known ?? decompressed()
            known = descriptor
            return descriptor
        }
        return try TarReader(FileStream(descriptor, path: path))
    }

    /// The archive itself where it isn't compressed, else a copy of it that isn't.
    private func decompressed() throws -> SharedDescriptor {
        let archive: SharedDescriptor
        do throws(SystemError) {
            // A FIFO would make us wait for a writer here, where no signal ends the wait.
            archive = SharedDescriptor(try OwnedDescriptor(opening: path, O_RDONLY | O_NONBLOCK))
            _ = fcntl(archive.raw, F_SETFL, 0)
        } catch { throw SourceError("\(reference): \(error)") }
        var information = stat()
        var magic = [UInt8](repeating: 0, count: 4)
        guard fstat(archive.raw, &information) == 0 else { throw SystemError("look at", path) }
        // A pipe can be read only once.
        if information.st_mode & S_IFMT == S_IFREG {
            let count = retrying { pread(archive.raw, &magic, 4, 0) }
            guard count >= 0 else { throw SystemError("read", path) }
            if !Decompression.isCompressed(Array(magic[..<count])) { return archive }
        }
        let content = try Decompression.stream(FileStream(archive, path: path))
        do {
            let copy = SharedDescriptor(try Files.temporaryFile(in: temporaryDirectory))
            while true {
                let chunk = try content.next()
                if chunk.isEmpty { return copy }
                try Interruption.check()
                try Files.writeAll(chunk, to: copy.raw, path: temporaryDirectory)
            }
        } catch let error as SystemError where error.path == temporaryDirectory {
            throw SourceError(
                "\(path) can't be decompressed: \(error); name another temporary directory with --temporary-dir"
            )
        }
    }

    /// The image's entry in `manifest.json`, with the names that links among the archive's entries lead to.
    private func listing() throws -> ArchivedImage {
        let archive = try open()
        var images: [ArchivedImage]?
        var links: [String: String] = [:]
        while let entry = try archive.next() {
            try Interruption.check()
            let name = Self.name(entry)
            switch entry.kind {
            case .symbolicLink where links.count < 10_000:
                if let target = entry.symbolicLinkTarget.map({ String(cString: $0) }) {
                    links[name] = Self.joined(Files.parentPath(of: name), target)
                }
            case .hardLink where links.count < 10_000:
                if let target = entry.hardLinkTarget { links[name] = Self.plain(String(cString: target)) }
            case .file where name == "manifest.json":
                guard let bytes = try EntryStream(archive).collect(limit: ManifestDocument.largestSize) else {
                    throw SourceError("\(path): its manifest.json is too long")
                }
                images = try? JSONDecoder().decode([ArchivedImage].self, from: Data(bytes))
                if images == nil { throw SourceError("\(path): its manifest.json is no list of images") }
            default: break
            }
        }
        guard let images else {
            throw SourceError(
                "\(path) is no docker archive: it has no manifest.json; docker save makes one that has")
        }
        var image = try select(among: images)
        // Older versions of docker write a layer that two images share once, and a link elsewhere.
        func resolved(_ name: String) -> String {
            var name = Self.plain(name)
            for _ in 0..<16 { name = links[name] ?? name }
            return name
        }
        image.config = resolved(image.config)
        image.layers = image.layers?.map(resolved)
        return image
    }

    /// The image of the reference's tag, or the only one.
    private func select(among images: [ArchivedImage]) throws -> ArchivedImage {
        let names = images.flatMap { $0.repoTags ?? [] }
        if let tag = reference.tag {
            if let found = images.first(where: {
                $0.repoTags?.contains { $0 == tag || $0.hasSuffix(":\(tag)") } == true
            }) {
                return found
            }
            throw SourceError(
                "\(path) has no image '\(tag)'; it has "
                    + (names.isEmpty ? "none with a name" : names.joined(separator: ", ")))
        }
        guard images.count == 1, let only = images.first else {
            throw SourceError(
                "\(path) has \(images.count) images; name one by its tag: " + names.joined(separator: ", "))
        }
        return only
    }

    /// Hashes the image's layers, reads its configuration, and makes a manifest of both.
    private func contents(of image: ArchivedImage) throws -> Contents {
        let wanted = image.layers ?? []
        var hashes: [String: (digest: Digest, size: Int64)] = [:]
        var configuration: [UInt8]?
        let archive = try open()
        while let entry = try archive.next() {
            try Interruption.check()
            guard entry.kind == .file else { continue }
            let name = Self.name(entry)
            if name == image.config {
                configuration = try EntryStream(archive).collect(limit: ManifestDocument.largestSize)
            } else if wanted.contains(name) {
                let hash = try SHA256()
                let data = EntryStream(archive)
                var size: Int64 = 0
                while true {
                    let chunk = try data.next()
                    if chunk.isEmpty { break }
                    try Interruption.check()
                    hash.update(chunk)
                    size += Int64(chunk.count)
                }
                hashes[name] = Digest(sha256Hex: hash.finish()).map { ($0, size) }
            }
        }
        guard let configuration, let digest = Digest(sha256Hex: SHA256.hex(of: configuration)) else {
            throw SourceError(
                "\(path) lacks the configuration '\(image.config)' that its manifest.json names")
        }
        let layers = try wanted.map { name in
            guard let found = hashes[name] else {
                throw SourceError("\(path) lacks the layer '\(name)' that its manifest.json names")
            }
            return found
        }
        let manifest = Array(
            (#"{"schemaVersion":2,"mediaType":"\#(MediaType.ociManifest)","config":{"mediaType":"#
                + #""application/vnd.oci.image.config.v1+json","digest":"\#(digest)","size":\#(configuration.count)},"#
                + #""layers":["#
                + layers.map {
                    #"{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"\#($0.digest)","size":\#($0.size)}"#
                }.joined(separator: ",") + "]}").utf8)
        guard let manifestDigest = Digest(sha256Hex: SHA256.hex(of: manifest)) else {
            throw SourceError("\(path): no digest")
        }
        return Contents(
            manifest: FetchedDocument(
                bytes: manifest, mediaType: MediaType.ociManifest, digest: manifestDigest),
            configuration: configuration, configurationDigest: digest,
            layers: Dictionary(zip(layers.map(\.digest), wanted)) { first, _ in first })
    }

    private static func name(_ entry: TarEntry) -> String {
        plain(entry.name.map { String(cString: $0) } ?? "")
    }

    /// A name without what means nothing in it.
    private static func plain(_ name: String) -> String { joined("", name) }

    private static func joined(_ directory: String, _ name: String) -> String {
        var parts: [Substring] = []
        for part in "\(directory)/\(name)".split(separator: "/") where part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(part) }
        }
        return parts.joined(separator: "/")
    }
}

/// An entry of `manifest.json`.
private struct ArchivedImage: Decodable {
    var config: String
    let repoTags: [String]?
    /// `null` where there is none.
    var layers: [String]?

    enum CodingKeys: String, CodingKey {
        case config = "Config"
        case repoTags = "RepoTags"
        case layers = "Layers"
    }
}

/// The data of an archive's current entry.
private final class EntryStream: ByteStream {
    private let archive: TarReader
    private var offset: Int64 = 0

    init(_ archive: TarReader) { self.archive = archive }

    func next() throws -> UnsafeRawBufferPointer {
        guard let block = try archive.nextBlock() else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        guard block.offset == offset else { throw ArchiveError("a part of it is a sparse file") }
        offset += Int64(block.bytes.count)
        return block.bytes
    }
}

/// Bytes that are there.
private final class MemoryStream: ByteStream {
    private let bytes: UnsafeMutableRawBufferPointer
    private var isRead = false

    init(_ bytes: [UInt8]) {
        self.bytes = .allocate(byteCount: bytes.count, alignment: 8)
        self.bytes.copyBytes(from: bytes)
    }

    deinit { bytes.deallocate() }

    func next() throws -> UnsafeRawBufferPointer {
        defer { isRead = true }
        return isRead ? UnsafeRawBufferPointer(start: nil, count: 0) : UnsafeRawBufferPointer(bytes)
    }
}
