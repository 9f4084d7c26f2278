// The files of a stream as they lie on the disk at one moment: listed and opened here for following as for verifying.

import Glibc
import Notifications
import Platform

/// Finds the files of a stream, again and again.
///
/// One file is open at a time. What a file begins with is remembered, so that a look at thousands of them stays cheap.
final class StreamFiles {
    /// A file that is there but can't be opened.
    struct Unreadable {
        let path: String
        let error: SystemError
    }

    /// Which content a first line is known of: inodes come again, but not with the same size and time.
    private struct Version: Hashable {
        let key: FileKey
        let size: Int64
        let modified: Timestamp
    }

    private let path: String
    private let directories: [String]
    private let patterns: [String]
    private var firstLines: [Version: FirstLine?] = [:]
    private var usedFirstLines: [Version: FirstLine?] = [:]

    /// - Parameters:
    ///   - path: the stream's.
    ///   - directories: where rotated files lie besides the stream's own directory.
    ///   - patterns: shell patterns of rotated files elsewhere.
    init(path: String, directories: [String] = [], patterns: [String] = []) {
        self.path = path
        self.directories = directories
        self.patterns = patterns
    }

    /// Another one that finds the same files.
    func copy() -> StreamFiles { StreamFiles(path: path, directories: directories, patterns: patterns) }

    /// Where the files are now.
    var places: RotatedPlaces { RotatedPlaces(path: path, directories: directories, patterns: patterns) }

    /// All files of the stream, oldest first; the one at the path, if there is one, is the last.
    ///
    /// - Returns: the files, each once whatever its names, and those that are there but can't be read.
    /// - Throws: `SystemError` of the file at the path, or of a directory, or where this process could open no file at
    ///   all: that says nothing about any of them.
    func look() throws(SystemError) -> (files: [FoundFile], unreadable: [Unreadable]) {
        var found: [FoundFile] = []
        var unreadable: [Unreadable] = []
        // A rotation meanwhile gives names to other files: then once more.
        for _ in 0..<20 {
            usedFirstLines = [:]
            let listed = try list()
            (found, unreadable) = try lookOnce(listed)
            // With dates in the names no name changes hands, but one more is there.
            if unreadable.allSatisfy({ !$0.error.isMoved }),
                found.allSatisfy({ FileKey(at: $0.path) == $0.key }), try list() == listed
            {
                break
            }
        }
        firstLines = usedFirstLines
        var keys: Set<FileKey> = []
        return (found.reversed().filter { keys.insert($0.key).inserted }.reversed(), unreadable)
    }

    /// The rotated files' names, oldest first.
    ///
    /// - Throws: `SystemError` where a directory can't be read, or no file at all.
    func list() throws(SystemError) -> [RotatedFiles.Listed] {
        try RotatedFiles.all(in: places) { (file) throws(SystemError) in
            do throws(SystemError) { return try found(file.path, file.name).firstLine?.timestamp ?? "" } catch
            {
                if error.isShortage { throw error }
                // An unreadable or empty file sorts first and is then nothing to read.
                return ""
            }
        }
    }

    private func lookOnce(
        _ listed: [RotatedFiles.Listed]
    ) throws(SystemError) -> (files: [FoundFile], unreadable: [Unreadable]) {
        var files: [FoundFile] = []
        var unreadable: [Unreadable] = []
        for file in listed {
            do throws(SystemError) {
                files.append(try found(file.path, file.name))
            } catch {
                if error.isShortage { throw error }
                unreadable.append(Unreadable(path: file.path, error: error))
            }
        }
        do throws(SystemError) {
            files.append(try found(path, nil))
        } catch {
            if error.code != ENOENT { throw error }
        }
        return (files, unreadable)
    }

    private func found(_ path: String, _ name: RotatedFiles.Name?) throws(SystemError) -> FoundFile {
        let (descriptor, file) = try RegularFile.open(path, for: "follow")
        let compression = name?.compression
        let version = Version(key: file.key, size: file.size, modified: file.modified)
        let firstLine: FirstLine?
        if compression == nil {
            // A file may change within a tick of its clock, and reading its beginning costs next to nothing.
            firstLine = FirstLine(of: descriptor.raw)
        } else if let known = firstLines[version] ?? usedFirstLines[version] {
            firstLine = known
            usedFirstLines[version] = known
        } else {
            let stream = try? StoredBytes.stream(
                descriptor, path: path, compression: compression, size: file.size)
            firstLine = stream.flatMap { FirstLine(of: $0) }
            usedFirstLines[version] = .some(firstLine)
        }
        return FoundFile(
            path: path, key: file.key, compression: compression, firstLine: firstLine, size: file.size,
            modified: file.modified, isOddlyNamed: name?.suffix == .other)
    }
}
