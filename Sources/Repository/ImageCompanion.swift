// What others than the repository itself have to put into it together with an image. The repository knows how a thing
// becomes visible, and when; the companion knows what it is.

import Glibc
import Images
import Platform

/// Something that goes into the repository in an image's own publication.
package protocol ImageCompanion: Sendable {
    /// What is to be there, in the order in which it becomes visible. Asked under the lock, when all layers are complete:
    /// what a file holds may depend on what is in the repository at that moment.
    ///
    /// - Parameters:
    ///   - plan: the image.
    ///   - size: the length of a layer's archive in bytes; nil where it isn't known.
    ///   - content: the repository as it is.
    /// - Throws: `RepositoryError` where what is there can't be gone on with, `SystemError`, `EncodingError`.
    func entries(
        for plan: PublicationPlan, size: (Digest) throws -> Int64?, over content: RepositoryContent
    ) throws -> [CompanionEntry]
}

/// One thing of a companion's: it replaces what is at its path; directories above it are made.
package struct CompanionEntry: Sendable {
    /// What it is.
    package enum Kind: Sendable {
        /// A directory, which may be there; `isCatalogue`: it has a catalogue of its own in CernVM-FS.
        case directory(isCatalogue: Bool)
        /// A file of mode 0644.
        case file([UInt8])
        /// One that is on disk before it takes the place of what is there: without it nothing else can be read.
        case list([UInt8])
        /// A symbolic link of that text.
        case link(String)
        /// The tree of one of the image's layers, by its place in the plan, for an engine that stacks layers: a link of
        /// that text where the layer's own tree is whole, else a tree that the layers beneath it have made so.
        case layer(Int, link: String)
    }

    /// Where, relative to the repository.
    package let path: String
    package let kind: Kind

    package init(_ path: String, _ kind: Kind) {
        self.path = path
        self.kind = kind
    }

    /// Puts it in its place beneath a directory, in one step.
    ///
    /// - Parameter temporary: a path on the same file system, where it is made.
    /// - Throws: `SystemError`.
    package func place(in root: String, by temporary: String) throws(SystemError) {
        let target = "\(root)/\(path)"
        unlink(temporary)
        switch kind {
        case .directory: return try Files.makeDirectories(target)
        case .file(let bytes): try Files.replace(temporary, with: bytes, sync: false)
        case .list(let bytes): try Files.replace(temporary, with: bytes, sync: true)
        case .link(let text), .layer(_, let text):
            guard symlink(text, temporary) == 0 else { throw SystemError("create", temporary) }
        }
        try Files.makeDirectories(Files.parentPath(of: target))
        guard rename(temporary, target) == 0 else { throw SystemError("create", target) }
    }
}
