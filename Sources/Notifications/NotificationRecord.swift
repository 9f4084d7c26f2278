// An event where it lies in a reader's memory: what a filter looks at before anything is copied.

/// An event that a reader has come to, for as long as a closure looks at it (``NotificationReader/next(where:)``).
public struct NotificationRecord: ~Copyable {
    private let bytes: UnsafeRawBufferPointer
    private let spans: FieldSpans

    init(_ bytes: UnsafeRawBufferPointer, _ spans: FieldSpans) {
        self.bytes = bytes
        self.spans = spans
    }

    /// A field's value, or nil where the event lacks it.
    public subscript(field: Field) -> String? {
        Event.span(of: field, in: bytes, spans).map {
            TextDecoder.text(bytes, $0.value, isEscaped: $0.valueIsEscaped)
        }
    }

    /// Shows the line, without its line feed, where it lies.
    public func withLine<Result>(_ body: (RawSpan) throws -> Result) rethrows -> Result {
        try body(bytes.bytes)
    }

    /// Shows a field's value where it lies, as it stands in the line: with its escapes, if there are any.
    ///
    /// - Returns: what `body` makes of it; nil where the event lacks the field.
    public func withEncodedValue<Result>(
        of field: Field, _ body: (RawSpan) throws -> Result
    ) rethrows -> Result? {
        guard let value = encodedValue(of: field) else { return nil }
        return try body(value.bytes)
    }

    /// A field's value where it lies, as it stands in the line.
    ///
    /// - Parameter name: the field's name.
    /// - Returns: the bytes, valid as long as the record is, and whether there are escapes in them; nil where the event
    ///   lacks the field.
    package func encodedValue(
        named name: UnsafeRawBufferPointer
    ) -> (bytes: UnsafeRawBufferPointer, isEscaped: Bool)? {
        Event.span(named: name, in: bytes, spans).map {
            (UnsafeRawBufferPointer(rebasing: bytes[$0.value]), $0.valueIsEscaped)
        }
    }

    /// A field's value where it lies, as it stands in the line.
    func encodedValue(of field: Field) -> UnsafeRawBufferPointer? {
        Event.span(of: field, in: bytes, spans).map { UnsafeRawBufferPointer(rebasing: bytes[$0.value]) }
    }
}
