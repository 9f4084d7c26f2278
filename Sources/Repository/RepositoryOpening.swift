// From a repository's name to the repository.

/// Opens repositories.
package enum Repositories {
    /// The repository that a name means: one that begins with `/`, `./`, `../` or `file:` is a directory.
    ///
    /// - Parameter create: whether an absent directory repository is made, its parent being there.
    /// - Throws: `RepositoryError` where there is none.
    package static func open(_ name: String, create: Bool) throws(RepositoryError) -> any ImageRepository {
        if DirectoryRepository.isDirectoryName(name) { return try DirectoryRepository(name, create: create) }
        throw RepositoryError(
            .noSuchRepository,
            "there is no repository \(name): this version writes directories, not yet CernVM-FS repositories; "
                + "a directory's name begins with /, ./ or ../, for instance ./\(name)")
    }
}
