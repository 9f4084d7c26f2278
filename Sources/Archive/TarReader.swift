// tar, read an entry at a time: ustar, pax and GNU, through libarchive. Names are bytes, and stay the bytes they are.

import CArchive
import Glibc
import Platform

/// Reads a tar archive from a stream.
package final class TarReader {
    private let handle: LibarchiveHandle
    /// libarchive passes the names of pax headers through the locale's character set.
    private static let locale = setlocale(LC_CTYPE, "C.UTF-8") != nil

    /// Begins to read an uncompressed archive; one of zero bytes is an archive without entries.
    ///
    /// - Throws: the source's error, `ArchiveError`.
    package init(_ source: any ByteStream) throws {
        guard Self.locale else {
            throw ArchiveError("this system has no C.UTF-8 locale, which tar names need")
        }
        handle = try LibarchiveHandle(source, .tar)
    }

    /// The next entry, valid until the next call; nil at the archive's end.
    ///
    /// - Throws: the source's error; `ArchiveError` for damaged or cut-off data.
    package func next() throws -> TarEntry? {
        var entry: OpaquePointer?
        switch archive_read_next_header(handle.archive, &entry) {
        case ARCHIVE_EOF: return nil
        case ARCHIVE_OK: break
        // A name that isn't UTF-8 comes all the same, as the bytes it is. Other warnings are about something lost.
        case ARCHIVE_WARN where Self.isAboutCharacters(handle.warning): break
        default: throw handle.error()
        }
        guard let entry else { throw handle.error() }
        return TarEntry(entry: entry)
    }

    /// Whether a warning says only that a name (of the entry, of what it links to, or of its owner) isn't UTF-8.
    private static func isAboutCharacters(_ warning: String) -> Bool {
        ["Pathname", "Linkname", "Uname", "Gname"].contains { warning.hasPrefix("\($0) can't be converted") }
    }

    /// The next piece of the current entry's data and where in the file it belongs; nil at the data's end.
    ///
    /// Between two pieces, and behind the last, a sparse file has holes.
    /// - Throws: the source's error; `ArchiveError` where the data is shorter than the entry says.
    package func nextBlock() throws -> (offset: Int64, bytes: UnsafeRawBufferPointer)? {
        var block: UnsafeRawPointer?
        var size = 0
        var offset: la_int64_t = 0
        switch archive_read_data_block(handle.archive, &block, &size, &offset) {
        case ARCHIVE_EOF: return nil
        case ARCHIVE_OK: return (Int64(offset), UnsafeRawBufferPointer(start: block, count: size))
        default: throw handle.error()
        }
    }
}

/// One entry of an archive. It borrows libarchive's memory: valid until the reader's next `next()`.
package struct TarEntry {
    let entry: OpaquePointer

    /// What an entry is.
    package enum Kind: Sendable {
        case file, directory, symbolicLink, hardLink, characterDevice, blockDevice, fifo, socket, unknown
    }

    /// The entry's kind.
    package var kind: Kind {
        if archive_entry_hardlink(entry) != nil { return .hardLink }
        switch archive_entry_filetype(entry) {
        case S_IFREG: return .file
        case S_IFDIR: return .directory
        case S_IFLNK: return .symbolicLink
        case S_IFCHR: return .characterDevice
        case S_IFBLK: return .blockDevice
        case S_IFIFO: return .fifo
        case S_IFSOCK: return .socket
        default: return .unknown
        }
    }

    /// The name's bytes, as the archive has them; nil where the archive's name can't be had at all.
    package var name: UnsafePointer<CChar>? { archive_entry_pathname(entry) }
    /// A hard link's target: another entry's name.
    package var hardLinkTarget: UnsafePointer<CChar>? { archive_entry_hardlink(entry) }
    /// A symbolic link's text.
    package var symbolicLinkTarget: UnsafePointer<CChar>? { archive_entry_symlink(entry) }
    /// Permission bits, with set-uid, set-gid and sticky.
    package var permissions: mode_t { archive_entry_perm(entry) & 0o7777 }
    /// The owner's number.
    package var user: Int64 { Int64(archive_entry_uid(entry)) }
    /// The group's number.
    package var group: Int64 { Int64(archive_entry_gid(entry)) }
    /// The length of a file in bytes, holes included.
    package var size: Int64 { Int64(archive_entry_size(entry)) }
    /// When the content last changed.
    package var modified: timespec {
        var time = timespec(tv_sec: archive_entry_mtime(entry), tv_nsec: Int(archive_entry_mtime_nsec(entry)))
        // libarchive (3.7) reads a pax header's "-1.25" as -1 s and +0.25 s; the kernel counts nanoseconds forward.
        if time.tv_sec < 0, time.tv_nsec > 0 {
            time.tv_sec -= 1
            time.tv_nsec = 1_000_000_000 - time.tv_nsec
        }
        return time
    }
    /// A device's numbers.
    package var device: (major: UInt32, minor: UInt32) {
        (
            UInt32(truncatingIfNeeded: archive_entry_rdevmajor(entry)),
            UInt32(truncatingIfNeeded: archive_entry_rdevminor(entry))
        )
    }

    /// Calls `body` with each extended attribute: its name and value.
    package func forEachAttribute<Failure: Error>(
        _ body: (UnsafePointer<CChar>, UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        guard archive_entry_xattr_reset(entry) > 0 else { return }
        var name: UnsafePointer<CChar>?
        var value: UnsafeRawPointer?
        var size = 0
        while archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK {
            if let name { try body(name, UnsafeRawBufferPointer(start: value, count: size)) }
        }
    }
}
