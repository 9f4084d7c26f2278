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

    /// A rotated file as it is listed.
    struct Listed: Equatable {
        let path: String
        let name: Name
    }

    /// All rotated files of a stream, compressed ones included, oldest first.
    ///
    /// A file beside the compressed one that is being made of it counts once: it is whole, the other may not be.
    /// - Parameter firstTimestamp: when the first event of a file happened, asked where the names don't tell the order.
    /// - Throws: `SystemError` where a directory can't be read (an absent one has none), and what `firstTimestamp` throws.
    static func all(
        in places: RotatedPlaces, firstTimestamp: (Listed) throws(SystemError) -> String
    ) throws(SystemError) -> [Listed] {
        var found: [(file: Listed, first: String)] = []
        // Two patterns may find one file, and so may the stream's own directory and a pattern.
        var paths: Set = [places.target]
        for place in places.places {
            let names = Set(try DirectoryEntry.names(in: place.directory))
            for text in names.sorted() {
                guard let name = place.name(text) else { continue }
                if name.compression != nil && names.contains(name.stem) { continue }
                let path = place.directory == "/" ? "/\(text)" : "\(place.directory)/\(text)"
                if paths.insert(path).inserted { found.append((Listed(path: path, name: name), "")) }
            }
        }
        if !isOrderedByName(found.map(\.file.name.suffix)) {
            for index in found.indices { found[index].first = try firstTimestamp(found[index].file) }
        }
        return found.sorted { isOlder(($0.file.name.suffix, $0.first), ($1.file.name.suffix, $1.first)) }
            .map(\.file)
    }

    /// nil where the name is not one of a rotated, uncompressed file of `base`.
    package static func suffix(of name: String, base: String) -> Suffix? {
        guard let name = Self.name(name, base: base), name.compression == nil else { return nil }
        return name.suffix
    }

    /// A file that a pattern of the user's matches is a rotated one whatever its name.
    static func anyName(_ name: String, base: String) -> Name? {
        guard !name.hasSuffix(".tmp") else { return nil }
        if let known = Self.name(name, base: base) { return known }
        let compression = compression(of: name)
        let stem = compression.map { String(name.dropLast($0.utf8.count + 1)) } ?? name
        return Name(suffix: .other, stem: stem, compression: compression)
    }

    private static func compression(of name: String) -> String? {
        let ending = name.lastIndex(of: ".").map { name[name.index(after: $0)...] } ?? ""
        return compressed.first { $0 == ending }
    }

    /// nil where the name is not one of a rotated file of `base`.
    package static func name(_ name: String, base: String) -> Name? {
        guard name.hasPrefix(base), name != base else { return nil }
        let compression = compression(of: name)
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
}
