// Reads a notification file line by line, from any offset, while others append to it. Memory is bounded whatever is
// in the file; a line that is no event is reported and never stops the reading, and whole events in it are recovered.

import Glibc
import Platform

/// What a reader found, in the file's order.
public enum NotificationItem: Sendable {
    /// An event.
    case event(Event)
    /// A line that is no event: torn by a crash, or foreign. Whole events in it come next.
    case unreadable(LineProblem, excerpt: String)
}

/// Reads events from a file, as far as it is complete.
///
/// ```swift
/// var reader = NotificationReader()
/// while try reader.fill(from: descriptor, path: path) {
///     while let item = reader.next() { … }
/// }
/// ```
///
/// A last line without a line feed is not yet an event: it comes once there is more. A reader takes a megabyte and a
/// quarter of memory: longer lines are no events, but events of up to 64 KiB in them are found.
public struct NotificationReader: ~Copyable {
    /// The longest line that can be an event.
    public static let longestLine = ObjectParser.longestLine
    private static let chunk = 256 << 10

    /// What the reader has come to.
    enum Step {
        /// An event, to be looked at with `withRecord`.
        case record
        /// A line that is none.
        case unreadable(LineProblem, excerpt: String)
    }

    /// Where to go on after what was returned so far: at the beginning of a line, or in a line that is no event behind
    /// what was recovered of it.
    public private(set) var offset: Int64
    /// Where `fill` reads next: what is before it was given out or is held here.
    public var readOffset: Int64 { offset + Int64(end - start) }
    /// What the file is recognised by; empty as long as nobody knows.
    public var fileFingerprint: String
    /// The number of the line that the last step was about, from 1 where the reader began.
    private(set) var lineNumber = 0

    /// So much of `buffer` is used; what is behind it is read now and then, and means nothing.
    private static let capacity = longestLine + chunk + 1
    private let buffer = UnsafeMutableRawBufferPointer.allocate(
        byteCount: capacity + 1 + ObjectParser.readBeyond, alignment: 64)
    /// The unread part of `buffer`; `offset` is where it begins in the file.
    private var start = 0
    private var end = 0
    /// How far the unread part is known to have no line feed.
    private var scanned = 0
    /// Whether only empty lines, which mean nothing, have come since the file's beginning.
    private var isAtBeginning: Bool
    /// Whether the beginning may be in a line that is no event: the byte before it tells.
    private var mayBeInLine: Bool
    /// Set in a line that is no event, while events are looked for in the rest of it.
    private var isRecovering = false
    /// Where the line that is being recovered ends, once that is known.
    private var lineEnd: Int?
    private var parser = ObjectParser()
    /// The last record in `buffer`, and where it begins in the file.
    private var record = 0..<0
    private var recordOffset: Int64 = 0

    /// A reader that begins at an offset, which is the beginning of a line or was a reader's `offset`.
    public init(offset: Int64 = 0, fileFingerprint: String = "") {
        self.offset = offset
        self.fileFingerprint = fileFingerprint
        isAtBeginning = offset == 0
        mayBeInLine = offset > 0
    }

    deinit { buffer.deallocate() }

    /// Goes on somewhere else in the file, or in another one.
    public mutating func move(to offset: Int64, fileFingerprint: String) {
        self.offset = offset
        self.fileFingerprint = fileFingerprint
        isAtBeginning = offset == 0
        mayBeInLine = offset > 0
        lineNumber = 0
        start = 0
        end = 0
        scanned = 0
        isRecovering = false
        lineEnd = nil
    }

    // MARK: Bytes come in

    /// Reads more of the file, where there is room for more.
    ///
    /// - Returns: false at the end of what the file has now.
    /// - Throws: `SystemError`.
    public mutating func fill(from descriptor: CInt, path: String) throws(SystemError) -> Bool {
        makeRoom()
        let room = UnsafeMutableRawBufferPointer(rebasing: buffer[end..<min(end + Self.chunk, Self.capacity)])
        if room.isEmpty { return true }
        if mayBeInLine { try lookBefore(descriptor, path) }
        let position = off_t(readOffset)
        let count = retrying { pread(descriptor, room.baseAddress, room.count, position) }
        guard count >= 0 else { throw SystemError("read", path) }
        end += count
        return count > 0
    }

    /// A reader that begins in a line was in it before, and told of it: what is left of it is recovered, as it would
    /// have been then.
    private mutating func lookBefore(_ descriptor: CInt, _ path: String) throws(SystemError) {
        var last = UInt8(ascii: "\n")
        guard retrying({ pread(descriptor, &last, 1, off_t(offset - 1)) }) >= 0 else {
            throw SystemError("read", path)
        }
        isRecovering = last != UInt8(ascii: "\n")
        mayBeInLine = false
    }

    /// Tells a reader that is fed and begins behind a byte which one that was: a line feed, or one of a line that it has
    /// told of before.
    package mutating func begin(behind byte: UInt8) {
        isRecovering = byte != UInt8(ascii: "\n")
        mayBeInLine = false
    }

