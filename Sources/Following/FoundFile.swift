// The files of a stream as they lie on the disk at one moment, opened: names change while rotation is at work, open
// files don't.

import Glibc
import Notifications
import Platform

/// A file of the stream that was found and opened.
struct FoundFile {
    let path: String
    let key: FileKey
    let descriptor: SharedDescriptor
    let firstLine: FirstLine?

    var name: String { Files.lastComponent(of: path) }

    /// Whether the name is none that a rotation gives: a file that begins like another one is then a copy of it.
    func isOddlyNamed(beside stream: String) -> Bool {
        let base = Files.lastComponent(of: Self.target(of: stream))
        return RotatedFiles.suffix(of: name, base: base) == .other
    }

    /// Opens a regular file.
    init(_ path: String) throws(SystemError) {
        self.path = path
        (descriptor, key) = try RegularFile.open(path, for: "follow")
        firstLine = FirstLine(of: descriptor.raw)
    }

    var size: Int64 { RegularFile.size(of: descriptor.raw) }

    /// All files of a stream, oldest first; the one at the path, if there is one, is the last.
    ///
    /// - Throws: `SystemError` of the file at the path; a rotated file that can't be opened is left out.
    static func all(of path: String) throws(SystemError) -> [FoundFile] {
        let target = Self.target(of: path)
        var found: [FoundFile] = []
        // A rotation meanwhile gives names to other files: then once more.
        for _ in 0..<10 {
            let listed = try RotatedFiles.list(of: target)
            found = listed.compactMap { try? FoundFile($0) }
            do throws(SystemError) {
                found.append(try FoundFile(path))
            } catch {
                if error.code != ENOENT { throw error }
            }
            // With dates in the names no name changes hands, but one more is there.
            if found.allSatisfy({ FileKey(at: $0.path) == $0.key }),
                try RotatedFiles.list(of: target) == listed
            {
                break
            }
        }
        var keys: Set<FileKey> = []
        return found.reversed().filter { keys.insert($0.key).inserted }.reversed()
    }

    /// Where a symbolic link leads to: the rotated files lie beside that.
    static func target(of path: String) -> String {
        guard let resolved = realpath(path, nil) else { return path }
        defer { free(resolved) }
        return String(cString: resolved)
    }
}

extension FileKey {
    init(_ information: stat) {
        self.init(device: UInt64(information.st_dev), inode: UInt64(information.st_ino))
    }

    /// What is at a path, symbolic links followed; nil where nothing is.
    init?(at path: String) {
        var information = stat()
        guard stat(path, &information) == 0 else { return nil }
        self.init(information)
    }
}
