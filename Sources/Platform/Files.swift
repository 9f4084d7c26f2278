// Whole-file helpers: read with a limit, write completely, replace atomically, remove a tree without following links.

import Glibc

/// Operations on whole files and directories.
public enum Files {
    /// Writes all bytes, however often the kernel takes only a part.
    ///
    /// - Parameter path: what is written to, for the error; asked only there.
    /// - Throws: `SystemError`; how much was written is then unknown.
    public static func writeAll(
        _ bytes: UnsafeRawBufferPointer, to descriptor: CInt, path: @autoclosure () -> String
    ) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            let count = retrying {
                write(descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done)
            }
            guard count >= 0 else { throw SystemError("write to", path()) }
            done += count
        }
    }

    /// Writes all bytes of an array, likewise.
    ///
    /// - Throws: `SystemError`; how much was written is then unknown.
    public static func writeAll(
        _ bytes: [UInt8], to descriptor: CInt, path: @autoclosure () -> String
    ) throws(SystemError) {
        let failure = bytes.withUnsafeBytes { buffer -> SystemError? in
            do throws(SystemError) {
                try writeAll(buffer, to: descriptor, path: path())
                return nil
            } catch { return error }
        }
        if let failure { throw failure }
    }

    /// Reads a whole file.
    ///
    /// - Parameter limit: the most bytes to accept; a longer file is an error (`EFBIG`), not a big allocation.
    /// - Throws: `SystemError`.
    public static func read(
        _ path: String, limit: Int = 64 << 20, at directory: CInt = currentDirectory
    ) throws(SystemError) -> [UInt8] {
        let file = try OwnedDescriptor(opening: path, O_RDONLY, at: directory)
        return try readAll(from: file.raw, limit: limit, path: path)
    }

    /// Reads a descriptor to its end, `limit` bytes at the most.
    ///
    /// - Throws: `SystemError`, with `EFBIG` where there is more.
    public static func readAll(from descriptor: CInt, limit: Int, path: String) throws(SystemError) -> [UInt8]
    {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = chunk.withUnsafeMutableBytes { buffer in
                retrying { Glibc.read(descriptor, buffer.baseAddress, buffer.count) }
            }
            guard count >= 0 else { throw SystemError("read", path) }
            if count == 0 { return bytes }
            bytes.append(contentsOf: chunk[..<count])
            guard bytes.count <= limit else { throw SystemError("read", path, code: EFBIG) }
        }
    }

    /// Replaces a file in one step: readers see the old content or the new, and after a crash one of the two.
    ///
    /// - Parameters:
    ///   - mode: exact permission bits, whatever the umask.
    ///   - sync: forces the content, and then the name, to disk.
    /// - Throws: `SystemError`; the old file is then untouched.
    public static func replace(
        _ path: String, with bytes: [UInt8], mode: mode_t = 0o644, sync: Bool = true,
        at directory: CInt = currentDirectory
    ) throws(SystemError) {
        try replace(path, mode: mode, sync: sync, at: directory) { file, temporary throws(SystemError) in
            try writeAll(bytes, to: file, path: temporary)
        }
    }

    /// Replaces a file in one step, likewise, by what `write` writes.
    ///
    /// - Parameter write: gets the new file's descriptor, and its path.
    /// - Throws: `SystemError`; the old file is then untouched.
    public static func replace(
        _ path: String, mode: mode_t = 0o644, sync: Bool = true, at directory: CInt = currentDirectory,
        write: (_ file: CInt, _ temporary: String) throws(SystemError) -> Void
    ) throws(SystemError) {
        let temporary = "\(path).\(RandomIdentifier.hex(8))\(temporarySuffix)"
        do throws(SystemError) {
            let file = try OwnedDescriptor(
                opening: temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: mode, at: directory)
            guard fchmod(file.raw, mode) == 0 else { throw SystemError("set the mode of", temporary) }
            try write(file.raw, temporary)
            if sync, fdatasync(file.raw) != 0 { throw SystemError("sync", temporary) }
            guard renameat(directory, temporary, directory, path) == 0 else {
                throw SystemError("rename \(temporary) to", path)
            }
        } catch {
            unlinkat(directory, temporary, 0)
            throw error
        }
        if sync { try syncDirectory(of: path, at: directory) }
    }

    private static let temporarySuffix = ".tmp"

    /// Removes what `replace` left in a directory where its process was killed. Called where nobody replaces a file there.
    public static func removeTemporaries(in directory: String) {
        for name in (try? DirectoryEntry.names(in: directory)) ?? [] where name.hasSuffix(temporarySuffix) {
            unlink("\(directory)/\(name)")
        }
    }

    /// Forces the directory that holds `path` to disk, so that the name itself survives a crash.
    ///
    /// - Throws: `SystemError`.
    public static func syncDirectory(of path: String, at directory: CInt = currentDirectory)
        throws(SystemError)
    {
        let parent = parentPath(of: path)
        let descriptor = try OwnedDescriptor(opening: parent, O_RDONLY | O_DIRECTORY, at: directory)
        // Some file systems (FUSE) cannot sync a directory and say so with EINVAL: nothing more can be done there.
        guard fsync(descriptor.raw) == 0 || errno == EINVAL else { throw SystemError("sync", parent) }
    }

    /// The part of a path before its last `/`: "." where there is none, "/" for a name in the root.
    public static func parentPath(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// The part of a path behind its last `/`.
    public static func lastComponent(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return path }
        return String(path[path.utf8.index(after: slash)...])
    }

    /// Creates a directory and its missing parents, each with the exact mode, whatever the umask.
    ///
    /// - Throws: `SystemError`.
    public static func makeDirectories(
        _ path: String, mode: mode_t = 0o755, at directory: CInt = currentDirectory
    ) throws(SystemError) {
        guard mkdirat(directory, path, mode) != 0 else { return try setMode(mode, of: path, at: directory) }
        if errno == ENOENT {
            let parent = parentPath(of: path)
            guard parent != path, parent != "." else {
                throw SystemError("create directory", path, code: ENOENT)
            }
            try makeDirectories(parent, mode: mode, at: directory)
            // Once more only: a file system such as /proc says ENOENT of what it never makes.
            guard mkdirat(directory, path, mode) != 0 else {
                return try setMode(mode, of: path, at: directory)
            }
        }
        guard errno == EEXIST else { throw SystemError("create directory", path) }
        guard isDirectory(path, at: directory) else {
            throw SystemError("create directory", path, code: ENOTDIR)
        }
    }

    /// A umask may have taken bits away.
    private static func setMode(_ mode: mode_t, of path: String, at directory: CInt) throws(SystemError) {
        guard fchmodat(directory, path, mode, 0) == 0 else { throw SystemError("set the mode of", path) }
    }

    /// What is at a path; nil where it does not exist. Unlike `exists` and its like, it does not take an error for
    /// absence: where a server doesn't answer, nothing would seem to be there.
    ///
    /// - Parameter followingLinks: whether what a symbolic link leads to is meant.
    /// - Returns: its mode, type included.
    /// - Throws: `SystemError` where it can't be told.
    public static func mode(of path: String, followingLinks: Bool = false) throws(SystemError) -> mode_t? {
        var information = stat()
        let flags = followingLinks ? 0 : AT_SYMLINK_NOFOLLOW
        if fstatat(currentDirectory, path, &information, flags) == 0 { return information.st_mode }
        guard [ENOENT, ENOTDIR, ELOOP].contains(errno) else { throw SystemError("look at", path) }
        return nil
    }

    /// Reads a whole file; nil where it does not exist.
    ///
    /// - Throws: `SystemError`.
    public static func readIfPresent(_ path: String, limit: Int) throws(SystemError) -> [UInt8]? {
        do throws(SystemError) { return try read(path, limit: limit) } catch {
            guard [ENOENT, ENOTDIR, ELOOP].contains(error.code) else { throw error }
            return nil
        }
    }

    /// Whether a directory is there, symbolic links followed.
    public static func isDirectory(_ path: String, at directory: CInt = currentDirectory) -> Bool {
        var information = stat()
        return fstatat(directory, path, &information, 0) == 0 && information.st_mode & S_IFMT == S_IFDIR
    }

    /// Whether anything is there, a dangling link included.
    public static func exists(_ path: String, at directory: CInt = currentDirectory) -> Bool {
        var information = stat()
        return fstatat(directory, path, &information, AT_SYMLINK_NOFOLLOW) == 0
    }

    /// The target of a symbolic link, or nil where there is no link.
    public static func linkTarget(_ path: String, at directory: CInt = currentDirectory) -> String? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlinkat(directory, path, &buffer, buffer.count)
        guard count >= 0 else { return nil }
        return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// A path that means the same wherever a process stands: beneath this one's directory where it is relative.
    public static func absolutePath(_ path: String) -> String {
        if path.hasPrefix("/") { return path }
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        guard getcwd(&buffer, buffer.count) != nil else { return path }
        let here = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let parts = path.split(separator: "/").filter { $0 != "." }.map(String.init)
        return ([here == "/" ? "" : here] + parts).joined(separator: "/")
    }
}
