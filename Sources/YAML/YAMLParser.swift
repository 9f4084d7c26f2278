// libyaml's event parser behind a Swift face. It hands out one event after the other, so that the limits of
// `YAMLBuilder` stop a hostile document long before libyaml has read it all.

import CYAML

/// What libyaml found.
enum YAMLEvent {
    case streamStart
    case streamEnd
    case documentStart
    case documentEnd
    case alias(String)
    case scalar(String, isPlain: Bool, tag: String?, anchor: String?)
    case sequenceStart(tag: String?, anchor: String?)
    case sequenceEnd
    case mappingStart(tag: String?, anchor: String?)
    case mappingEnd
}

/// A parser of one text, which it borrows: `bytes` must outlive it.
struct YAMLParser: ~Copyable {
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private let bytes: UnsafeBufferPointer<UInt8>
    private let file: String

    init(_ bytes: UnsafeBufferPointer<UInt8>, file: String) throws(YAMLError) {
        let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
        guard yaml_parser_initialize(parser) == 1 else {
            parser.deallocate()
            throw YAMLError(file: file, "there is not enough memory to read it")
        }
        yaml_parser_set_input_string(parser, bytes.baseAddress, bytes.count)
        self.parser = parser
        self.bytes = bytes
        self.file = file
    }

    deinit {
        yaml_parser_delete(parser)
        parser.deallocate()
    }

    /// The next event and where it begins.
    func next() throws(YAMLError) -> (YAMLEvent, YAMLPosition) {
        var event = yaml_event_t()
        guard yaml_parser_parse(parser, &event) == 1 else { throw error() }
        defer { yaml_event_delete(&event) }
        let position = Self.position(event.start_mark)
        switch event.type {
        case YAML_STREAM_START_EVENT: return (.streamStart, position)
        case YAML_DOCUMENT_START_EVENT: return (.documentStart, position)
        case YAML_DOCUMENT_END_EVENT: return (.documentEnd, position)
        case YAML_ALIAS_EVENT:
            return (.alias(Self.text(event.data.alias.anchor) ?? ""), position)
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            let value = UnsafeBufferPointer(start: scalar.value, count: scalar.length)
            return (
                .scalar(
                    String(decoding: value, as: UTF8.self), isPlain: scalar.style == YAML_PLAIN_SCALAR_STYLE,
                    tag: Self.text(scalar.tag), anchor: Self.text(scalar.anchor)), position
            )
        case YAML_SEQUENCE_START_EVENT:
            let start = event.data.sequence_start
            return (.sequenceStart(tag: Self.text(start.tag), anchor: Self.text(start.anchor)), position)
        case YAML_SEQUENCE_END_EVENT: return (.sequenceEnd, position)
        case YAML_MAPPING_START_EVENT:
            let start = event.data.mapping_start
            return (.mappingStart(tag: Self.text(start.tag), anchor: Self.text(start.anchor)), position)
        case YAML_MAPPING_END_EVENT: return (.mappingEnd, position)
        default: return (.streamEnd, position)
        }
    }

    private static func text(_ pointer: UnsafeMutablePointer<yaml_char_t>?) -> String? {
        pointer.map { String(decoding: UnsafeBufferPointer(start: $0, count: length($0)), as: UTF8.self) }
    }

    private static func length(_ pointer: UnsafeMutablePointer<yaml_char_t>) -> Int {
        var length = 0
        while pointer[length] != 0 { length += 1 }
        return length
    }

    private static func position(_ mark: yaml_mark_t) -> YAMLPosition {
        YAMLPosition(line: mark.line + 1, column: mark.column + 1)
    }

    /// libyaml's last error, with where it stopped and what it was doing.
    private func error() -> YAMLError {
        let state = parser.pointee
        var problem = state.problem.map { String(cString: $0) } ?? "unreadable"
        switch state.error {
        case YAML_MEMORY_ERROR:
            return YAMLError(file: file, "there is not enough memory to read it")
        case YAML_READER_ERROR:
            return YAMLError(file: file, at: position(ofByte: state.problem_offset), "no text: \(problem)")
        default:
            break
        }
        let mark = state.problem_mark
        if problem == "found character that cannot start any token" {
            // The mark counts characters without a byte order mark; UTF-8's continuing bytes begin none.
            let text = bytes.starts(with: [0xef, 0xbb, 0xbf]) ? bytes.dropFirst(3) : bytes[...]
            let byte = text.lazy.filter { $0 & 0xc0 != 0x80 }.dropFirst(mark.index).first
            problem = byte == 9 ? "a tab where an indentation is expected; indent with spaces" : problem
        }
        if let context = state.context.map({ String(cString: $0) }) {
            let line = state.context_mark.line
            problem =
                line == mark.line ? "\(problem), \(context)" : "\(problem), \(context) of line \(line + 1)"
        }
        return YAMLError(file: file, at: Self.position(mark), "not YAML: \(problem)")
    }

    private func position(ofByte offset: Int) -> YAMLPosition {
        let before = bytes.prefix(offset)
        let line = before.count { $0 == 10 } + 1
        let start = before.lastIndex(of: 10).map { $0 + 1 } ?? 0
        // Bytes that continue a character are not counted.
        let column = before[start...].count { $0 & 0xc0 != 0x80 } + 1
        return YAMLPosition(line: line, column: column)
    }
}
