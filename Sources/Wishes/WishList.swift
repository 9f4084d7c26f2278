// The wish list: which images a site wants in which repository.

import Images
import YAML

/// A wish list of version 1, as it was read.
///
/// One bad wish does not spoil a list: it stands in `inputs` as an error with its place in the file.
package struct WishList: Sendable {
    /// One image, or one pattern of images, that the list asks for.
    package struct Input: Sendable {
        /// The text as it stands in the list.
        package let text: String
        /// The image, or why the text names none.
        package let reference: Result<ImageReference, WishListError>
        /// The text's line, from 1.
        package let line: Int
        /// The text's column, from 1.
        package let column: Int
    }

    /// 1.
    package let version: Int
    /// Who pushes thin images, or nil.
    package let user: String?
    /// `cvmfs_repo`: a repository, `repository/sub/directory`, or a directory's path.
    package let repository: String
    /// How thin images are named.
    package let outputFormat: OutputFormat
    /// The wishes, in the list's order, without those that are there twice.
    package let inputs: [Input]
    /// Images whose failure is no failure of the run.
    package var ignoreErrors: IgnoreErrors
    /// What is odd in the list but does no harm, each one line with file, line and column.
    package let warnings: [String]

    /// Whether an image's failure leaves the exit code alone.
    package func ignores(_ reference: ImageReference) -> Bool { ignoreErrors.ignores(reference) }
}

/// A wish list that can't be used, or one wish in it that can't.
package struct WishListError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What went wrong.
    package enum Kind: Hashable, Sendable {
        /// The file can't be read.
        case unreadable
        /// What is in it is wrong.
        case invalid
    }

    /// What went wrong.
    package let kind: Kind
    /// One line: the file, where there is one the line and the column, and what is wrong.
    package let description: String

    init(_ error: YAMLError) {
        kind = error.kind == .unreadable ? .unreadable : .invalid
        description = error.description
    }
}
