// One of podman's lists, of tens of thousands of entries: found in its bytes, decoded only where somebody looks at an
// entry, and written with all others as they were. Decoding all of it for each image would take a hundred times as long.

import CLinux
import Images

/// A list in the form in which we write it: one line, keys sorted, no blanks.
struct PodmanList {
    private let text: [UInt8]
    /// Where each entry is in the text.
    private let ranges: [Range<Int>]
    /// Entries that are others now, by their place; nil: gone.
    private var changed: [Int: JSONValue?] = [:]
    private var added: [JSONValue] = []
    private let isOther: Bool

    /// A list of values.
    ///
    /// - Parameter isChanged: whether it is another list than the one that is in the store.
    /// - Throws: `EncodingError`.
    init(_ values: [JSONValue], isChanged: Bool) throws {
        self.init(text: try JSONValue.array(values).line(), isChanged: isChanged)
    }

    /// A list that was written by `line`.
    init(text: [UInt8], isChanged: Bool = false) {
        self.text = text
        isOther = isChanged
        var ranges: [Range<Int>] = []
        var depth = 0
        var start = 0
        text.withUnsafeBufferPointer { bytes in
            var place = 0
            while place < bytes.count {
                switch bytes[place] {
                case UInt8(ascii: "\""):
                    place += 1
                    while place < bytes.count, bytes[place] != UInt8(ascii: "\"") {
                        place += bytes[place] == UInt8(ascii: "\\") ? 2 : 1
                    }
                case UInt8(ascii: "{"), UInt8(ascii: "["):
                    if depth == 1 { start = place }
                    depth += 1
                case UInt8(ascii: "}"), UInt8(ascii: "]"):
                    depth -= 1
                    if depth == 1 { ranges.append(start..<place + 1) }
                default: break
                }
                place += 1
            }
        }
        self.ranges = ranges
    }

    /// Whether it is another list than it was.
    var isChanged: Bool { isOther || !changed.isEmpty || !added.isEmpty }

    mutating func append(_ value: JSONValue) { added.append(value) }

    /// The last entry for which a condition holds; only those are looked at that have a member of that text.
    ///
    /// - Throws: `JSONError` where it is none.
    func last(having key: String, _ value: String) throws -> JSONValue? {
        if let found = added.last(where: { $0[key]?.text == value }) { return found }
        for place in try places(having: "\(Self.quoted(key)):\(Self.quoted(value))").reversed() {
            if let entry = try self[place], entry[key]?.text == value { return entry }
        }
        return nil
    }

    /// Changes those entries that have a text among their strings, or removes them.
    ///
    /// - Parameter change: gives the entry as it shall be; nil: it goes.
    /// - Throws: `JSONError` where one is none.
    mutating func update(having value: String, _ change: (JSONValue) -> JSONValue?) throws {
        for place in try places(having: Self.quoted(value)) {
            guard let entry = try self[place] else { continue }
            let new = change(entry)
            if new != entry { changed[place] = .some(new) }
        }
        added = added.compactMap(change)
    }

    /// The list as one line of JSON without its end.
    ///
    /// - Throws: `EncodingError`.
    func line() throws -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(text.count + 4096)
        result.append(UInt8(ascii: "["))
        func append(_ entry: some Collection<UInt8>) {
            if result.count > 1 { result.append(UInt8(ascii: ",")) }
            result.append(contentsOf: entry)
        }
        for (place, range) in ranges.enumerated() {
            if let new = changed[place] {
                if let new { append(try new.line()) }
            } else {
                append(text[range])
            }
        }
        for entry in added { append(try entry.line()) }
        result.append(UInt8(ascii: "]"))
        return result
    }

    /// An entry as it is now; nil where it is gone.
    private subscript(place: Int) -> JSONValue? {
        get throws {
            if let new = changed[place] { return new }
            return try JSONValue.read(Array(text[ranges[place]]), limit: ranges[place].count)
        }
    }

    /// The entries in whose text another text is.
    private func places(having needle: String) throws -> [Int] {
        let needle = Array(needle.utf8)
        var found: [Int] = []
        text.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress else { return }
            var offset = 0
            while let hit = memmem(start + offset, bytes.count - offset, needle, needle.count) {
                let position = hit - UnsafeMutableRawPointer(mutating: start)
                // The entry that ends behind it.
                var low = 0
                var high = ranges.count
                while low < high {
                    let middle = (low + high) / 2
                    if ranges[middle].upperBound > position { high = middle } else { low = middle + 1 }
                }
                if low < ranges.count, found.last != low { found.append(low) }
                offset = position + needle.count
            }
        }
        return found
    }

    private static func quoted(_ text: String) -> String {
        (try? JSONValue.string(text).line()).map { String(decoding: $0, as: UTF8.self) } ?? "\"\""
    }
}
