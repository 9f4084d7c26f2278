// Reading a whole file of settings: a regular file or a pipe, never more than a limit.

import Glibc

/// A file with text that a person wrote.
package enum TextFile {
    /// The most bytes that are accepted, 16 MiB.
    package static let largestSize = 16 << 20

    /// The file's bytes.
    ///
    /// - Throws: `YAMLError`: of kind `unreadable` with the system's reason, or `invalid` where the file is too big.
    package static func read(path: String) throws(YAMLError) -> [UInt8] {
        guard !path.utf8.contains(0) else { throw unreadable(path, ENOENT) }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw unreadable(path, errno) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw unreadable(path, errno) }
            if count == 0 { return bytes }
            bytes.append(contentsOf: chunk[..<count])
            guard bytes.count <= largestSize else {
                throw YAMLError(file: path, "is bigger than \(largestSize >> 20) MiB")
            }
        }
    }

    private static func unreadable(_ path: String, _ code: CInt) -> YAMLError {
        YAMLError(.unreadable, file: path, "cannot be read: \(String(cString: strerror(code)))")
    }
}
