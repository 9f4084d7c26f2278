// Streams put together at random of whole events, fragments, noise and holes: every whole event is read, in order and
// once, nothing that was not written is read, whatever the pieces it comes in and wherever reading stops and goes on.

import CLinux
import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("Random streams")
struct StreamFuzzTests {
    /// Whole lines of a real writer, with values that look like what recovery looks for; and of the original DUCC.
    private let pool: [[UInt8]]

    init() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("notifications.log")
        let writer = try NotificationWriter(path: path, sync: .none)
        var random = SplitMix(state: 11)
        let pieces = [
            "{\"", "{", "\"", "\\", "}", ",\"check\":\"", "{\"action\":\"nested\"}", "\u{0}", "\u{1f}", "\n",
            "ä", "日",
            "😀", "\u{2028}", "\u{85}", "\u{7f}", " ", "docker.io/library/alpine:3.20", "u00e9", "'", ":", "/",
        ]
        for _ in 0..<400 {
            let fields = (0..<Int.random(in: 0...6, using: &random)).map { number in
                let value = (0..<Int.random(in: 0...8, using: &random)).map { _ in
                    pieces.randomElement(using: &random) ?? ""
                }
                return (Field(rawValue: "field\(number)"), value.joined())
            }
            writer.emit(.test, fields)
        }
        writer.emit(.test, [(.text, String(repeating: "long {\" ", count: 9_000))])
        let original = (0..<20).map {
            Array("{\"action\":\"publish_layer\",\"layer\":\"\($0)\",\"status\":\"{\"}".utf8)
        }
        pool = try lines(of: path).map { Array($0.utf8) } + original
    }

    /// A stream and the lines of the events in it, in their order.
    private struct Stream {
        var bytes: [UInt8] = []
        var whole: [[UInt8]] = []
    }

    /// One line, more or less: pieces without an end between them, and then one.
    private func addLine(to stream: inout Stream, _ random: inout SplitMix) {
        for _ in 0..<Int.random(in: 1...6, using: &random) {
            let line = pool[Int.random(in: 0..<pool.count, using: &random)]
            // The original's lines prove nothing: what fragments of them make cannot be told from them.
            let isOurs = line.suffix(44).starts(with: Array(",\"check\":\"".utf8))
            switch Int.random(in: 0..<12, using: &random) {
            case 0...4:
                stream.bytes += line
                stream.whole.append(line)
            case 5 where isOurs, 6 where isOurs:
                // Not all but a brace, which may come from elsewhere.
                stream.bytes += line.prefix(Int.random(in: 0..<line.count - 32, using: &random))
            case 7 where isOurs:
                let start = Int.random(in: 0..<line.count, using: &random)
                // Not behind its own beginning: that is the whole line.
                if stream.bytes.suffix(start).elementsEqual(line.prefix(start)) { continue }
                stream.bytes += line[start...]
            case 8 where isOurs:
                // One changed bit: whole by its looks, and no event by its check.
                var changed = line
                changed[Int.random(in: 0..<line.count, using: &random)] ^=
                    1 << UInt8.random(in: 0..<8, using: &random)
                stream.bytes += changed
            case 9: stream.bytes += [UInt8](repeating: 0, count: Int.random(in: 1...200, using: &random))
            case 10:
                stream.bytes += (0..<Int.random(in: 1...60, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                }
            case 11: stream.bytes.append(UInt8(ascii: "\n"))
            default: continue
            }
        }
        stream.bytes.append(UInt8(ascii: "\n"))
    }

    /// What a reader finds that stops and goes on elsewhere now and then, while the file grows.
    private func read(_ bytes: [UInt8], _ random: inout SplitMix) throws -> [[UInt8]] {
        let file = OwnedDescriptor(raw: ducc_memory_file("stream"))
        var found: [[UInt8]] = []
        var reader = NotificationReader()
        var written = 0
        while written < bytes.count {
            var count = min(bytes.count - written, Int.random(in: 1...600_000, using: &random))
            if Bool.random(using: &random),
                let brace = bytes[(written + count)...].firstIndex(of: UInt8(ascii: "{"))
            {
                count = min(bytes.count, brace + Int.random(in: 1...500, using: &random)) - written
            }
            try bytes[written..<written + count].withUnsafeBytes {
                try Files.writeAll($0, to: file.raw, path: "memory")
            }
            written += count
            var isDrained = false
            while try reader.fill(from: file.raw, path: "memory") || !isDrained {
                isDrained = true
                while let item = reader.next() {
                    // A line whose check doesn't fit is told of as what it is, and is no event of anybody's.
                    if case .event(let event) = item, event.isProven != false { found.append(event.line) }
                    let chance = Int.random(in: 0..<100, using: &random)
                    // Reading more although there is something to be had is allowed, and so is to begin anew.
                    isDrained = chance > 1
                    if chance == 0 {
                        reader = NotificationReader(
                            offset: reader.offset, fileFingerprint: reader.fileFingerprint)
                    }
                    if !isDrained { break }
                }
            }
        }
        return found
    }

    @Test("every whole event is read once and in order, and none that was not written")
    func streams() throws {
        for seed in 0..<UInt64(TestScale.count(20, long: 2_000)) {
            var random = SplitMix(state: seed)
            var stream = Stream()
            for _ in 0..<500 { addLine(to: &stream, &random) }
            let found = try read(stream.bytes, &random)
            guard found != stream.whole else { continue }
            let place = zip(found, stream.whole).prefix { $0.0 == $0.1 }.count
            let texts = [found, stream.whole].map {
                place < $0.count ? String(decoding: $0[place], as: UTF8.self) : "nothing"
            }
            Issue.record("seed \(seed), event \(place): found \(texts[0]) instead of \(texts[1])")
            return
        }
    }

    @Test("a hole of zeros longer than a reader's memory costs nothing but a report", arguments: [0, 1, 99])
    func hole(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        var stream = Stream()
        for length in [1 << 20, (1 << 20) + 1, 3_000_000, 9_999_999] {
            addLine(to: &stream, &random)
            let lines = pool.shuffled(using: &random).prefix(3)
            stream.bytes += lines.joined()
            stream.bytes += [UInt8](repeating: 0, count: length)
            stream.whole += lines
            for _ in 0..<40 {
                let line = pool[Int.random(in: 0..<pool.count, using: &random)]
                stream.bytes +=
                    line + [UInt8](repeating: 0, count: Int.random(in: 0...90_000, using: &random))
                stream.whole.append(line)
            }
            stream.bytes += Array("torn".utf8) + lines.joined() + [UInt8(ascii: "\n")]
            stream.whole += lines
        }
        addLine(to: &stream, &random)
        #expect(try read(stream.bytes, &random) == stream.whole)
    }
}
