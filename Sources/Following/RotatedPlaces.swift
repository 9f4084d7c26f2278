// Where a stream's rotated files are looked for: beside it, and wherever logrotate's `olddir` puts them.

import Glibc
import Platform

/// The directories in which a stream's rotated files lie, and which names there are theirs.
struct RotatedPlaces {
    /// One directory.
    struct Place: Equatable {
        let directory: String
        let base: String
        /// A shell pattern of the names; nil: those that a rotation gives.
        let pattern: String?

        /// What a name says, or nil where it is no rotated file's.
        func name(_ text: String) -> RotatedFiles.Name? {
            guard let pattern else { return RotatedFiles.name(text, base: base) }
            return fnmatch(pattern, text, FNM_PERIOD) == 0 ? RotatedFiles.anyName(text, base: base) : nil
        }
    }

    /// What the stream's path leads to.
    let target: String
    let places: [Place]

    /// - Parameters:
    ///   - path: the stream's; where it leads may change.
    ///   - directories: where names as rotation gives them are looked for too.
    ///   - patterns: paths of rotated files as shell patterns, in directories that may be patterns too.
    init(path: String, directories: [String] = [], patterns: [String] = []) {
        target = Self.target(of: path)
        let base = Files.lastComponent(of: target)
        var places = ([Files.parentPath(of: target)] + directories).map {
            Place(directory: $0, base: base, pattern: nil)
        }
        for pattern in patterns {
            for directory in Self.directories(Files.parentPath(of: pattern)) {
                places.append(
                    Place(directory: directory, base: base, pattern: Files.lastComponent(of: pattern)))
            }
        }
        self.places = places
    }

    /// The directories, resolved, each once.
    var directories: Set<String> { Set(places.map { Self.target(of: $0.directory) }) }

    /// Where a symbolic link leads to; the path itself where nothing is.
    static func target(of path: String) -> String {
        guard let resolved = realpath(path, nil) else { return path }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// The directories that a pattern means now; one that is no pattern may come later.
    private static func directories(_ pattern: String) -> [String] {
        guard pattern.contains(where: { "*?[".contains($0) }) else { return [target(of: pattern)] }
        var found = glob_t()
        defer { globfree(&found) }
        guard glob(pattern, GLOB_ONLYDIR, nil, &found) == 0 else { return [] }
        return (0..<Int(found.gl_pathc)).compactMap {
            found.gl_pathv[$0].map { target(of: String(cString: $0)) }
        }
    }
}
