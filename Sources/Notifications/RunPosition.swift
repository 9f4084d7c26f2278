// Which run an event is of, and where in it: for whoever looks at each event of a stream.

/// What an `event_id` says.
package struct RunPosition: Equatable, Sendable {
    /// The run's UUID.
    package let run: UInt128
    /// The event's `seq`.
    package let number: UInt64
}

extension Event {
    /// Nil for a line of the original DUCC, or of anybody whose `event_id` is of another form.
    package var runPosition: RunPosition? {
        line.withUnsafeBytes { bytes in
            guard let span = span(of: .eventIdentifier, in: bytes), !span.valueIsEscaped,
                span.value.count > 37, bytes[span.value.lowerBound + 36] == UInt8(ascii: ":")
            else { return nil }
            let colon = span.value.lowerBound + 36
            guard
                let run = FieldBytes.hexadecimal(
                    UnsafeRawBufferPointer(rebasing: bytes[span.value.lowerBound..<colon]), dashes: true),
                let number = FieldBytes.number(
                    UnsafeRawBufferPointer(rebasing: bytes[(colon + 1)..<span.value.upperBound]))
            else { return nil }
            return RunPosition(run: run, number: number)
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