    /// Takes the file's next bytes from elsewhere, once `next` has returned nil.
    ///
    /// - Returns: how many it took: all that there is room for.
    package mutating func feed(_ bytes: UnsafeRawBufferPointer) -> Int {
        makeRoom()
        let count = min(bytes.count, Self.capacity - 1 - end)
        let room = UnsafeMutableRawBufferPointer(rebasing: buffer[end..<end + count])
        room.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
        end += count
        return count
    }

    /// Says that the file ends here for good: a line without a line feed is no event, but may have one in it.
    ///
    /// - Returns: the beginning of that line, where there is one that nothing was said of yet.
    mutating func finish() -> String? {
        guard end > start || isRecovering else { return nil }
        let excerpt = isRecovering ? nil : LineRecovery.excerpt(unread(to: end))
        if !isRecovering { lineNumber += 1 }
        isRecovering = true
        buffer[end] = UInt8(ascii: "\n")
        end += 1
        return excerpt
    }

    private mutating func makeRoom() {
        guard start > 0 else { return }
        buffer.copyMemory(from: unread(to: end))
        end -= start
        scanned -= start
        lineEnd = lineEnd.map { $0 - start }
        start = 0
    }

    // MARK: Events come out

    /// The next item of what was read, or nil where `fill` must read more first.
    public mutating func next() -> NotificationItem? { next { _ in true } }

    /// The next wanted event, or a line that is none; nil where `fill` must read more first.
    ///
    /// - Parameter isWanted: is asked of each event where it lies: an unwanted one is never copied.
    @inline(never)  // Swift 6.3.1 crashes when it inlines this into `next`.
    public mutating func next(where isWanted: (borrowing NotificationRecord) -> Bool) -> NotificationItem? {
        while let step = advance() {
            switch step {
            case .unreadable(let problem, let excerpt): return .unreadable(problem, excerpt: excerpt)
            case .record:
                let event = withRecord { bytes, spans in
                    isWanted(NotificationRecord(bytes, spans))
                        ? Event(record: bytes, spans, fileFingerprint: fileFingerprint, offset: recordOffset)
                        : nil
                }
                if let event { return .event(event) }
            }
        }
        return nil
    }

    /// The next step, with nothing copied.
    mutating func advance() -> Step? {
        while true {
            if isRecovering {
                if recover() { return .record }
                if isRecovering { return nil }
            }
            // Where a part of it was looked through, the line is not whole yet, or none of those.
            let plain = scanned == start ? parser.parsePlain(unread(to: end)) : nil
            if let plain { scanned = start + plain }
            guard let length = plain ?? lineLength() else {
                guard end - start > Self.longestLine else { return nil }
                let problem = LineProblem(reason: "is longer than \(Self.longestLine) bytes", position: 0)
                return giveUpLine(problem, excerpt: LineRecovery.excerpt(unread(to: end)))
            }
            if length == 0 {
                lineNumber += 1
                consume(1)
                continue
            }
            let line = unread(to: start + length)
            if isAtBeginning && fileFingerprint.isEmpty {
                fileFingerprint = LineIdentity.fileFingerprint(firstLine: line)
            }
            isAtBeginning = false
            do throws(LineProblem) {
                if plain == nil { try parser.parseLine(line) }
                try Event.checkAction(in: line, parser.spans)
                try Event.checkAlone(in: line, parser.object, parser.spans)
            } catch {
                lineEnd = start + length
                return giveUpLine(error, excerpt: LineRecovery.excerpt(line))
            }
            lineNumber += 1
            record = start..<start + length
            recordOffset = offset
            consume(length + 1)
            return .record
        }
    }

    /// Hands out the last record: its bytes and where its fields are in them.
    func withRecord<Result>(_ body: (UnsafeRawBufferPointer, FieldSpans) -> Result) -> Result {
        body(UnsafeRawBufferPointer(rebasing: buffer[record]), parser.spans)
    }

    private mutating func giveUpLine(_ problem: LineProblem, excerpt: String) -> Step {
        lineNumber += 1
        isAtBeginning = false
        isRecovering = true
        return .unreadable(problem, excerpt: excerpt)
    }

    /// Looks for a whole event in the rest of a line that is none.
    ///
    /// - Returns: whether there is one; if not and `isRecovering` is still set, the line goes on in what comes next.
    private mutating func recover() -> Bool {
        if lineEnd == nil { lineEnd = lineLength().map { start + $0 } }
        let rest = unread(to: lineEnd ?? end)
        switch LineRecovery.next(in: rest, isWhole: lineEnd != nil, &parser) {
        case .event(let range):
            record = start + range.lowerBound..<start + range.upperBound
            recordOffset = offset + Int64(range.lowerBound)
            consume(range.upperBound)
            return true
        case .nothing(let before):
            consume(before)
            guard lineEnd != nil else { return false }
            consume(1)
            isRecovering = false
            lineEnd = nil
            return false
        }
    }

    private func unread(to limit: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: buffer[start..<limit])
    }

    private mutating func consume(_ count: Int) {
        start += count
        offset += Int64(count)
        scanned = max(scanned, start)
    }

    /// The length of the complete line at `start`.
    private mutating func lineLength() -> Int? {
        guard scanned < end, let base = buffer.baseAddress,
            let found = memchr(base + scanned, CInt(UInt8(ascii: "\n")), end - scanned)
        else {
            scanned = end
            return nil
        }
        scanned = found - base
        return scanned - start
    }
}
