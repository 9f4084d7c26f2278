// A YAML document as a tree. Every node knows where it stands in the file, so that whoever reads it can say where
// something is wrong.

/// A place in a file.
package struct YAMLPosition: Hashable, Sendable {
    /// The line, from 1.
    package let line: Int
    /// The character in its line, from 1.
    package let column: Int

    /// A place in a file.
    package init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }
}

/// A piece of text in a document.
package struct YAMLScalar: Hashable, Sendable {
    /// The text, without quotes and with its escapes resolved.
    package let text: String
    /// Whether the text is a string whatever it looks like: it was quoted, a block, or tagged `!!str`.
    package let isString: Bool
    /// Where it begins.
    package let position: YAMLPosition

    /// Whether this is YAML's way of saying nothing: empty, `~` or `null`, without quotes.
    package var isNull: Bool { !isString && ["", "~", "null", "Null", "NULL"].contains(text) }

    /// The whole number in decimal notation, or nil.
    package var integer: Int? { isString ? nil : Int(text) }

    /// YAML 1.2's `true` or `false`, or nil.
    package var boolean: Bool? {
        guard !isString else { return nil }
        if ["true", "True", "TRUE"].contains(text) { return true }
        return ["false", "False", "FALSE"].contains(text) ? false : nil
    }
}

/// A key and its value.
package struct YAMLEntry: Hashable, Sendable {
    /// The key.
    package let key: YAMLScalar
    /// The value.
    package let value: YAMLNode
}

/// A node of a document.
///
/// What an alias (`*name`) stands for is there in full, at the position of its anchor (`&name`).
package enum YAMLNode: Hashable, Sendable {
    /// Text.
    case scalar(YAMLScalar)
    /// A list.
    case sequence([YAMLNode], at: YAMLPosition)
    /// Keys and values in the file's order; no key is there twice.
    case mapping([YAMLEntry], at: YAMLPosition)

    /// Where the node begins.
    package var position: YAMLPosition {
        switch self {
        case .scalar(let scalar): scalar.position
        case .sequence(_, let position), .mapping(_, let position): position
        }
    }

    /// What kind of node this is, for error messages.
    package var kind: String {
        switch self {
        case .scalar(let scalar): scalar.isNull ? "empty" : "text"
        case .sequence: "a list"
        case .mapping: "a mapping"
        }
    }

    /// Whether there is nothing here.
    package var isNull: Bool {
        if case .scalar(let scalar) = self { scalar.isNull } else { false }
    }

    /// The text of a scalar that is not null; nil for any other node.
    package var text: String? {
        guard case .scalar(let scalar) = self, !scalar.isNull else { return nil }
        return scalar.text
    }

    /// The value of a mapping's key; nil where there is none or this is no mapping.
    package func value(_ key: String) -> YAMLNode? {
        guard case .mapping(let entries, _) = self else { return nil }
        return entries.first { $0.key.text == key }?.value
    }
}
