// A stream's files and its writers, as the model test's steps change them. What becomes whole where is told to the
// reference model here.

import Glibc
import Notifications
import Platform
import Support

/// A file of the stream, whatever its name.
final class ModelFile {
    let number: Int
    var path: String
    var isCompressed = false
    /// What is being made of it.
    var half: String?
    var isThere = true
    var size = 0
    /// The events in it, and where each ends.
    var ends: [(event: String, end: Int)] = []
    /// Whether a cursor was saved that knows it by its inode alone.
    var wasUnrecognisable = false
    /// A line that lacks nothing but its end: whoever writes next ends it.
    var unended: ModelLine?
    /// In which of the daemon's lives all hooks had read it to its end at a time.
    var readIn = 0

    init(_ number: Int, _ path: String) {
        self.number = number
        self.path = path
    }
}

/// A run that writes into the stream.
final class ModelWriter {
    private let slot: Int
    private var runs = 0
    private var sequence = 0
    private var previous = ""
    var file: ModelFile?
    var descriptor: SharedDescriptor?
    /// The rest of a line of which a part is written; the line; and whether somebody wrote behind that part.
    var pending: (rest: [UInt8], line: ModelLine, isTorn: Bool)?

    init(_ slot: Int) {
        self.slot = slot
        begin()
    }

    static let runEnding = "-0000-4000-8000-000000000000"

    /// A UUID, as the stream's runs are.
    var run: String {
        "\(["a", "b", "c"][slot])\(String("000000\(runs)".suffix(7)))\(Self.runEnding)"
    }

    /// Another process takes its place.
    func begin() {
        runs += 1
        sequence = 0
        previous = String(repeating: "0", count: 32)
        file = nil
        descriptor = nil
        pending = nil
    }

    func line(key: Int, time: Int) -> ModelLine {
        sequence += 1
        let clock =
            "2026-11-24T\(Self.two(8 + time / 3600)):\(Self.two(time / 60 % 60)):\(Self.two(time % 60))"
        let body =
            "{\"time\":\"24 Nov 2026 - 08:00:00.000\",\"timestamp\":\"\(clock).000000000Z\",\"action\":\"publish_test\","
            + "\"event_id\":\"\(run):\(sequence)\",\"run_id\":\"\(run)\",\"seq\":\"\(sequence)\","
            + "\"prev\":\"\(previous)\",\"host\":\"h\",\"pid\":\"1\",\"image\":\"k\(key)\""
        previous = String(SHA256.hex(of: Array(body.utf8)).prefix(32))
        return ModelLine(
            run: run, event: "\(run):\(sequence)", key: "k\(key)",
            bytes: Array("\(body),\"check\":\"\(previous)\"}\n".utf8))
    }

    private static func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
}

/// An event's line.
struct ModelLine {
    let run: String
    let event: String
    let key: String
    let bytes: [UInt8]
}

/// The stream on the disk.
final class ModelDisk {
    /// How rotated files are called.
    enum Scheme: CaseIterable { case numbered, dated, elsewhere }

    let directory: TemporaryDirectory
    let path: String
    let scheme: Scheme
    var files: [ModelFile] = []
    var live: ModelFile?
    var writers: [ModelWriter] = (0..<3).map { ModelWriter($0) }
    /// Told of every event that is whole, and where.
    var wrote: (ModelLine, ModelFile) -> Void = { _, _ in }
    private var opened = 0
    private var time = 0
    private var rotations = 0

    init(_ scheme: Scheme) throws {
        directory = try TemporaryDirectory.inMemory(keepsEvents: false)
        path = directory.path("log/notifications.log")
        self.scheme = scheme
        try Files.makeDirectories(directory.path("log"))
        try Files.makeDirectories(directory.path("old"))
    }

    /// Where rotated files lie besides the stream's directory.
    var rotatedPatterns: [String] { scheme == .elsewhere ? [directory.path("old/notifications.log*")] : [] }

    /// The rotated files, oldest first.
    var rotated: [ModelFile] { files.filter { $0.isThere && $0 !== live } }

    func isHeld(_ file: ModelFile) -> Bool { writers.contains { $0.file === file } }

