// The one place that opens libarchive for reading: from a `ByteStream`, with the stream's own error handed through.

import CArchive
import Glibc
import Platform

/// A libarchive handle that reads from a stream. Every return code is looked at; a warning (`ARCHIVE_WARN`) mostly
/// says that something in the archive was passed over.
final class LibarchiveHandle {
    let archive: OpaquePointer
    private let source: any ByteStream
    private var failure: (any Error)?

    /// What the handle shall understand.
    enum Content {
        /// tar in all its forms, uncompressed.
        case tar
        /// Compressed bytes, as one nameless entry.
        case compressed(StreamCompression)
    }

    init(_ source: any ByteStream, _ content: Content) throws {
        guard let archive = archive_read_new() else { throw ArchiveError("libarchive: out of memory") }
        self.archive = archive
        self.source = source
        switch content {
        case .tar:
            archive_read_support_format_tar(archive)
            archive_read_support_format_empty(archive)
        case .compressed(let compression):
            archive_read_support_format_raw(archive)
            // Found out by itself, it would take what is inside for compressed too where that looks so.
            guard archive_read_append_filter(archive, compression.filter) == ARCHIVE_OK else {
                archive_read_free(archive)
                throw ArchiveError("this libarchive can't read \(compression.rawValue)")
            }
        }
        let code = archive_read_open2(
            archive, Unmanaged.passUnretained(self).toOpaque(), nil,
            { _, context, buffer in
                guard let context, let buffer else { return -1 }
                let handle = Unmanaged<LibarchiveHandle>.fromOpaque(context).takeUnretainedValue()
                do {
                    let chunk = try handle.source.next()
                    buffer.pointee = chunk.baseAddress
                    return chunk.count
                } catch {
                    handle.failure = error
                    return -1
                }
            },
            source is any SkippingStream
                ? { _, context, count in
                    guard let context else { return 0 }
                    let handle = Unmanaged<LibarchiveHandle>.fromOpaque(context).takeUnretainedValue()
                    guard let source = handle.source as? any SkippingStream else { return 0 }
                    return source.skip(count)
                } : nil, nil)
        guard code == ARCHIVE_OK else { throw error() }
    }

    deinit { archive_read_free(archive) }

    /// What the last call warned of.
    var warning: String { archive_error_string(archive).map { String(cString: $0) } ?? "" }

    /// The error of the last call: the stream's own where it was the stream that failed.
    func error() -> any Error { failure ?? ArchiveError(archive: archive) }
}

/// How a stream is compressed that ISA-L doesn't know.
package enum StreamCompression: String, Sendable {
    case zstandard, xz, bzip2

    var filter: CInt {
        switch self {
        case .zstandard: ARCHIVE_FILTER_ZSTD
        case .xz: ARCHIVE_FILTER_XZ
        case .bzip2: ARCHIVE_FILTER_BZIP2
        }
    }
}

/// Bytes decompressed by libarchive's filters: for what ISA-L doesn't know.
package final class LibarchiveFilterStream: ByteStream {
    private let handle: LibarchiveHandle
    private var ended = false

    /// A stream that decompresses `source`.
    ///
    /// - Throws: the source's error, `ArchiveError`.
    package init(_ source: any ByteStream, _ compression: StreamCompression) throws {
        handle = try LibarchiveHandle(source, .compressed(compression))
        var entry: OpaquePointer?
        let code = archive_read_next_header(handle.archive, &entry)
        if code == ARCHIVE_EOF { ended = true } else if code != ARCHIVE_OK { throw handle.error() }
    }

    package func next() throws -> UnsafeRawBufferPointer {
        var block: UnsafeRawPointer?
        var size = 0
        var offset: la_int64_t = 0
        while !ended {
            switch archive_read_data_block(handle.archive, &block, &size, &offset) {
            case ARCHIVE_EOF: ended = true
            case ARCHIVE_OK:
                if size > 0 { return UnsafeRawBufferPointer(start: block, count: size) }
            default:
                ended = true
                throw handle.error()
            }
        }
        return UnsafeRawBufferPointer(start: nil, count: 0)
    }
}
