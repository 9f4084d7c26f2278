// A file of a stream as it was found on the disk. It isn't held open: there may be thousands.

import Glibc
import Notifications
import Platform

/// A file of the stream that was found.
struct FoundFile {
    let path: String
    let key: FileKey
    /// How it is compressed: `gz`, `xz`, `zst` or `bz2`; nil where it isn't.
    let compression: String?
    let firstLine: FirstLine?
    /// Bytes on the disk.
    let size: Int64
    /// When it was written to last.
    let modified: Timestamp
    /// Whether the name is none that a rotation gives: a file that begins like another one is then a copy of it.
    let isOddlyNamed: Bool

    var name: String { Files.lastComponent(of: path) }
    var fingerprint: String { firstLine?.fingerprint ?? "" }

    /// Whether it holds what another file that begins with the same line does, as far as both go. (That line alone may be
    /// anybody's.)
    ///
    /// - Throws: `SystemError`; `isMoved` where either has another name by now.
    func isCopy(of other: FoundFile) throws(SystemError) -> Bool {
        let end = min(size, other.size)
        let count = Int(min(end, 256))
        let (ours, theirs) = (try open(), try other.open())
        return try FileBytes.read(from: ours.raw, at: end - Int64(count), count: count)
            == FileBytes.read(from: theirs.raw, at: end - Int64(count), count: count)
    }

    /// Opens it again.
    ///
    /// - Throws: `SystemError`: with `ESTALE` or `ENOENT` where a rotation gave the name to another file meanwhile.
    func open() throws(SystemError) -> SharedDescriptor {
        let (descriptor, found) = try RegularFile.open(path, for: "follow")
        guard found.key == key else { throw SystemError("follow", path, code: ESTALE) }
        return descriptor
    }
}

extension SystemError {
    /// Whether a name means another file than a moment ago, or none: then everything is to be looked at anew.
    var isMoved: Bool { code == ENOENT || code == ESTALE }
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
