import CArchive
import CISAL

/// An archive or a compressed stream that is damaged, cut short, or of no known kind.
package struct ArchiveError: Error, CustomStringConvertible, Sendable, Equatable {
    /// What is wrong, in libarchive's or our own words.
    package let description: String

    package init(_ description: String) { self.description = description }

    /// libarchive's own account of what failed last.
    init(archive: OpaquePointer?) {
        guard let archive, let text = archive_error_string(archive) else {
            self.init("the archive is damaged or cut short")
            return
        }
        self.init("the archive is damaged: \(String(cString: text))")
    }
}
