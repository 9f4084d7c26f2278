// `output_format`: how the name of a thin image is made of the name of its image.

import Images
import YAML

/// A text with variables, `$(tag)` and the like.
package struct OutputFormat: Hashable, Sendable {
    private enum Piece: Hashable, Sendable {
        case text(String)
        case variable(Variable)
    }

    /// The variables.
    package enum Variable: String, Hashable, Sendable, CaseIterable {
        /// `https` or `http`; `https` for an image that comes from no registry.
        case scheme
        /// The registry as spelled.
        case registry
        /// The repository.
        case repository
        /// The tag; empty for an image named by digest alone.
        case tag
        /// The digest; empty where the reference has none.
        case digest
        /// `:TAG`, `@DIGEST` or both.
        case reference
        /// The repository and the reference.
        case image
    }

    /// The format as written.
    package let text: String
    private let pieces: [Piece]

    /// The format of a wish list that has none.
    package static let standard = OutputFormat(
        text: "$(scheme)://$(registry)/$(repository)_thin:$(tag)",
        pieces: [
            .variable(.scheme), .text("://"), .variable(.registry), .text("/"), .variable(.repository),
            .text("_thin:"), .variable(.tag),
        ])

    private init(text: String, pieces: [Piece]) {
        self.text = text
        self.pieces = pieces
    }

    /// Reads a format.
    ///
    /// - Throws: `OutputFormatError` for a variable that does not exist.
    package init(_ text: String) throws(OutputFormatError) {
        var pieces: [Piece] = []
        var rest = text[...]
        while let dollar = rest.firstIndex(of: "$") {
            let behind = rest[rest.index(after: dollar)...]
            guard behind.first == "(" else {
                pieces.append(.text(String(rest[...dollar])))
                rest = behind
                continue
            }
            guard let close = behind.firstIndex(of: ")") else {
                throw OutputFormatError("\(quoted(rest[dollar...])) has no closing )")
            }
            let name = String(behind[behind.index(after: behind.startIndex)..<close])
            guard let variable = Variable(rawValue: name) else {
                let known = Variable.allCases.map { "$(\($0.rawValue))" }.joined(separator: " ")
                let hint = Suggestion.nearest(to: name, in: Variable.allCases.map(\.rawValue))
                throw OutputFormatError(
                    "the variable \(quoted("$(\(name))")) does not exist"
                        + (hint.map { "; did you mean $(\($0))?" } ?? "; there are \(known)"))
            }
            pieces += [.text(String(rest[..<dollar])), .variable(variable)]
            rest = behind[behind.index(after: close)...]
        }
        pieces.append(.text(String(rest)))
        self.init(text: text, pieces: pieces)
    }

    /// The name for one image.
    package func expand(for reference: ImageReference) -> String {
        let scheme: ImageReference.Scheme =
            if case .registry(let scheme, _) = reference.source { scheme } else { .https }
        let digest = reference.digest?.description ?? ""
        let tag = reference.tag ?? (digest.isEmpty ? "latest" : "")
        let suffix = (tag.isEmpty ? "" : ":\(tag)") + (digest.isEmpty ? "" : "@\(digest)")
        return pieces.map { piece in
            switch piece {
            case .text(let text): text
            case .variable(.scheme): scheme.rawValue
            case .variable(.registry): reference.registry
            case .variable(.repository): reference.repository
            case .variable(.tag): tag
            case .variable(.digest): digest
            case .variable(.reference): suffix
            case .variable(.image): reference.repository + suffix
            }
        }.joined()
    }
}

/// A format that can't be used.
package struct OutputFormatError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What is wrong, in one line.
    package let description: String

    init(_ description: String) { self.description = description }
}
