// Images that may fail: `ignoreErrors` of a wish list, and the file that `DUCC_IGNORE_ERRORS_FILE` names.

import Images
import YAML

/// Patterns of images whose failure leaves the exit code alone.
package struct IgnoreErrors: Hashable, Sendable {
    /// The patterns, for `SCHEME://REGISTRY/REPOSITORY:TAG`; `*` stops at `/`.
    package private(set) var globs: [Glob]

    /// Patterns as they are written.
    package init(_ patterns: [String] = []) { globs = patterns.map(Glob.init) }

    /// Reads a file with one pattern a line; empty lines and those that begin with `#` are left out.
    ///
    /// - Throws: `WishListError`.
    package static func read(path: String) throws(WishListError) -> IgnoreErrors {
        let bytes: [UInt8]
        do throws(YAMLError) {
            bytes = try TextFile.read(path: path)
        } catch { throw WishListError(error) }
        let mark: [UInt8] = [0xef, 0xbb, 0xbf]
        let text = bytes.starts(with: mark) ? bytes.dropFirst(mark.count) : bytes[...]
        let lines = text.split { $0 == 0x0a || $0 == 0x0d }
            .map { line in
                let trimmed = line.drop { $0 == 0x20 || $0 == 0x09 }
                let end = trimmed.lastIndex { $0 != 0x20 && $0 != 0x09 } ?? trimmed.startIndex - 1
                return String(decoding: trimmed[...end], as: UTF8.self)
            }
        return IgnoreErrors(lines.filter { !$0.isEmpty && !$0.hasPrefix("#") })
    }

    /// Adds the patterns of another place.
    package mutating func add(_ other: IgnoreErrors) { globs += other.globs }

    /// Whether a pattern fits the image. An image named by a digest alone is compared without a tag, as
    /// `SCHEME://REGISTRY/REPOSITORY@DIGEST`; a layout or an archive as it was given.
    package func ignores(_ reference: ImageReference) -> Bool {
        var name = reference.normalised
        if case .registry = reference.source, reference.tag != nil, let digest = reference.digest {
            name = String(name.dropLast("@\(digest)".count))
        }
        return globs.contains { $0.matches(name) }
    }
}
