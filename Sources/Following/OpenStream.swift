import Glibc
import Notifications
import Platform

/// One open file of a stream and how far it was read.
final class OpenStream {
    let key: FileKey
    let name: String
    /// The follower's number for it.
    var number = 0
    /// How many parts lie before what is read of it that were read by another follower, and of which nothing is known.
    var unknownParts = 0
    let descriptor: SharedDescriptor
    private let found: FoundFile
    let isCompressed: Bool
    private(set) var reader: NotificationReader
    private(set) var firstLine: FirstLine?
    /// When it was written to last, as far as was known when it was opened.
    let modified: Timestamp
    /// What is left of a compressed file.
    private var source: CompressedSource?
    /// What went wrong with a compressed file, until it is told.
    private var problem: String?
    /// Set once the file is so long that it will never have one.
    private(set) var hasNoFirstLine = false
    /// The last bytes that were read: a file truncated and grown again may begin as before, but doesn't go on so.
    private var tail: [UInt8] = []
    private static let tailLength: Int64 = 64

    /// Opens a found file, to be read from an offset: the beginning of a line, or where a reader stopped in one.
    ///
    /// - Throws: `SystemError`, as `FoundFile.open`.
    convenience init(_ found: FoundFile, offset: Int64) throws(SystemError) {
        self.init(found, try found.open(), firstLine: found.firstLine, offset: offset)
    }

    /// The file that another one has open, whatever became of its name.
    convenience init(from other: OpenStream, offset: Int64) {
        self.init(other.found, other.descriptor, firstLine: other.firstLine, offset: offset)
        number = other.number
        unknownParts = other.unknownParts
    }

    private init(_ found: FoundFile, _ descriptor: SharedDescriptor, firstLine: FirstLine?, offset: Int64) {
        self.found = found
        key = found.key
        name = found.name
        self.descriptor = descriptor
        self.firstLine = firstLine
        modified = found.modified
        isCompressed = found.compression != nil
        reader = NotificationReader(offset: offset, fileFingerprint: firstLine?.fingerprint ?? "")
        guard isCompressed else { return }
        do {
            source = try CompressedSource(found, descriptor, offset: offset)
        } catch {
            problem = "\(found.name): \(error)"
        }
    }

    /// Behind the last item that was given out.
    var offset: Int64 { reader.offset }

    var position: Cursor.File {
        Cursor.File(
            fingerprint: firstLine?.fingerprint ?? "", inode: key.inode, offset: reader.offset, name: name)
    }

    /// The next item of what was read.
    func next(where isWanted: (borrowing NotificationRecord) -> Bool = { _ in true }) -> NotificationItem? {
        reader.next(where: isWanted)
    }

    /// How far back `eventsBefore` looks, and into how large a compressed file, which has to be read from its beginning.
    private static let lookBack: Int64 = 1 << 20
    private static let largestStored: Int64 = 64 << 20

    /// Tells of the events before the offset, as far back as is soon read. What can't be read is said when the file is
    /// read.
    ///
    /// - Parameter beginsLater: called first where these are not all of them.
    /// - Returns: whether all that was to be looked at was.
    func eventsBefore(beginsLater: () -> Void, _ body: (Event) -> Void) -> Bool {
        let end = offset
        let begin = isCompressed ? 0 : max(0, end - Self.lookBack)
        if begin > 0 { beginsLater() }
        var before = NotificationReader(offset: begin, fileFingerprint: reader.fileFingerprint)
        do {
            let source = isCompressed && end > 0 ? try CompressedSource(found, descriptor, offset: 0) : nil
            while before.offset < end,
                try source?.fill(&before) ?? before.fill(from: descriptor.raw, path: name)
            {
                while before.offset < end, let item = before.next() {
                    if case .event(let event) = item, before.offset <= end { body(event) }
                }
                if before.offset - begin > Self.largestStored { return false }
            }
            return true
        } catch { return false }
    }

    /// What went wrong since the last time; it is told once.
    func takeProblem() -> String? {
        defer { problem = nil }
        return problem
    }

    /// What has become of the file since it was read last. Nothing changes here.
    ///
    /// - Throws: `SystemError` where it can't be read.
    func judge() throws(SystemError) -> Truncation {
        if isCompressed { return .none }
        let size = RegularFile.size(of: descriptor.raw)
        var hasSameFirstLine = try firstLine?.isStill(in: descriptor.raw)
        if hasSameFirstLine != false, size >= reader.readOffset, try readTail(tail.count) != tail {
            hasSameFirstLine = false
        }
        return Truncation.judge(size: size, consumed: reader.readOffset, hasSameFirstLine: hasSameFirstLine)
    }

    /// Reads more.
    ///
    /// - Parameter truncation: what has become of the file, as `judge` has it.
    /// - Returns: whether there was more.
    /// - Throws: `SystemError` where it can't be read.
    func fill(after truncation: Truncation) throws(SystemError) -> Bool {
        if isCompressed { return fillFromSource() }
        let size = RegularFile.size(of: descriptor.raw)
        switch truncation {
        case .none: break
        case .startOver: move(to: 0)
        case .lostItsEnd: move(to: size)
        }
        if isUnrecognisable, !learnFirstLine() {
            hasNoFirstLine = size > NotificationReader.longestLine
        }
        let grew = try reader.fill(from: descriptor.raw, path: name)
        if grew { tail = try readTail(Int(min(Self.tailLength, reader.readOffset))) }
        return grew
    }

    /// Whether it has no first line yet.
    var isUnrecognisable: Bool { firstLine == nil && !hasNoFirstLine }

    /// Looks whether the file has a first line by now.
    func learnFirstLine() -> Bool {
        guard !isCompressed, let line = FirstLine(of: descriptor.raw) else { return false }
        firstLine = line
        reader.fileFingerprint = line.fingerprint
        return true
    }

    private func fillFromSource() -> Bool {
        guard let source else { return false }
        do {
            if try source.fill(&reader) { return true }
        } catch let error as CompressedSource.Shorter {
            problem = "\(error)"
        } catch {
            problem = "\(name): \(error): what else was in it is lost"
        }
        self.source = nil
        return false
    }

    private func readTail(_ count: Int) throws(SystemError) -> [UInt8] {
        try FileBytes.read(from: descriptor.raw, at: reader.readOffset - Int64(count), count: count)
    }

    /// Goes on at another offset.
    func move(to offset: Int64) {
        firstLine = FirstLine(of: descriptor.raw)
        hasNoFirstLine = false
        tail = []
        reader.move(to: offset, fileFingerprint: firstLine?.fingerprint ?? "")
    }
}
