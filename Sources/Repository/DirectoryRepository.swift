// The repository in a shared directory: the embedded default, and real for sites that share images over NFS or Lustre.

import Glibc
import Images
import Platform

/// A repository in a directory.
package struct DirectoryRepository: ImageRepository {
    let content: RepositoryContent

    /// The repository's directory, absolute.
    var root: String { content.root }
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
        path = Files.absolutePath(path)
        content = RepositoryContent(root: path)
        // In this order: another converter may make it between the two questions.
        if Files.exists(path) {
            guard Files.isDirectory(path) else {
                throw RepositoryError(.noSuchRepository, "the repository \(path) is no directory")
            }
            if create { Staging.clean(in: content.path(Staging.directory)) }
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

    /// Whether a repository's name means a directory.
    package static func isDirectoryName(_ name: String) -> Bool {
        ["/", "./", "../", "file:"].contains { name.hasPrefix($0) } && !name.hasPrefix("/cvmfs/")
    }

    package func reading<Result>(_ body: (RepositoryContent) throws -> Result) throws -> Result {
        try body(content)
    }

    /// Files in a directory are nobody's `cvmfs://`.
    package var clientPath: String? { nil }

    package func note(_ unannounced: ImageRecord.Unannounced?, of publicPath: String) throws {
        guard var record = try content.record(publicPath), record.unannounced != unannounced else { return }
        for layer in (record.unannounced?.layers ?? []).compactMap({ Digest(sha256Hex: $0) }) {
            unlink(content.path(RepositoryLayout.untoldMark(layer)))
        }
        record.unannounced = unannounced
        let directory = content.path(RepositoryLayout.imageMetadata(publicPath))
        // Not forced to disk: after a crash the events come once more.
        try Files.replace(
            "\(directory)/\(RepositoryLayout.recordName)", with: try RepositoryJSON.encode(record),
            sync: false)
    }

    package func begin(_ plan: PublicationPlan) throws -> any Publication {
        try DirectoryPublication(self, plan)
    }

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

}
