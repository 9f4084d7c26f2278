// Opening a file of a stream: whatever its name says, only a regular file can be read on and come back to.

import Glibc
import Platform

/// Regular files, opened and measured.
struct RegularFile {
    let key: FileKey
    let size: Int64
    /// When it was written to last.
    let modified: Timestamp

    /// Opens a regular file for reading.
    ///
    /// - Parameter operation: what it is opened for, as an error says it: "follow".
    /// - Throws: `SystemError`, also for what is there but no regular file.
    static func open(
        _ path: String, for operation: String
    ) throws(SystemError) -> (descriptor: SharedDescriptor, file: RegularFile) {
        // Without blocking: a FIFO in the file's place would wait for a writer.
        let file = try OwnedDescriptor(opening: path, O_RDONLY | O_NONBLOCK | O_NOCTTY)
        var information = stat()
        guard fstat(file.raw, &information) == 0 else { throw SystemError("look at", path) }
        let kind = information.st_mode & S_IFMT
        guard kind == S_IFREG else {
            throw SystemError(operation, path, code: kind == S_IFDIR ? EISDIR : ESPIPE)
        }
        let found = RegularFile(
            key: FileKey(information), size: Int64(information.st_size),
            modified: Timestamp(
                seconds: information.st_mtim.tv_sec, nanoseconds: information.st_mtim.tv_nsec))
        return (SharedDescriptor(file), found)
    }

    /// An open file's length in bytes; 0 where it can't be told.
    static func size(of descriptor: CInt) -> Int64 {
        var information = stat()
        return fstat(descriptor, &information) == 0 ? Int64(information.st_size) : 0
    }
}
