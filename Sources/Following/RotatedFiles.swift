// Where rotation puts the files: beside the stream, with a number or a date behind the name.

import Glibc
import Notifications
import Platform

/// Finds a stream's rotated files.
package enum RotatedFiles {
    /// What a rotated file's name says about its age.
    package enum Suffix: Equatable {
        /// `.1`: the greater, the older.
        case number(Int)
        /// `-20261124`, `-20261124-1795500000`: the greater, the newer.
        case date([Int])
        /// `.1.backup`, `.old`: says nothing.
        case other
    }

    private static let compressed = [".gz", ".xz", ".zst", ".bz2", ".lz4", ".Z"]

    /// The rotated files of a stream that can be read as they are, oldest first.
    ///
    /// - Throws: `SystemError` where their directory can't be read; an absent one has none.
    package static func list(of path: String) throws(SystemError) -> [String] {
        let directory = Files.parentPath(of: path)
        let base = Files.lastComponent(of: path)
        var found: [(path: String, suffix: Suffix, first: String)] = []
        for name in try DirectoryEntry.names(in: directory) {
            guard let suffix = suffix(of: name, base: base) else { continue }
            let sibling = directory == "/" ? "/\(name)" : "\(directory)/\(name)"
            found.append((sibling, suffix, ""))
        }
        if !isOrderedByName(found.map(\.suffix)) {
            for index in found.indices { found[index].first = firstTimestamp(of: found[index].path) }
        }
        return found.sorted { isOlder(($0.suffix, $0.first), ($1.suffix, $1.first)) }.map(\.path)
    }

    /// nil where the name is not one of a rotated, uncompressed file of `base`.
    package static func suffix(of name: String, base: String) -> Suffix? {
        guard name.hasPrefix(base), name != base else { return nil }
        let rest = name.dropFirst(base.count)
        guard let separator = rest.first, separator == "." || separator == "-",
            !compressed.contains(where: { rest.hasSuffix($0) }), !rest.hasSuffix(".tmp")
        else { return nil }
        let text = rest.dropFirst()
        // Eight digits and more are a date or a time (`dateformat .%Y%m%d`, `.%s`): nobody keeps so many files.
        if separator == ".", text.utf8.count < 8, let number = Int(text) { return .number(number) }
        let groups = text.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
        let numbers = groups.compactMap { $0 }
        return numbers.count == groups.count ? .date(numbers) : .other
    }

    private static func isOrderedByName(_ suffixes: [Suffix]) -> Bool {
        suffixes.allSatisfy { if case .number = $0 { true } else { false } }
            || suffixes.allSatisfy { if case .date = $0 { true } else { false } }
    }

    private static func isOlder(_ left: (Suffix, String), _ right: (Suffix, String)) -> Bool {
        if left.1 != right.1 { return left.1 < right.1 }
        switch (left.0, right.0) {
        case (.number(let left), .number(let right)): return left > right
        case (.date(let left), .date(let right)): return left.lexicographicallyPrecedes(right)
        default: return false
        }
    }

    /// When the file's first event happened; an unreadable or empty file sorts first and is then nothing to read.
    private static func firstTimestamp(of path: String) -> String {
        guard let file = try? OwnedDescriptor(opening: path, O_RDONLY | O_NONBLOCK),
            let line = FirstLine(of: file.raw), let event = try? Event(line: line.bytes)
        else { return "" }
        return event.timestamp ?? ""
    }
}
