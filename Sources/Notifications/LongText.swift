// What happens to values that make a line too long: the longest are cut until the line fits.

/// Cutting values for `LineEncoder`. Only lines that are too long come here, so clarity goes before speed.
enum LongText {
    private static let ellipsis = "…"
    private static let ellipsisLength = 3
    /// `,"` before a name, `":"` behind it and `"` behind the value.
    private static let punctuation = 6

    /// The fields with their longest values cut to one common length, so that all of them take `room` bytes at most.
    ///
    /// Where even values of one `…` are too long (thousands of fields), the last fields are left out.
    static func fit(_ fields: [(Field, String)], into room: Int) -> [(Field, String)] {
        var available = room
        var least = 0
        var values: [Int] = []
        let fields = fields.filter { !$0.0.isSetByWriter }.prefix { field, value in
            let name = encodedLength(of: field.rawValue) + punctuation
            let length = encodedLength(of: value)
            guard available - name >= least + min(length, ellipsisLength) else { return false }
            available -= name
            least += min(length, ellipsisLength)
            values.append(length)
            return true
        }
        var low = ellipsisLength
        var high = max(available, ellipsisLength)
        // The greatest common length with which everything fits.
        while low < high {
            let middle = (low + high + 1) / 2
            if values.reduce(0, { $0 + min($1, middle) }) <= available {
                low = middle
            } else {
                high = middle - 1
            }
        }
        return fields.map { ($0.0, cut($0.1, toEncodedBytes: low)) }
    }

    /// The text, or the most of its characters that fit with a `…` behind them.
    static func cut(_ text: String, toEncodedBytes limit: Int) -> String {
        guard encodedLength(of: text) > limit else { return text }
        var length = ellipsisLength
        var end = text.startIndex
        while end < text.endIndex {
            let next = text.index(after: end)
            length += encodedLength(of: text[end..<next])
            if length > limit { break }
            end = next
        }
        return text[..<end] + ellipsis
    }

    /// How many bytes `LineBuffer.appendEscaped` makes of the text.
    static func encodedLength(of text: some StringProtocol) -> Int {
        text.unicodeScalars.reduce(0) { length, scalar in
            switch scalar.value {
            case 0x22, 0x5c, 0x0a, 0x0d, 0x09: length + 2
            case 0..<0x20, 0x80..<0xa0, 0x2028, 0x2029: length + 6
            default: length + UTF8.width(scalar)
            }
        }
    }
}
