// Building the tree, within limits: 100 levels, a million nodes with every alias counted as often as it is used. A
// document that would expand beyond ("billion laughs") is an error at the alias that goes too far, and costs no more
// memory than its text.

extension YAMLNode {
    /// The most levels that are accepted, what aliases stand for included.
    package static let deepest = 100
    /// The most nodes that are accepted, each alias counted as all the nodes that it stands for.
    package static let mostNodes = 1_000_000

    /// Reads a file with one document.
    ///
    /// - Throws: `YAMLError`.
    package static func read(path: String) throws(YAMLError) -> YAMLNode {
        try parse(try TextFile.read(path: path), file: path)
    }

    /// Reads one document. An empty text is a null scalar.
    ///
    /// - Parameter file: the name that errors give.
    /// - Throws: `YAMLError`.
    package static func parse(_ bytes: [UInt8], file: String) throws(YAMLError) -> YAMLNode {
        guard bytes.count <= TextFile.largestSize else {
            throw YAMLError(file: file, "is bigger than \(TextFile.largestSize >> 20) MiB")
        }
        return try bytes.withUnsafeBufferPointer { buffer throws(YAMLError) in
            let parser = try YAMLParser(buffer, file: file)
            var builder = YAMLBuilder(file: file)
            return try builder.document(parser)
        }
    }
}

/// The state of one document's building.
private struct YAMLBuilder {
    /// A finished node, how many nodes it is, and how many levels.
    struct Part {
        let node: YAMLNode
        let count: Int
        let height: Int
    }

    let file: String
    private var anchors: [String: Part] = [:]
    /// Anchors of lists and mappings that are not finished yet.
    private var open: Set<String> = []
    private var nodes = 0

    init(file: String) { self.file = file }

    mutating func document(_ parser: borrowing YAMLParser) throws(YAMLError) -> YAMLNode {
        var result: YAMLNode?
        while true {
            let (event, position) = try parser.next()
            switch event {
            case .streamEnd:
                let nothing = YAMLScalar(
                    text: "", isString: false, position: YAMLPosition(line: 1, column: 1))
                return result ?? .scalar(nothing)
            case .documentStart:
                guard result == nil else {
                    throw YAMLError(file: file, at: position, "a second document begins; only one is allowed")
                }
                let (event, position) = try parser.next()
                result = try part(event, at: position, depth: 1, parser).node
            default:
                break
            }
        }
    }

    private mutating func part(
        _ event: YAMLEvent, at position: YAMLPosition, depth: Int, _ parser: borrowing YAMLParser
    ) throws(YAMLError) -> Part {
        guard depth <= YAMLNode.deepest else {
            throw YAMLError(file: file, at: position, "more than \(YAMLNode.deepest) levels deep")
        }
        switch event {
        case .alias(let name):
            return try target(of: name, at: position, depth: depth)
        case .scalar(let text, let isPlain, let tag, let anchor):
            try count(1, at: position)
            let scalar = YAMLScalar(
                text: text, isString: try isString(tag, isPlain: isPlain, at: position), position: position)
            return finish(Part(node: .scalar(scalar), count: 1, height: 1), anchor)
        case .sequenceStart(let tag, let anchor):
            try begin(anchor, tag, expected: "seq", at: position)
            return finish(try sequence(at: position, depth: depth, parser), anchor)
        case .mappingStart(let tag, let anchor):
            try begin(anchor, tag, expected: "map", at: position)
            return finish(try mapping(at: position, depth: depth, parser), anchor)
        case .streamStart, .streamEnd, .documentStart, .documentEnd, .sequenceEnd, .mappingEnd:
            throw YAMLError(file: file, at: position, "not YAML: something is missing here")
        }
    }

    private mutating func sequence(
        at start: YAMLPosition, depth: Int, _ parser: borrowing YAMLParser
    ) throws(YAMLError) -> Part {
        var elements: [YAMLNode] = []
        var size = (count: 1, height: 0)
        while true {
            let (event, position) = try parser.next()
            if case .sequenceEnd = event { break }
            let element = try part(event, at: position, depth: depth + 1, parser)
            elements.append(element.node)
            size = (size.count + element.count, max(size.height, element.height))
        }
        return Part(node: .sequence(elements, at: start), count: size.count, height: size.height + 1)
    }

    private mutating func mapping(
        at start: YAMLPosition, depth: Int, _ parser: borrowing YAMLParser
    ) throws(YAMLError) -> Part {
        var entries: [YAMLEntry] = []
        var lines: [String: Int] = [:]
        var size = (count: 1, height: 0)
        while true {
            let (keyEvent, keyPosition) = try parser.next()
            if case .mappingEnd = keyEvent { break }
            let key = try part(keyEvent, at: keyPosition, depth: depth + 1, parser)
            guard case .scalar(let scalar) = key.node else {
                throw YAMLError(
                    file: file, at: keyPosition, "a key must be text, this one is \(key.node.kind)")
            }
            if let line = lines.updateValue(keyPosition.line, forKey: scalar.text) {
                throw YAMLError(
                    file: file, at: keyPosition,
                    "the key \(scalar.text) is there twice, first in line \(line)")
            }
            let (event, position) = try parser.next()
            let value = try part(event, at: position, depth: depth + 1, parser)
            entries.append(YAMLEntry(key: scalar, value: value.node))
            size = (size.count + key.count + value.count, max(size.height, value.height))
        }
        return Part(node: .mapping(entries, at: start), count: size.count, height: size.height + 1)
    }

    private mutating func count(_ number: Int, at position: YAMLPosition) throws(YAMLError) {
        nodes += number
        guard nodes <= YAMLNode.mostNodes else {
            throw YAMLError(
                file: file, at: position, "more than \(YAMLNode.mostNodes) values, each alias counted in full"
            )
        }
    }

    private mutating func begin(
        _ anchor: String?, _ tag: String?, expected: String, at position: YAMLPosition
    ) throws(YAMLError) {
        try count(1, at: position)
        if let tag, tag != "!", tag != "tag:yaml.org,2002:\(expected)" { throw unknown(tag, at: position) }
        if let anchor { open.insert(anchor) }
    }

    private mutating func finish(_ part: Part, _ anchor: String?) -> Part {
        if let anchor {
            open.remove(anchor)
            anchors[anchor] = part
        }
        return part
    }

    private mutating func target(
        of name: String, at position: YAMLPosition, depth: Int
    ) throws(YAMLError) -> Part {
        guard !open.contains(name) else {
            throw YAMLError(
                file: file, at: position, "the alias *\(name) stands inside of what it stands for")
        }
        guard let part = anchors[name] else {
            throw YAMLError(file: file, at: position, "the alias *\(name) has no anchor &\(name) before it")
        }
        try count(part.count, at: position)
        guard depth + part.height - 1 <= YAMLNode.deepest else {
            throw YAMLError(file: file, at: position, "more than \(YAMLNode.deepest) levels deep")
        }
        return part
    }

    private func isString(_ tag: String?, isPlain: Bool, at position: YAMLPosition) throws(YAMLError) -> Bool
    {
        switch tag {
        case nil: return !isPlain
        case "!", "tag:yaml.org,2002:str": return true
        case "tag:yaml.org,2002:int", "tag:yaml.org,2002:bool", "tag:yaml.org,2002:null",
            "tag:yaml.org,2002:float":
            return false
        default: throw unknown(tag ?? "", at: position)
        }
    }

    private func unknown(_ tag: String, at position: YAMLPosition) -> YAMLError {
        YAMLError(file: file, at: position, "the tag \(tag) is not supported")
    }
}
