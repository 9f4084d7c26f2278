// An event as its line: the fields that every event has, in their order, the event's own, and the check.

import Glibc

/// Encodes the lines of one run.
struct LineEncoder: ~Copyable {
    /// The most bytes of a line, its line feed included.
    static let longestLine = 64 << 10
    /// `,"check":"` + 32 digits + `"}` + line feed.
    private static let tailLength = 45

    var buffer = LineBuffer(capacity: 8 * longestLine)
    private var clock = LineClock()
    private let hash: LineHash
    private let beforeSequence: [UInt8]
    private let betweenSequences: [UInt8]
    private let behindPrevious: [UInt8]
    /// The check of the last line that was *completely written*; the writer says which that is.
    private var previous = [UInt8](repeating: UInt8(ascii: "0"), count: 32)
    private var check = [UInt8](repeating: 0, count: 32)

    /// nil where libcrypto gives no SHA-256.
    init?(runIdentifier: String, host: String, process: pid_t) {
        guard let hash = LineHash() else { return nil }
        self.hash = hash
        beforeSequence = Array("\",\"event_id\":\"\(runIdentifier):".utf8)
        betweenSequences = Array("\",\"run_id\":\"\(runIdentifier)\",\"seq\":\"".utf8)
        var tail = LineBuffer(capacity: 16 << 10)
        tail.append(text: "\",\"host\":\"")
        tail.appendEscaped(LongText.cut(host, toEncodedBytes: 1 << 10))
        tail.append(Array("\",\"pid\":\"\(process)\"".utf8))
        behindPrevious = Array(tail.line)
    }

    /// Puts the event's line into `buffer`.
    ///
    /// - Parameter limit: the most bytes the line may have, its line feed included.
    /// - Returns: false where the line's check could not be computed.
    mutating func encode(
        _ action: Action, _ fields: [(Field, String)], sequence: UInt64, limit: Int
    ) -> Bool {
        clock.tick()
        encodeEnvelope(action, sequence)
        let envelope = buffer.count
        var textBytes = 0
        for index in fields.indices {
            textBytes += fields[index].0.rawValue.utf8.count + fields[index].1.utf8.count + 6
        }
        var fits = buffer.fits(textBytes)
        if fits {
            encodeOwn(fields)
            fits = buffer.count + Self.tailLength <= limit
        }
        if !fits {
            let room = limit - envelope - Self.tailLength
            encodeEnvelope(action, sequence)
            encodeOwn(LongText.fit(fields, into: room))
        }
        let hash = hash.check(of: buffer.line, into: &check)
        buffer.append(text: ",\"check\":\"")
        buffer.append(check)
        buffer.append(text: "\"}\n")
        return hash
    }

    /// The line in `buffer` is in the file: the next one refers to it.
    mutating func lineWasWritten() { swap(&previous, &check) }

    private mutating func encodeEnvelope(_ action: Action, _ sequence: UInt64) {
        buffer.clear()
        buffer.append(text: "{\"time\":\"")
        clock.appendLocal(to: &buffer)
        buffer.append(text: "\",\"timestamp\":\"")
        clock.appendUniversal(to: &buffer)
        buffer.append(text: "\",\"action\":\"")
        buffer.appendEscaped(action.isWellFormed ? action.rawValue : action.repaired.rawValue)
        buffer.append(beforeSequence)
        buffer.append(number: sequence)
        buffer.append(betweenSequences)
        buffer.append(number: sequence)
        buffer.append(text: "\",\"prev\":\"")
        buffer.append(previous)
        buffer.append(behindPrevious)
    }

    /// A field that the writer sets itself is never taken from a caller: the line would have it twice.
    private mutating func encodeOwn(_ fields: [(Field, String)]) {
        // By index: a loop over the pairs retains both texts of each.
        for index in fields.indices where !fields[index].0.isSetByWriter {
            buffer.append(text: ",\"")
            buffer.appendEscaped(fields[index].0.rawValue)
            buffer.append(text: "\":\"")
            buffer.appendEscaped(fields[index].1)
            buffer.append(UInt8(ascii: "\""))
        }
    }
}
