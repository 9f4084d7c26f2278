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

    /// A rotated file's name, taken apart.
    package struct Name: Equatable {
        package let suffix: Suffix
        /// The name without what says how the file is compressed.
        package let stem: String
        /// `gz`, `xz` …; nil where the file can be read as it is.
        package let compression: String?
    }

    private static let compressed = ["gz", "xz", "zst", "bz2", "lz4", "Z"]

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

    /// All rotated files of a stream, compressed ones included, oldest first.
    ///
    /// A file beside the compressed one that is being made of it counts once: it is whole, the other may not be.
    /// - Parameters:
    ///   - directories: where they lie; the first one is the stream's own.
    ///   - firstTimestamp: when the first event of a file happened, asked where the names don't tell the order.
    /// - Throws: `SystemError` where a directory can't be read; an absent one has none.
    static func all(
        of base: String, in directories: [String], firstTimestamp: (String, Name) -> String
    ) throws(SystemError) -> [(path: String, name: Name)] {
        var found: [(path: String, name: Name, first: String)] = []
        for directory in directories {
            let names = try DirectoryEntry.names(in: directory)
            for text in names {
                guard let name = name(text, base: base) else { continue }
                if name.compression != nil && names.contains(name.stem) { continue }
                found.append((directory == "/" ? "/\(text)" : "\(directory)/\(text)", name, ""))
            }
        }
        if !isOrderedByName(found.map(\.name.suffix)) {
            for index in found.indices {
                found[index].first = firstTimestamp(found[index].path, found[index].name)
            }
        }
        return found.sorted { isOlder(($0.name.suffix, $0.first), ($1.name.suffix, $1.first)) }
            .map { ($0.path, $0.name) }
    }

    /// nil where the name is not one of a rotated, uncompressed file of `base`.
    package static func suffix(of name: String, base: String) -> Suffix? {
        guard let name = Self.name(name, base: base), name.compression == nil else { return nil }
        return name.suffix
    }

    /// nil where the name is not one of a rotated file of `base`.
    package static func name(_ name: String, base: String) -> Name? {
        guard name.hasPrefix(base), name != base else { return nil }
        let ending = name.lastIndex(of: ".").map { name[name.index(after: $0)...] } ?? ""
        let compression = compressed.first { $0 == ending }
        let stem = compression.map { String(name.dropLast($0.utf8.count + 1)) } ?? name
        let rest = stem.dropFirst(base.count)
        guard let separator = rest.first, separator == "." || separator == "-", !rest.hasSuffix(".tmp")
        else { return nil }
        return Name(suffix: suffix(rest, separator), stem: stem, compression: compression)
    }

    private static func suffix(_ rest: Substring, _ separator: Character) -> Suffix {
        let text = rest.dropFirst()
        if separator == ".", let number = Int(text) {
            // `dateformat .%Y%m%d`: nobody keeps ten million files.
            return number < 10_000_000 ? .number(number) : .date([number])
        }
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
