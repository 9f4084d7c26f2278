// From a repository's name to the repository.

import Platform

/// Opens repositories.
package enum Repositories {
    /// The repository that a name means: one that begins with `/`, `./`, `../` or `file:` is a directory, but for
    /// `/cvmfs/`; any other is one of CernVM-FS.
    ///
    /// - Parameters:
    ///   - temporaryDirectory: where images for CernVM-FS are put together; nil: the repository is only read. Else an absent
    ///     directory is made, its parent being there.
    /// - Throws: `RepositoryError` where there is none, `Interrupted`.
    package static func open(_ name: String, temporaryDirectory: String?) throws -> any ImageRepository {
        if DirectoryRepository.isDirectoryName(name) {
            return try DirectoryRepository(name, create: temporaryDirectory != nil)
        }
        return try CernVMRepository(name, temporaryDirectory: temporaryDirectory)
    }

    /// What a repository's name means on a machine that has it mounted, such as a client: a directory, or a name in
    /// `/cvmfs`.
    ///
    /// - Throws: `RepositoryError` where there is none.
    package static func mounted(_ name: String) throws(RepositoryError) -> RepositoryContent {
        if DirectoryRepository.isDirectoryName(name) {
            return try DirectoryRepository(name, create: false).content
        }
        let path = name.hasPrefix("/cvmfs/") ? name : "/cvmfs/\(name)"
        guard Files.isDirectory(path) else {
            throw RepositoryError(
                .noSuchRepository,
                "there is no repository \(path): is it mounted here?"
                    + (Files.isDirectory(name)
                        ? " A directory's name begins with /, ./ or ../: ./\(name)" : ""))
        }
        return RepositoryContent(root: path)
    }
}