    private func add(at path: String) -> ModelFile {
        opened += 1
        let file = ModelFile(opened, path)
        files.append(file)
        return file
    }

    // MARK: Writing

    /// A writer's next events.
    ///
    /// - Parameter looks: whether it looks where the path leads before: one that was suspended behind its look doesn't.
    func write(_ writer: ModelWriter, _ count: Int, key: Int, looks: Bool) throws {
        for _ in 0..<count {
            try complete(writer)
            let isNew = try open(writer, looks: looks)
            let line = next(writer, key: key)
            try append(line.bytes, writer, separated: isNew)
            if let file = writer.file { whole(line, file) }
        }
    }

    /// A part of a line, so many bytes less than all of it.
    func writePart(_ writer: ModelWriter, missing: Int, key: Int) throws {
        guard writer.pending == nil else { return }
        let isNew = try open(writer, looks: true)
        let line = next(writer, key: key)
        let cut = max(1, line.bytes.count - missing)
        try append(Array(line.bytes[..<cut]), writer, separated: isNew)
        writer.pending = (Array(line.bytes[cut...]), line, false)
        if cut == line.bytes.count - 1 { writer.file?.unended = line }
    }

    /// The rest of a line; or all of it again where somebody wrote behind the part.
    func complete(_ writer: ModelWriter) throws {
        guard let (rest, line, isTorn) = writer.pending else { return }
        writer.pending = nil
        try append(isTorn ? [UInt8(ascii: "\n")] + line.bytes : rest, writer, separated: false)
        // Where only its end was missing, that has ended it.
        if let file = writer.file, isTorn || rest.count > 1 { whole(line, file) }
    }

    private func next(_ writer: ModelWriter, key: Int) -> ModelLine {
        time += 1
        return writer.line(key: key, time: time)
    }

    private func whole(_ line: ModelLine, _ file: ModelFile) {
        file.ends.append((line.event, file.size))
        wrote(line, file)
    }

    /// - Returns: whether the file was opened anew.
    private func open(_ writer: ModelWriter, looks: Bool) throws -> Bool {
        if writer.file != nil, !looks || live == nil || writer.file === live { return false }
        let file = try live ?? create()
        writer.descriptor = SharedDescriptor(
            try OwnedDescriptor(opening: file.path, O_RDWR | O_APPEND))
        writer.file = file
        return true
    }

    private func append(_ bytes: [UInt8], _ writer: ModelWriter, separated: Bool) throws {
        guard let descriptor = writer.descriptor, let file = writer.file else { return }
        var bytes = bytes
        var information = stat()
        var last = UInt8(ascii: "\n")
        if separated, fstat(descriptor.raw, &information) == 0, information.st_size > 0,
            pread(descriptor.raw, &last, 1, information.st_size - 1) == 1, last != UInt8(ascii: "\n")
        {
            bytes.insert(UInt8(ascii: "\n"), at: 0)
        }
        if let line = file.unended {
            file.unended = nil
            whole(line, file)
        }
        try Files.writeAll(bytes, to: descriptor.raw, path: file.path)
        if fstat(descriptor.raw, &information) == 0 { file.size = Int(information.st_size) }
        for other in writers
        where other !== writer && other.file === file && other.pending?.rest.count ?? 0 > 1 {
            other.pending?.isTorn = true
        }
    }

    /// A file at the path, where there is none.
    @discardableResult
    func create() throws -> ModelFile {
        if let live { return live }
        _ = try OwnedDescriptor(opening: path, O_WRONLY | O_CREAT | O_EXCL, mode: 0o644)
        let file = add(at: path)
        live = file
        return file
    }

    // MARK: Rotating

    /// logrotate's, with `create` or `nocreate`.
    func rotate(create creates: Bool) throws {
        guard let file = live else { return }
        try move(file, to: try rotatedPath())
        live = nil
        if creates { try create() }
    }

    private func move(_ file: ModelFile, to path: String) throws {
        forgetHalf(file)
        guard rename(file.path, path) == 0 else { throw SystemError("rename", file.path) }
        file.path = path
    }

