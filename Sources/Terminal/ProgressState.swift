// What is under way, and how it looks; the drawing itself is in ProgressDisplay.

/// The pieces of work under way, in the order they began.
package struct ProgressState {
    package struct Item {
        let key: String
        package let title: String
        let total: Int64?
        let began: UInt64
        var done: Int64 = 0
    }

    package private(set) var items: [Item] = []

    package init() {}

    package mutating func begin(_ key: String, title: String, total: Int64?, now: UInt64) {
        items.removeAll { $0.key == key }
        items.append(Item(key: key, title: TextLayout.printable(title), total: total, began: now))
    }

    package mutating func advance(_ key: String, bytes: Int64) {
        guard let index = items.firstIndex(where: { $0.key == key }) else { return }
        items[index].done += bytes
    }

    package mutating func end(_ key: String) -> Item? {
        guard let index = items.firstIndex(where: { $0.key == key }) else { return nil }
        return items.remove(at: index)
    }

    /// One line for each piece of work, none wider than `width`, at most `height` of them.
    package func lines(width: Int, height: Int, now: UInt64) -> [String] {
        let shown = items.count <= height ? items.count : max(height - 1, 0)
        var lines = items[..<shown].map { line($0, width: width, now: now) }
        if shown < items.count { lines.append(TextLayout.cut("… and \(items.count - shown) more", width)) }
        return lines
    }

    private func line(_ item: Item, width: Int, now: UInt64) -> String {
        let seconds = Double(now - item.began) / 1e9
        let rate = seconds > 0.5 ? HumanText.bytes(Int64(Double(item.done) / seconds)) + "/s" : ""
        var numbers = HumanText.bytes(item.done)
        if let total = item.total { numbers += " / " + HumanText.bytes(total) }
        let percent = item.total.map { $0 > 0 ? "\(min(100, item.done * 100 / $0))%" : "" } ?? ""
        // The title keeps a readable width; what doesn't fit beside it is left out, the least important first.
        let titleWidth = min(max(TextLayout.width(of: item.title), 12), max(12, width - 42))
        for right in ["\(numbers)  \(rate)  \(percent)", "\(numbers)  \(percent)", percent, ""] {
            let text = TextLayout.pad(TextLayout.fit(item.title, titleWidth), titleWidth) + "  " + right
            if TextLayout.width(of: text) <= width { return text }
        }
        return TextLayout.fit(item.title, width)
    }
}
