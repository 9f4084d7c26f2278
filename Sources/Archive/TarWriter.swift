// tar, written an entry at a time through libarchive, in GNU's form: its names are bytes of any length, and its numbers
// have room for every owner (pax headers would pass names through a character set).

import CArchive
import Glibc
import Platform

/// Where an archive's bytes go.
package protocol ByteSink: AnyObject {
    /// Takes the next bytes, all of them.
    ///
    /// - Throws: whatever keeps it from that; then the archive is of no use.
    func write(_ bytes: UnsafeRawBufferPointer) throws
}

/// What an entry is like, apart from its name and its content.
package struct TarAttributes: Sendable, Equatable {
    /// Permission bits, with set-uid, set-gid and sticky.
    package var permissions: mode_t
    package var user: Int64
    package var group: Int64
    /// Seconds since 1970.
    package var modified: Int

    package init(permissions: mode_t, user: Int64 = 0, group: Int64 = 0, modified: Int) {
        self.permissions = permissions
        self.user = user
        self.group = group
        self.modified = modified
    }
}

/// Writes a tar archive. After an error it is of no further use.
package final class TarWriter {
    /// What an entry holds.
    package enum Content {
        case directory
        /// So many bytes, which `write` has to bring.
        case file(Int64)
        /// A link's text.
        case symbolicLink([CChar])
        /// The path of an entry that comes before or after this one, or was there before the archive.
        case hardLink([CChar])
        /// A device's type (`S_IFCHR`, `S_IFBLK`) or `S_IFIFO`, and its numbers.
        case special(mode_t, major: UInt32, minor: UInt32)
    }

    private let archive: OpaquePointer
    private let entry: OpaquePointer
    private let sink: any ByteSink
    private var failure: (any Error)?
    /// The number of the device that is written, where libarchive can't write it.
    private var largeDevice: LargeDevice?

    /// Begins an archive.
    ///
    /// - Throws: `ArchiveError`.
    package init(_ sink: any ByteSink) throws {
        guard let archive = archive_write_new(), let entry = archive_entry_new() else {
            throw ArchiveError("libarchive: out of memory")
        }
        self.archive = archive
        self.entry = entry
        self.sink = sink
        archive_write_set_format_gnutar(archive)
        archive_write_add_filter_none(archive)
        // Each record as it is ready: the sink gathers.
        archive_write_set_bytes_per_block(archive, 0)
        let code = archive_write_open(
            archive, Unmanaged.passUnretained(self).toOpaque(), nil,
            { _, context, buffer, count in
                guard let context, let buffer else { return -1 }
                let writer = Unmanaged<TarWriter>.fromOpaque(context).takeUnretainedValue()
                do {
                    let bytes = UnsafeRawBufferPointer(start: buffer, count: count)
                    if let header = writer.largeDevice?.patched(bytes) {
                        writer.largeDevice = nil
                        try header.withUnsafeBytes { try writer.sink.write($0) }
                    } else {
                        try writer.sink.write(bytes)
                    }
                    return count
                } catch {
                    writer.failure = error
                    return -1
                }
            }, nil)
        guard code == ARCHIVE_OK else { throw error() }
    }

    deinit {
        // Nothing more is written: without this an archive that was given up would get its end all the same.
        archive_write_fail(archive)
        archive_write_free(archive)
        archive_entry_free(entry)
    }

    /// Begins an entry; a file's bytes follow with `write`.
    ///
    /// - Parameter path: relative, without `.` and `..`.
    /// - Throws: the sink's error, `ArchiveError`.
    package func add(_ path: UnsafePointer<CChar>, _ content: Content, _ attributes: TarAttributes) throws {
        archive_entry_clear(entry)
        archive_entry_set_pathname(entry, path)
        archive_entry_set_perm(entry, attributes.permissions)
        archive_entry_set_uid(entry, attributes.user)
        archive_entry_set_gid(entry, attributes.group)
        archive_entry_set_mtime(entry, attributes.modified, 0)
        archive_entry_set_size(entry, 0)
        switch content {
        case .directory: archive_entry_set_filetype(entry, S_IFDIR as mode_t)
        case .file(let size):
            archive_entry_set_filetype(entry, S_IFREG as mode_t)
            archive_entry_set_size(entry, size)
        case .symbolicLink(let text):
            archive_entry_set_filetype(entry, S_IFLNK as mode_t)
            archive_entry_set_symlink(entry, text)
        case .hardLink(let target):
            archive_entry_set_filetype(entry, S_IFREG as mode_t)
            archive_entry_set_hardlink(entry, target)
        case .special(let type, let major, let minor):
            archive_entry_set_filetype(entry, type)
            if type != S_IFIFO { largeDevice = LargeDevice(major: major, minor: minor) }
            archive_entry_set_rdevmajor(entry, largeDevice == nil ? dev_t(major) : 0)
            archive_entry_set_rdevminor(entry, largeDevice == nil ? dev_t(minor) : 0)
        }
        guard archive_write_header(archive, entry) == ARCHIVE_OK else { throw error() }
    }

    /// The next bytes of the file that was begun.
    ///
    /// - Throws: the sink's error; `ArchiveError` where they are more than were announced.
    package func write(_ bytes: UnsafeRawBufferPointer) throws {
        guard archive_write_data(archive, bytes.baseAddress, bytes.count) == bytes.count else {
            throw failure ?? ArchiveError("a file grew while it was put into an archive")
        }
    }

    /// Ends the archive.
    ///
    /// - Throws: the sink's error, `ArchiveError`.
    package func finish() throws {
        guard archive_write_close(archive) == ARCHIVE_OK else { throw error() }
    }

    /// Ends the last entry, and not the archive: another piece follows.
    ///
    /// - Throws: the sink's error, `ArchiveError`.
    package func finishEntry() throws {
        guard archive_write_finish_entry(archive) == ARCHIVE_OK else { throw error() }
    }

    private func error() -> any Error { failure ?? ArchiveError(archive: archive) }
}

/// A device's number that has no room in the six octal digits that libarchive writes. GNU tar writes such numbers as
/// binary ones (base-256), and every reader takes them: they are put into the header that libarchive has made.
private struct LargeDevice {
    private static let most: UInt32 = 0o777777
    private let major: UInt32
    private let minor: UInt32

    /// nil where the number is a small one.
    init?(major: UInt32, minor: UInt32) {
        if major <= Self.most, minor <= Self.most { return nil }
        self.major = major
        self.minor = minor
    }

    /// A header with the number in it; nil for other bytes, such as a long name's header.
    func patched(_ bytes: UnsafeRawBufferPointer) -> [UInt8]? {
        // GNU tar manual, "Basic Tar Format": typeflag, chksum, devmajor, devminor.
        let (typeFlag, checksum, devices) = (156, 148..<156, 329..<345)
        guard bytes.count == 512, [UInt8(ascii: "3"), UInt8(ascii: "4")].contains(bytes[typeFlag]) else {
            return nil
        }
        var header = Array(bytes)
        let numbers = [major, minor].flatMap { (number: UInt32) -> [UInt8] in
            [0x80, 0, 0, 0] + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) }
        }
        header.replaceSubrange(devices, with: numbers)
        header.replaceSubrange(checksum, with: [UInt8](repeating: UInt8(ascii: " "), count: 8))
        let digits = String(header.reduce(0) { $0 + Int($1) }, radix: 8)
        let text = String(repeating: "0", count: max(0, 6 - digits.utf8.count)) + digits
        header.replaceSubrange(checksum, with: Array(text.utf8) + [0, UInt8(ascii: " ")])
        return header
    }
}