    private func rotatedPath() throws -> String {
        rotations += 1
        if scheme == .dated { return "\(path)-20261124-\(1_795_500_000 + rotations)" }
        let base = scheme == .numbered ? path : directory.path("old/notifications.log")
        // The oldest first; what is gone leaves a gap, as it does with logrotate.
        for file in rotated {
            let parts = file.path.dropFirst(base.count + 1).split(separator: ".")
            let number = (parts.first.flatMap { Int($0) } ?? 0) + 1
            try move(
                file, to: ([base, "\(number)"] + parts.dropFirst().map(String.init)).joined(separator: "."))
        }
        return base + ".1"
    }

    /// Copies the file at the path and truncates it; `between` is what happens between the two.
    func copyTruncate(between: (_ file: ModelFile, _ copy: ModelFile) throws -> Void) throws {
        guard let file = live else { return }
        let bytes = try Files.read(file.path, limit: 1 << 30)
        let copyPath = try rotatedPath()
        try Files.replace(copyPath, with: bytes, mode: 0o644, sync: false)
        let copy = add(at: copyPath)
        swap(&copy.ends, &file.ends)
        try between(file, copy)
        try truncate(file, to: 0)
        file.ends = []
        // Rotated files are in the order of their ages.
        files.removeAll { $0 === file }
        files.append(file)
    }

    /// Shortens a file.
    func truncate(_ file: ModelFile, to size: Int) throws {
        guard Glibc.truncate(file.path, off_t(size)) == 0 else { throw SystemError("shorten", file.path) }
        file.size = size
        file.unended = nil
        for writer in writers where writer.file === file { writer.pending?.isTorn = true }
    }

    /// Compresses a rotated file that no writer has; halfway the two lie side by side.
    func compress(_ file: ModelFile, _ tool: String, halfway: Bool) throws {
        guard !file.isCompressed, !isHeld(file) else { return }
        let bytes = try Files.read(file.path, limit: 1 << 30)
        let result =
            tool == "gzip" ? Compression.storedGzip(bytes) : try Compression.tool(tool, ["-q", "-c"], bytes)
        let ending = ["gzip": "gz", "xz": "xz", "zstd": "zst", "bzip2": "bz2"][tool] ?? ""
        let path = "\(file.path).\(ending)"
        try Files.replace(path, with: halfway ? Array(result[..<(result.count / 2)]) : result, sync: false)
        forgetHalf(file, unless: path)
        file.half = halfway ? path : nil
        if halfway { return }
        unlink(file.path)
        file.path = path
        file.isCompressed = true
    }

    private func forgetHalf(_ file: ModelFile, unless path: String = "") {
        if let half = file.half, half != path { unlink(half) }
        file.half = nil
    }

    /// Takes a file's name away.
    func remove(_ file: ModelFile) {
        unlink(file.path)
        forget(file)
    }

    private func forget(_ file: ModelFile) {
        forgetHalf(file)
        file.isThere = false
        if live === file { live = nil }
        files.removeAll { $0 === file }
    }

    /// A new file at the path gets the inode of one that is removed: nobody may have that open.
    func replace(_ file: ModelFile) throws {
        if file !== live { try rotate(create: false) }
        let old = file.path
        forget(file)
        for writer in writers where writer.file === file { writer.begin() }
        guard Glibc.truncate(old, 0) == 0, rename(old, path) == 0 else { throw SystemError("replace", old) }
        live = add(at: path)
    }

    /// Whether this process has a file open for reading.
    static func isOpen(_ file: ModelFile) -> Bool {
        guard let wanted = FileIdentity(file.path) else { return false }
        let names = (try? DirectoryEntry.names(in: "/proc/self/fd")) ?? []
        return names.compactMap { CInt($0) }.contains {
            FileIdentity($0) == wanted && fcntl($0, F_GETFL) & O_ACCMODE == O_RDONLY
        }
    }
}

/// What the kernel knows a file by.
private struct FileIdentity: Equatable {
    let device: dev_t
    let inode: ino_t

    init?(_ path: String) {
        var information = stat()
        guard stat(path, &information) == 0 else { return nil }
        (device, inode) = (information.st_dev, information.st_ino)
    }

    init?(_ descriptor: CInt) {
        var information = stat()
        guard fstat(descriptor, &information) == 0 else { return nil }
        (device, inode) = (information.st_dev, information.st_ino)
    }
}
