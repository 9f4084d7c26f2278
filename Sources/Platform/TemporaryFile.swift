// Room for what is too large for memory and of no use once the process is gone.

import Glibc

extension Files {
    /// `O_TMPFILE`, which the C library defines in a way that Swift doesn't see.
    private static var withoutName: CInt { 0o20_000_000 | O_DIRECTORY }

    /// A new file without a name, which goes when its descriptor does.
    ///
    /// - Throws: `SystemError`.
    public static func temporaryFile(in directory: String) throws(SystemError) -> OwnedDescriptor {
        let unnamed = retrying {
            openat(AT_FDCWD, directory, Self.withoutName | O_RDWR | O_CLOEXEC, 0o600)
        }
        if unnamed >= 0 { return OwnedDescriptor(raw: unnamed) }
        guard errno == EOPNOTSUPP || errno == EISDIR else { throw SystemError("make a file in", directory) }
        // A file system that knows only files with names (NFS).
        let path = "\(directory)/ducc-\(RandomIdentifier.hex(16)).tmp"
        let file = try OwnedDescriptor(opening: path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
        unlink(path)
        return file
    }
}
