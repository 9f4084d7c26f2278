// File descriptors that close themselves. One owner each; everything else borrows the number.

import CLinux
import Glibc

/// A file descriptor with one owner: closed when the owner goes.
public struct OwnedDescriptor: ~Copyable, Sendable {
    /// The descriptor's number, valid as long as this value lives.
    public let raw: CInt

    /// Takes over an open descriptor.
    public init(raw: CInt) { self.raw = raw }

    deinit { _ = Glibc.close(raw) }

    /// Opens a path, always with `O_CLOEXEC`. A path is bytes: a `String` is passed as its UTF-8.
    ///
    /// - Parameters:
    ///   - path: the path, resolved at `directory` where it is relative.
    ///   - flags: `open(2)`'s flags.
    ///   - mode: permission bits of a file that is created.
    ///   - directory: a directory's descriptor, or `AT_FDCWD`.
    /// - Throws: `SystemError`.
    public init(
        opening path: UnsafePointer<CChar>, _ flags: CInt, mode: mode_t = 0, at directory: CInt = AT_FDCWD
    ) throws(SystemError) {
        let result = retrying { Glibc.openat(directory, path, flags | O_CLOEXEC, mode) }
        guard result >= 0 else { throw SystemError("open", String(cString: path)) }
        raw = result
    }

    /// Gives the descriptor up: the caller closes it.
    public consuming func release() -> CInt {
        let number = raw
        discard self
        return number
    }

    /// Closes the descriptor and says whether that worked, which for a written file on NFS is not certain.
    ///
    /// - Throws: `SystemError`; the descriptor is gone all the same.
    public consuming func close(of path: String) throws(SystemError) {
        let number = raw
        discard self
        guard Glibc.close(number) == 0 || errno == EINTR else { throw SystemError("close", path) }
    }
}

/// Descriptors 0, 1 and 2.
public enum StandardDescriptors {
    /// Opens `/dev/null` for those that are closed. Otherwise the next file opened would get such a number, and what is
    /// meant for standard error would go into it. To be called before anything is opened.
    public static func ensureOpen() {
        for number: CInt in 0...2 where fcntl(number, F_GETFD) < 0 {
            // The lowest free number, which is this one.
            _ = open("/dev/null", number == 0 ? O_RDONLY : O_WRONLY)
        }
    }
}

/// A descriptor shared by several owners: closed when the last one goes.
public final class SharedDescriptor: Sendable {
    /// The descriptor's number, valid as long as this object lives.
    public let raw: CInt

    /// Takes over an open descriptor.
    public init(_ descriptor: consuming OwnedDescriptor) { raw = descriptor.release() }

    deinit { _ = Glibc.close(raw) }
}
