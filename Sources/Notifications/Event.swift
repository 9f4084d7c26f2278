// An event as it was read: the line's bytes, unchanged, and what is where in them. Texts are made on demand.

/// One event.
///
/// Lines of the original DUCC are full events too; what they lack is nil.
public struct Event: Sendable {
    /// The line's bytes, unchanged, without the line feed: what a relay passes on.
    public let line: [UInt8]
    /// Unique for ever: `event_id`, or for a line of the original DUCC `line:` and a hash of where it stands.
    public let identifier: String
    private let spans: [FieldSpan]

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
        let line = line.last == UInt8(ascii: "\n") ? Array(line.dropLast()) : line
        let result = line.withUnsafeBytes { bytes -> Result<[FieldSpan], LineProblem> in
            do throws(LineProblem) {
                var parser = ObjectParser(bytes)
                try parser.parseObject()
                try parser.parseEnd()
                return .success(parser.spans)
            } catch { return .failure(error) }
        }
        try self.init(line: line, spans: result.get(), fileFingerprint: fileFingerprint, offset: offset)
    }

    init(
        line: [UInt8], spans: [FieldSpan], fileFingerprint: String, offset: Int64
    ) throws(LineProblem) {
        self.line = line
        self.spans = spans
        guard Self.value(of: .action, in: line, spans) != nil else {
            throw LineProblem(reason: "has no action", position: 0)
        }
        identifier =
            Self.value(of: .eventIdentifier, in: line, spans)
            ?? LineIdentity.identifier(line: line, fileFingerprint: fileFingerprint, offset: offset)
    }

    /// What happened.
    public var action: Action { Action(rawValue: self[.action] ?? "") }

    /// A field's value, or nil where the event lacks it. Of a name that is there twice the last one counts,
    /// as it does for readers that make a map of the line.
    public subscript(field: Field) -> String? { Self.value(of: field, in: line, spans) }

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
        guard let last = spans.last, let check = self[.check] else {
            // One that has an identifier had a check too.
            return self[.eventIdentifier] == nil ? nil : false
        }
        // The check covers everything before `,"check":"`.
        let behind = ",\"check\":\"".utf8.count
        let end = last.value.lowerBound - behind
        guard end > 0, line[end..<last.value.lowerBound].elementsEqual(",\"check\":\"".utf8) else {
            return false
        }
        return LineIdentity.check(of: line[..<end]) == check
    }

    private static func value(of field: Field, in line: [UInt8], _ spans: [FieldSpan]) -> String? {
        line.withUnsafeBytes { bytes in
            for span in spans.reversed() where isName(field.rawValue, span, bytes) {
                return TextDecoder.text(bytes, span.value, isEscaped: span.valueIsEscaped)
            }
            return nil
        }
    }

    private static func isName(_ name: String, _ span: FieldSpan, _ bytes: UnsafeRawBufferPointer) -> Bool {
        if span.nameIsEscaped { return TextDecoder.text(bytes, span.name, isEscaped: true) == name }
        return span.name.count == name.utf8.count && bytes[span.name].elementsEqual(name.utf8)
    }
}
