// "Did you mean …?": the nearest word out of a few.

package enum Suggestion {
    /// The word that was probably meant: equal but for letter case and `_` or `-`, or at most two typing mistakes
    /// away (one in a short word).
    package static func nearest(to word: String, in words: [String]) -> String? {
        let plain = Self.plain(word)
        guard (2...64).contains(plain.count) else { return nil }
        let best = words.map { (distance: distance(plain, Self.plain($0)), word: $0) }
            .min { $0.distance < $1.distance }
        guard let best, best.distance <= (best.word.count > 4 ? 2 : 1) else { return nil }
        return best.word
    }

    private static func plain(_ word: String) -> [Unicode.Scalar] {
        word.lowercased().unicodeScalars.filter { $0 != "_" && $0 != "-" }
    }

    /// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other.
    private static func distance(_ left: [Unicode.Scalar], _ right: [Unicode.Scalar]) -> Int {
        var beforeLast: [Int] = []
        var last = Array(0...right.count)
        for (row, scalar) in left.enumerated() {
            var line = [row + 1]
            for (column, other) in right.enumerated() {
                var cost = min(last[column + 1], line[column]) + 1
                cost = min(cost, last[column] + (scalar == other ? 0 : 1))
                if row > 0, column > 0, scalar == right[column - 1], left[row - 1] == other {
                    cost = min(cost, beforeLast[column - 1] + 1)
                }
                line.append(cost)
            }
            beforeLast = last
            last = line
        }
        return last[right.count]
    }
}
