// The one archive of a publication, put together as the server reads it: every directory once and before what is in it,
// with a catalogue where the original DUCC has one.

import Archive
import Glibc
import Images
import Layers
import Platform

/// Writes what becomes of a repository.
final class ServerArchive {
    private let content: RepositoryContent
    private let prefix: String
    private let writer: TarWriter
    private var directories: Set<String> = []
    private var marks: Set<String> = []
    private let owner: TarAttributes

    /// - Parameters:
    ///   - content: the repository as it is: what it has already stays.
    ///   - prefix: what all paths begin with in the archive: empty, or a directory with a slash behind it.
    /// - Throws: the sink's error, `ArchiveError`, `SystemError`.
    init(_ content: RepositoryContent, prefix: String, _ sink: any ByteSink) throws {
        self.content = content
        self.prefix = prefix
        writer = try TarWriter(sink)
        var information = stat()
        guard stat(content.root, &information) == 0 || errno == ENOENT else {
            throw SystemError("look at", content.root)
        }
        // New directories and files belong to whom the repository belongs.
        owner = TarAttributes(
            permissions: 0o755, user: Int64(information.st_uid), group: Int64(information.st_gid),
            modified: Timestamp.now().seconds)
        for index in prefix.indices where prefix[index] == "/" {
            try writer.add(String(prefix[..<index]), .directory, owner)
        }
    }

    /// A directory, with those above it.
    ///
    /// - Parameter isCatalogue: whether it has a catalogue of its own.
    /// - Throws: the sink's error, `ArchiveError`.
    func addDirectory(_ path: String, isCatalogue: Bool = false) throws {
        let parent = Files.parentPath(of: path)
        if parent != ".", parent != path { try addDirectory(parent) }
        if directories.insert(path).inserted { try writer.add(prefix + path, .directory, owner) }
        if isCatalogue { try addMark(ofCatalogue: path) }
    }

    /// The mark of a directory that has a catalogue of its own, where it has none yet.
    ///
    /// - Throws: the sink's error, `ArchiveError`.
    func addMark(ofCatalogue path: String) throws {
        let mark = "\(path)/\(LayerArchive.catalogMark)"
        guard try !content.exists(mark), marks.insert(mark).inserted else { return }
        try addFile(mark, [])
    }

    /// A file, in the place of one that is there.
    ///
    /// - Throws: the sink's error, `ArchiveError`.
    func addFile(_ path: String, _ bytes: [UInt8]) throws {
        try addDirectory(Files.parentPath(of: path))
        var attributes = owner
        attributes.permissions = 0o644
        try writer.add(prefix + path, .file(Int64(bytes.count)), attributes)
        try bytes.withUnsafeBytes { if !$0.isEmpty { try writer.write($0) } }
    }

    /// A symbolic link, in the place of one that is there.
    ///
    /// - Throws: the sink's error, `ArchiveError`.
    func addLink(_ path: String, to text: String) throws {
        try addDirectory(Files.parentPath(of: path))
        var attributes = owner
        attributes.permissions = 0o777
        try writer.add(prefix + path, .symbolicLink(Array(text.utf8CString)), attributes)
    }

    /// Something small, in the place of what is there.
    ///
    /// - Throws: the sink's error, `ArchiveError`.
    func add(_ entry: CompanionEntry) throws {
        switch entry.kind {
        case .directory(let isCatalogue): try addDirectory(entry.path, isCatalogue: isCatalogue)
        case .file(let bytes), .list(let bytes): try addFile(entry.path, bytes)
        case .link(let text), .layer(_, let text): try addLink(entry.path, to: text)
        }
    }

    /// A layer as it is over those beneath it, at a path that nothing is at yet, with a catalog of its own.
    ///
    /// - Throws: `LayerError`, `Interrupted`, the sink's error, `ArchiveError`.
    func addLayer(
        _ index: Int, of tree: FlatTree, at path: String, source: (Int) throws -> LayerArchive.FlatSource
    ) throws {
        try addDirectory(Files.parentPath(of: path))
        var trees = LayerArchive(writer)
        try trees.addLayer(index, of: tree, at: prefix + path, source: source)
        directories.insert(path)
        try addMark(ofCatalogue: path)
    }

    /// A layer's tree, at a path that nothing is at yet; its files' data comes later.
    ///
    /// - Returns: what the server doesn't keep of it.
    /// - Throws: `Interrupted`, the sink's error, `ArchiveError`.
    func addLayer(
        _ layer: ArchivedLayer, at path: String, hidden: [[UInt8]: [[UInt8]]]
    ) throws -> LostAttributes {
        try addDirectory(Files.parentPath(of: path))
        var trees = LayerArchive(writer)
        try trees.addLayer(layer, hidden: hidden)
        directories.insert(path)
        return trees.lost
    }

    /// A flat image, at a path that nothing is at yet.
    ///
    /// - Returns: what the server doesn't keep of it and is not noted of the layers.
    /// - Throws: `LayerError`, `Interrupted`, the sink's error, `ArchiveError`.
    func addFlat(
        _ tree: FlatTree, at path: String, source: (Int) throws -> LayerArchive.FlatSource
    ) throws -> LostAttributes {
        try addDirectory(Files.parentPath(of: path))
        var trees = LayerArchive(writer)
        try trees.addFlat(tree, at: prefix + path, source: source)
        directories.insert(path)
        return trees.lost
    }

    /// The data of a layer's files.
    ///
    /// - Throws: as `LayerArchive.addFiles`.
    func addFiles(of layer: ArchivedLayer, from blob: VerifiedStream) throws {
        try LayerArchive(writer).addFiles(of: layer, from: blob)
    }

    /// Ends the archive.
    ///
    /// - Throws: the sink's error, `ArchiveError`.
    func finish() throws { try writer.finish() }
}
