// Text in aligned columns that fit a width: the columns that may shrink give way, their texts shortened in the middle.

/// A table for people.
package struct TextTable: Sendable {
    /// One column: its heading and how it behaves.
    package struct Column: Sendable, ExpressibleByStringLiteral {
        let title: String
        let alignsRight: Bool
        let shrinks: Bool

        /// A column.
        ///
        /// - Parameters:
        ///   - alignsRight: for numbers.
        ///   - shrinks: may be shortened where the table is too wide. Without any such column, all may.
        package init(_ title: String, alignsRight: Bool = false, shrinks: Bool = false) {
            self.title = title
            self.alignsRight = alignsRight
            self.shrinks = shrinks
        }

        package init(stringLiteral title: String) { self.init(title) }
    }

    private static let gap = 2
    /// A column is never shortened below this.
    private static let narrowest = 4

    private let columns: [Column]
    private var rows: [[String]] = []

    package init(columns: [Column]) { self.columns = columns }

    /// Adds a row: one text a column, the missing ones empty.
    package mutating func add(_ row: [String]) {
        let cells = row.prefix(columns.count).map(TextLayout.printable)
        rows.append(cells + Array(repeating: "", count: columns.count - cells.count))
    }

    /// The heading and the rows, each line ended.
    ///
    /// - Parameter width: the columns there are; nil: as many as it takes.
    package func render(width: Int?) -> String {
        var widths = columns.indices.map { index in
            rows.reduce(TextLayout.width(of: columns[index].title)) {
                max($0, TextLayout.width(of: $1[index]))
            }
        }
        if let width { shrink(&widths, to: width - Self.gap * (columns.count - 1)) }
        var text = ""
        let heading = columns.map(\.title)
        for row in (heading.allSatisfy(\.isEmpty) ? [] : [heading]) + rows {
            let cells = columns.indices.map { index in
                TextLayout.pad(
                    TextLayout.fit(row[index], widths[index]), widths[index],
                    alignRight: columns[index].alignsRight)
            }
            var line = cells.joined(separator: String(repeating: " ", count: Self.gap))
            while line.last == " " { line.removeLast() }
            text += line + "\n"
        }
        return text
    }

    /// Takes columns away from the widest column that may shrink, until the table fits.
    private func shrink(_ widths: inout [Int], to available: Int) {
        let preferred = columns.indices.filter { columns[$0].shrinks }
        for candidates in [preferred, Array(columns.indices)] {
            while widths.reduce(0, +) > available {
                guard let widest = candidates.max(by: { widths[$0] < widths[$1] }),
                    widths[widest] > Self.narrowest
                else { break }
                widths[widest] -= 1
            }
        }
    }
}
