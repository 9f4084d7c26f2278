// The files of a stream as `verify` reads them: all of them opened at one moment, and each read as far as it was
// complete then, so that neither a rotation nor a writer at work looks like damage.

import Archive
import Glibc
import Notifications
import Platform

/// A file of a stream, open for one reading.
struct VerifiedFile {
    let path: String
    let descriptor: SharedDescriptor
    let key: FileKey
    /// How it is compressed: `gz`, `xz`, `zst` or `bz2`; nil where it isn't.
    let compression: String?
    /// The file that should be between it and the one before, by the names.
    var missingBefore: String?
    /// How much of it is read.
    var size: Int64 = 0
    var isLive = false

    /// Opens a regular file.
    init(_ path: String, compression: String?) throws(SystemError) {
        self.path = path
        self.compression = compression
        (descriptor, key) = try RegularFile.open(path, for: "verify")
    }

    /// Notes the size up to which it is read.
    mutating func measure() { size = RegularFile.size(of: descriptor.raw) }

    /// The file's bytes up to the measured size, decompressed.
    ///
    /// - Throws: `SystemError`, `ArchiveError`; so does the stream.
    func stream() throws -> any ByteStream {
        let raw = DescriptorStream(descriptor, path: path, size: size)
        switch compression {
        case nil: return raw
        case "gz": return GzipStream(raw)
        case "xz": return try LibarchiveFilterStream(raw, .xz)
        case "zst": return try LibarchiveFilterStream(raw, .zstandard)
        case "bz2": return try LibarchiveFilterStream(raw, .bzip2)
        case .some(let other): throw ArchiveError("files compressed as .\(other) are not understood")
        }
    }
}

/// All files of a stream.
enum VerifiedFiles {
    /// A file that is there but can't be opened.
    struct Unreadable {
        let path: String
        let error: SystemError
    }

    /// Opens all files of a stream, oldest first.
    ///
    /// - Parameter olddirs: where rotated files lie besides the stream's own directory.
    /// - Throws: `SystemError` of the file at the path, or of a directory.
    static func open(
        _ path: String, olddirs: [String]
    ) throws(SystemError) -> (files: [VerifiedFile], unreadable: [Unreadable]) {
        let target = FoundFile.target(of: path)
        var files: [VerifiedFile] = []
        var unreadable: [Unreadable] = []
        // A rotation meanwhile gives names to other files: then once more.
        for _ in 0..<20 {
            (files, unreadable) = try look(path, target, olddirs)
            if files.allSatisfy({ FileKey(at: $0.path) == $0.key }) && unreadable.isEmpty { break }
        }
        // From the newest to the oldest: what a run wrote into an older file before is then within that one's size.
        for index in files.indices.reversed() { files[index].measure() }
        return (files, unreadable)
    }

    private static func look(
        _ path: String, _ target: String, _ olddirs: [String]
    ) throws(SystemError) -> (files: [VerifiedFile], unreadable: [Unreadable]) {
        let base = Files.lastComponent(of: target)
        let rotated = try RotatedFiles.all(
            of: base, in: [Files.parentPath(of: target)] + olddirs, firstTimestamp: firstTimestamp)
        var files: [VerifiedFile] = []
        var unreadable: [Unreadable] = []
        var keys: Set<FileKey> = []
        var number: Int?
        for (sibling, name) in rotated {
            let missing = missingNumber(after: number, before: name.suffix).map { "\(base).\($0)" }
            if case .number(let own) = name.suffix { number = own }
            do throws(SystemError) {
                var file = try VerifiedFile(sibling, compression: name.compression)
                file.missingBefore = missing
                if keys.insert(file.key).inserted { files.append(file) }
            } catch {
                unreadable.append(Unreadable(path: sibling, error: error))
            }
        }
        do throws(SystemError) {
            var live = try VerifiedFile(path, compression: nil)
            live.isLive = true
            if let number, number > 1 { live.missingBefore = "\(base).\(number - 1)" }
            if keys.insert(live.key).inserted { files.append(live) }
        } catch {
            if error.code != ENOENT { throw error }
        }
        return (files, unreadable)
    }

    private static func missingNumber(after older: Int?, before suffix: RotatedFiles.Suffix) -> Int? {
        guard let older, case .number(let own) = suffix, older > own + 1 else { return nil }
        return own + 1
    }

    /// An unreadable or empty file sorts first and is then nothing to read.
    private static func firstTimestamp(_ path: String, _ name: RotatedFiles.Name) -> String {
        guard var file = try? VerifiedFile(path, compression: name.compression) else { return "" }
        file.measure()
        guard let stream = try? file.stream() else { return "" }
        var line: [UInt8] = []
        while line.count <= NotificationReader.longestLine, let chunk = try? stream.next(), !chunk.isEmpty {
            let end = chunk.firstIndex(of: UInt8(ascii: "\n"))
            line.append(contentsOf: chunk[..<(end ?? chunk.endIndex)])
            if end != nil { return (try? Event(line: line))?.timestamp ?? "" }
        }
        return ""
    }
}

/// An open file from its beginning to a given size, or to where it ends before.
private final class DescriptorStream: ByteStream {
    private let descriptor: SharedDescriptor
    private let path: String
    private let size: Int64
    private var offset: Int64 = 0
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 64)

    init(_ descriptor: SharedDescriptor, path: String, size: Int64) {
        self.descriptor = descriptor
        self.path = path
        self.size = size
    }

    deinit { buffer.deallocate() }

    func next() throws -> UnsafeRawBufferPointer {
        let wanted = min(Int64(buffer.count), size - offset)
        guard wanted > 0 else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        let count = retrying { pread(descriptor.raw, buffer.baseAddress, Int(wanted), Int(offset)) }
        guard count >= 0 else { throw SystemError("read", path) }
        offset += Int64(count)
        return UnsafeRawBufferPointer(rebasing: buffer[..<count])
    }
}
