/// Text in aligned columns.
package struct TextTable: Sendable {
    /// One column: its heading and how it behaves.
    package struct Column: Sendable, ExpressibleByStringLiteral {
        let title: String
        let alignsRight: Bool
        let shrinks: Bool

        package init(_ title: String, alignsRight: Bool = false, shrinks: Bool = false) {
            self.title = title
            self.alignsRight = alignsRight
            self.shrinks = shrinks
        }

        package init(stringLiteral title: String) { self.init(title) }
    }

    private let columns: [Column]
    private var rows: [[String]] = []

    package init(columns: [Column]) { self.columns = columns }

    package mutating func add(_ row: [String]) { rows.append(row) }

    package func render(width: Int?) -> String { rows.map { $0.joined(separator: " ") + "\n" }.joined() }
}
