// What can be saved of a line that a crash or a full disk tore: fragments with whole events before, between or behind.

/// Finds the events in a line.
enum LineRecovery {
    /// The line's event, or what is wrong with the line followed by every whole event in it.
    static func items(
        in line: UnsafeRawBufferPointer, fileFingerprint: String, offset: Int64
    ) -> [NotificationItem] {
        do throws(LineProblem) {
            var parser = ObjectParser(line)
            try parser.parseObject()
            try parser.parseEnd()
            let event = try Event(
                line: Array(line), spans: parser.spans, fileFingerprint: fileFingerprint, offset: offset)
            return [.event(event)]
        } catch {
            return [.unreadable(error, excerpt: excerpt(line))]
                + recovered(from: line, fileFingerprint: fileFingerprint, offset: offset)
        }
    }

    /// Inside one flat object of texts `{"` begins a record or is the end of a text: each is tried, from left to
    /// right, and a check that doesn't fit says that it was none.
    private static func recovered(
        from line: UnsafeRawBufferPointer, fileFingerprint: String, offset: Int64
    ) -> [NotificationItem] {
        var items: [NotificationItem] = []
        var index = 0
        while index + 1 < line.count {
            guard line[index] == UInt8(ascii: "{"), line[index + 1] == UInt8(ascii: "\"") else {
                index += 1
                continue
            }
            var parser = ObjectParser(line, from: index)
            guard (try? parser.parseObject()) != nil,
                let event = try? Event(
                    line: Array(line[index..<parser.position]), fileFingerprint: fileFingerprint,
                    offset: offset + Int64(index)),
                event.isProven != false
            else {
                index += 1
                continue
            }
            items.append(.event(event))
            index = parser.position
        }
        return items
    }

    /// The beginning of a line, for a report: printable, and short.
    static func excerpt(_ line: UnsafeRawBufferPointer) -> String {
        let text = String(decoding: line.prefix(80), as: UTF8.self)
        let printable = String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { $0.properties.isWhitespace || $0.value < 0x20 ? " " : $0 }))
        return line.count > 80 ? printable + "…" : printable
    }
}
