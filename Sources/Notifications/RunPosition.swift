// Which run an event is of, and where in it: for whoever looks at each event of a stream.

/// What an `event_id` says.
package struct RunPosition: Equatable, Sendable {
    /// The run's UUID.
    package let run: UInt128
    /// The event's `seq`.
    package let number: UInt64
}

extension RunPosition {
    /// What an `event_id` says as it stands in a line.
    fileprivate init?(encoded bytes: UnsafeRawBufferPointer) {
        guard bytes.count > 37, bytes[36] == UInt8(ascii: ":"),
            let run = FieldBytes.hexadecimal(UnsafeRawBufferPointer(rebasing: bytes[..<36]), dashes: true),
            let number = FieldBytes.number(UnsafeRawBufferPointer(rebasing: bytes[37...]))
        else { return nil }
        self.init(run: run, number: number)
    }
}

extension NotificationRecord {
    /// Nil for a line of the original DUCC, or of anybody whose `event_id` is of another form.
    package var runPosition: RunPosition? {
        encodedValue(of: .eventIdentifier).flatMap { RunPosition(encoded: $0) }
    }
}

extension Event {
    /// As a record's.
    package var runPosition: RunPosition? {
        line.withUnsafeBytes { bytes in
            span(of: .eventIdentifier, in: bytes).flatMap {
                RunPosition(encoded: UnsafeRawBufferPointer(rebasing: bytes[$0.value]))
            }
        }
    }
}

extension Event {
    /// An event that stands in no file: for whoever has something to say about the stream itself.
    package init?(_ fields: [(Field, String)]) {
        let bytes = fields.reduce(2) { $0 + 6 * ($1.0.rawValue.utf8.count + $1.1.utf8.count) + 6 }
        var buffer = LineBuffer(capacity: bytes)
        for (index, field) in fields.enumerated() {
            buffer.append(text: index == 0 ? "{\"" : ",\"")
            buffer.appendEscaped(field.0.rawValue)
            buffer.append(text: "\":\"")
            buffer.appendEscaped(field.1)
            buffer.append(text: "\"")
        }
        buffer.append(text: "}")
        guard let event = try? Event(line: Array(buffer.line)) else { return nil }
        self = event
    }
}
