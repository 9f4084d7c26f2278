import Glibc
import Notifications
import Platform

/// One open file of a stream and how far it was read.
final class OpenStream {
    let key: FileKey
    let name: String
    /// The follower's number for it.
    var number = 0
    let descriptor: SharedDescriptor
    private(set) var reader: NotificationReader
    private(set) var firstLine: FirstLine?
    /// Set once the file is so long that it will never have one.
    private var hasNoFirstLine = false
    /// The last bytes that were read: a file truncated and grown again may begin as before, but doesn't go on so.
    private var tail: [UInt8] = []
    private static let tailLength: Int64 = 64

    /// A found file, to be read from an offset: the beginning of a line, or where a reader stopped in one.
    init(_ found: FoundFile, offset: Int64) {
        key = found.key
        name = found.name
        descriptor = found.descriptor
        firstLine = found.firstLine
        reader = NotificationReader(offset: offset, fileFingerprint: found.firstLine?.fingerprint ?? "")
    }

    /// Behind the last item that was given out.
    var offset: Int64 { reader.offset }

    var size: Int64 { RegularFile.size(of: descriptor.raw) }

    var position: Cursor.File {
        Cursor.File(
            fingerprint: firstLine?.fingerprint ?? "", inode: key.inode, offset: reader.offset, name: name)
    }

    /// The next item of what was read.
    func next() -> NotificationItem? { reader.next() }

    /// Reads more, after making sure that the file is still what it was.
    ///
    /// - Returns: what became of it, and whether there was more.
    func fill() throws(SystemError) -> (Truncation, grew: Bool) {
        var hasSameFirstLine = try firstLine?.isStill(in: descriptor.raw)
        if hasSameFirstLine == true, size >= reader.readOffset, try readTail(tail.count) != tail {
            hasSameFirstLine = false
        }
        let truncation = Truncation.judge(
            size: size, consumed: reader.readOffset, hasSameFirstLine: hasSameFirstLine)
        switch truncation {
        case .none: break
        case .startOver: move(to: 0)
        case .lostItsEnd: move(to: size)
        }
        if firstLine == nil, !hasNoFirstLine {
            if let line = FirstLine(of: descriptor.raw) {
                firstLine = line
                reader.fileFingerprint = line.fingerprint
            } else {
                hasNoFirstLine = size > NotificationReader.longestLine
            }
        }
        let grew = try reader.fill(from: descriptor.raw, path: name)
        if grew { tail = try readTail(Int(min(Self.tailLength, reader.readOffset))) }
        return (truncation, grew)
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
