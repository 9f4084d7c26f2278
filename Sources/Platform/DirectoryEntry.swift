// Listing a directory by descriptor, with names as the bytes they are.

import Glibc

/// One name in a directory.
public struct DirectoryEntry: Sendable {
    /// The name's bytes and a closing NUL, ready for a system call.
    public let name: [CChar]
    /// The kind as the directory tells it (`DT_DIR` …), `DT_UNKNOWN` where the file system doesn't say.
    public let type: UInt8

    /// Whether the directory itself says that this is a directory.
    public var isDirectory: Bool { type == UInt8(DT_DIR) }

    /// The name as text; bytes that are not UTF-8 are replaced, so this is for people only.
    public var text: String {
        String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// All names but `.` and `..`, in the file system's order.
    ///
    /// - Parameter descriptor: an open directory; its read position is moved.
    /// - Throws: `SystemError`.
    public static func list(_ descriptor: CInt, path: String) throws(SystemError) -> [DirectoryEntry] {
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
        guard copy >= 0 else { throw SystemError("read directory", path) }
        guard let stream = fdopendir(copy) else {
            close(copy)
            throw SystemError("read directory", path)
        }
        defer { closedir(stream) }
        rewinddir(stream)
        var entries: [DirectoryEntry] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                guard errno == 0 else { throw SystemError("read directory", path) }
                return entries
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { bytes in
                    Array(UnsafeBufferPointer(start: bytes, count: strlen(bytes) + 1))
                }
            }
            let dot = CChar(bitPattern: UInt8(ascii: "."))
            if name == [dot, 0] || name == [dot, dot, 0] { continue }
            entries.append(DirectoryEntry(name: name, type: entry.pointee.d_type))
        }
    }

    /// The names in a directory as text, sorted; an absent directory has none.
    ///
    /// - Throws: `SystemError` where the directory is there but can't be read.
    public static func names(in path: String) throws(SystemError) -> [String] {
        do throws(SystemError) {
            let directory = try OwnedDescriptor(opening: path, O_RDONLY | O_DIRECTORY)
            return try list(directory.raw, path: path).map(\.text).sorted()
        } catch {
            if error.code == ENOENT { return [] }
            throw error
        }
    }
}
