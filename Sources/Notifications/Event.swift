// An event as it was read: the line's bytes, unchanged, and what is where in them. Texts are made on demand.

/// One event.
///
/// Lines of the original DUCC are full events too; what they lack is nil.
public struct Event: Sendable {
    /// The line's bytes, unchanged, without the line feed: what a relay passes on.
    public let line: [UInt8]
    private let spans: [FieldSpan]
    /// What stands for `event_id`: in a line that has none, or that was kept with it.
    private let lineIdentifier: String?

    /// Reads an event from one line.
    ///
    /// - Parameters:
    ///   - line: the line; a line feed at its end is left out.
    ///   - fileFingerprint: which file it stands in and
    ///   - offset: where, for the identifier of a line that has no `event_id`.
    /// - Throws: ``LineProblem`` where the line is no flat object of texts, or has no `action`.
    public init(
        line: [UInt8], fileFingerprint: String = "", offset: Int64 = 0
    ) throws(LineProblem) {
        let end = line.last == UInt8(ascii: "\n") ? line.count - 1 : line.count
        let result = line.withUnsafeBytes { bytes -> Result<Event, LineProblem> in
            let bytes = UnsafeRawBufferPointer(rebasing: bytes[..<end])
            var parser = ObjectParser()
            do throws(LineProblem) {
                try parser.parseLine(bytes)
                try Event.checkAction(in: bytes, parser.spans)
                return .success(
                    Event(record: bytes, parser.spans, fileFingerprint: fileFingerprint, offset: offset))
            } catch { return .failure(error) }
        }
        self = try result.get()
    }

    /// Makes an event again from what was kept of it: its line, and the identifier that it had where it stood.
    ///
    /// - Throws: ``LineProblem`` as the other.
    package init(line: [UInt8], identifier: String) throws(LineProblem) {
        let event = try Event(line: line)
        self.line = event.line
        spans = event.spans
        lineIdentifier = identifier
    }

    /// Copies a line that was parsed and has an action.
    init(
        record bytes: UnsafeRawBufferPointer, _ spans: FieldSpans, fileFingerprint: String, offset: Int64
    ) {
        line = Array(bytes)
        self.spans = Array(spans)
        lineIdentifier =
            Self.span(of: .eventIdentifier, in: bytes, spans) == nil
            ? LineIdentity.identifier(line: line, fileFingerprint: fileFingerprint, offset: offset) : nil
    }

    /// Demands that there is an action: what makes an object an event.
    static func checkAction(
        in bytes: UnsafeRawBufferPointer, _ spans: FieldSpans
    ) throws(LineProblem) {
        guard span(of: .action, in: bytes, spans) != nil else {
            throw LineProblem(reason: "has no action", position: 0)
        }
    }

    /// Demands that a line with a check has nothing else, not even space: the check is of the bytes from its first on.
    static func checkAlone(
        in bytes: UnsafeRawBufferPointer, _ object: Range<Int>, _ spans: FieldSpans
    ) throws(LineProblem) {
        if object.count < bytes.count, span(of: .check, in: bytes, spans) != nil {
            throw LineProblem(reason: "has space before or behind its object", position: 0)
        }
    }

    /// Unique for ever: `event_id`, or for a line of the original DUCC `line:` and a hash of where it stands.
    public var identifier: String { lineIdentifier ?? self[.eventIdentifier] ?? "" }

    /// What happened.
    public var action: Action { Action(rawValue: self[.action] ?? "") }

    /// A field's value, or nil where the event lacks it. Of a name that is there twice the last one counts,
    /// as it does for readers that make a map of the line.
    public subscript(field: Field) -> String? {
        line.withUnsafeBytes { bytes in
            span(of: field, in: bytes).map {
                TextDecoder.text(bytes, $0.value, isEscaped: $0.valueIsEscaped)
            }
        }
    }

    /// All fields in their order.
    public var fields: [(Field, String)] {
        line.withUnsafeBytes { bytes in
            spans.map { span in
                let name = TextDecoder.text(bytes, span.name, isEscaped: span.nameIsEscaped)
                return (
                    Field(rawValue: name),
                    TextDecoder.text(bytes, span.value, isEscaped: span.valueIsEscaped)
                )
            }
        }
    }

    /// Whether the line proves itself; nil for a line of the original DUCC, which has nothing to prove itself with.
    public var isProven: Bool? {
        line.withUnsafeBytes { line in spans.withUnsafeBufferPointer { Self.isProven(line, $0) } }
    }

    /// Whether a record proves itself; nil where it has nothing to prove itself with.
    static func isProven(_ bytes: UnsafeRawBufferPointer, _ spans: FieldSpans) -> Bool? {
        guard span(of: .check, in: bytes, spans) != nil else {
            // One of ours had a check: it was torn, or put together from two that were.
            let isOurs = [Field.eventIdentifier, .timestamp].contains {
                span(of: $0, in: bytes, spans) != nil
            }
            return isOurs ? false : nil
        }
        return LineHash()?.proves(bytes, spans) ?? false
    }

    func span(of field: Field, in bytes: UnsafeRawBufferPointer) -> FieldSpan? {
        spans.withUnsafeBufferPointer { Self.span(of: field, in: bytes, $0) }
    }

    static func span(of field: Field, in bytes: UnsafeRawBufferPointer, _ spans: FieldSpans) -> FieldSpan? {
        var name = field.rawValue
        return name.withUTF8 { span(named: UnsafeRawBufferPointer($0), in: bytes, spans) }
    }

    static func span(
        named name: UnsafeRawBufferPointer, in bytes: UnsafeRawBufferPointer, _ spans: FieldSpans
    ) -> FieldSpan? {
        let length = UInt32(truncatingIfNeeded: name.count)
        var index = spans.count
        while index > 0 {
            index &-= 1
            let span = spans[index]
            if span.hasPlainName(ofLength: length) {
                if FieldBytes.equal(bytes, from: span.name.lowerBound, name) { return span }
            } else if span.nameIsEscaped {
                let text = TextDecoder.text(bytes, span.name, isEscaped: true)
                if text.utf8.elementsEqual(name) { return span }
            }
        }
        return nil
    }
}
