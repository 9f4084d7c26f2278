// The files of a stream as `verify` reads them: all of them opened at one moment, and each read as far as it was
// complete then, so that neither a rotation nor a writer at work looks like damage.

import Archive
import Glibc
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
        let file: RegularFile
        (descriptor, file) = try RegularFile.open(path, for: "verify")
        key = file.key
    }

    /// Notes the size up to which it is read.
    mutating func measure() { size = RegularFile.size(of: descriptor.raw) }

    /// The file's bytes up to the measured size, decompressed.
    ///
    /// - Throws: `SystemError`, `ArchiveError`; so does the stream.
    func stream() throws -> any ByteStream {
        try StoredBytes.stream(descriptor, path: path, compression: compression, size: size)
    }
}

/// All files of a stream.
enum VerifiedFiles {
    /// Opens all files of a stream, oldest first.
    ///
    /// - Parameter olddirs: where rotated files lie besides the stream's own directory.
    /// - Throws: `SystemError` of the file at the path, or of a directory.
    static func open(
        _ path: String, olddirs: [String]
    ) throws(SystemError) -> (files: [VerifiedFile], unreadable: [StreamFiles.Unreadable]) {
        let all = StreamFiles(path: path, directories: olddirs)
        var files: [VerifiedFile] = []
        var unreadable: [StreamFiles.Unreadable] = []
        // A rotation meanwhile gives names to other files: then once more.
        for _ in 0..<20 {
            (files, unreadable) = try look(path, all)
            if files.allSatisfy({ FileKey(at: $0.path) == $0.key }) && unreadable.isEmpty { break }
        }
        // From the newest to the oldest: what a run wrote into an older file before is then within that one's size.
        for index in files.indices.reversed() { files[index].measure() }
        return (files, unreadable)
    }

    private static func look(
        _ path: String, _ all: StreamFiles
    ) throws(SystemError) -> (files: [VerifiedFile], unreadable: [StreamFiles.Unreadable]) {
        let base = Files.lastComponent(of: all.places.target)
        var files: [VerifiedFile] = []
        var unreadable: [StreamFiles.Unreadable] = []
        var keys: Set<FileKey> = []
        var number: Int?
        for file in try all.list() {
            let missing = missingNumber(after: number, before: file.name.suffix).map { "\(base).\($0)" }
            if case .number(let own) = file.name.suffix { number = own }
            do throws(SystemError) {
                var opened = try VerifiedFile(file.path, compression: file.name.compression)
                opened.missingBefore = missing
                if keys.insert(opened.key).inserted { files.append(opened) }
            } catch {
                unreadable.append(StreamFiles.Unreadable(path: file.path, error: error))
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
}
