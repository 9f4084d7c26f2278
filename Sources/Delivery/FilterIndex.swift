// Which of many hooks want an event, for the price of a few look-ups: fields have few values, so what a value means to
// all hooks is worked out once.

import Notifications

/// The filters of several hooks together.
package struct FilterIndex {
    /// A set of hooks, by their positions.
    package struct Hooks: Equatable {
        private var words: [UInt64]

        init(count: Int, all: Bool) {
            words = [UInt64](repeating: 0, count: (count + 63) / 64)
            if all { for position in 0..<count { insert(position) } }
        }

        var isEmpty: Bool { words.allSatisfy { $0 == 0 } }

        mutating func insert(_ position: Int) { words[position >> 6] |= 1 << UInt64(position & 63) }

        mutating func formIntersection(_ other: Hooks) {
            for index in words.indices { words[index] &= other.words[index] }
        }

        /// Calls `body` with each of them.
        package func forEach(_ body: (Int) throws -> Void) rethrows {
            for (index, word) in words.enumerated() {
                var rest = word
                while rest != 0 {
                    try body(index << 6 + rest.trailingZeroBitCount)
                    rest &= rest - 1
                }
            }
        }
    }

    /// What the values of one field mean.
    private struct Column {
        let field: Field
        var known: [String: Hooks] = [:]
        var withoutField: Hooks
    }

    /// A longer value isn't remembered: there are hardly two of it.
    private static let longestValue = 256
    /// More values than this and it is begun anew.
    private static let mostValues = 4096

    private let filters: [ShortFilter]
    private let all: Hooks
    private var columns: [Column] = []

    package init(_ filters: [ShortFilter]) {
        self.filters = filters
        all = Hooks(count: filters.count, all: true)
        var fields: [Field] = []
        for kind in filters.flatMap(\.kinds) where !fields.contains(kind.field) { fields.append(kind.field) }
        columns = fields.map { field in
            var without = Hooks(count: filters.count, all: false)
            for (position, filter) in filters.enumerated()
            where !filter.kinds.contains(where: { $0.field == field }) {
                without.insert(position)
            }
            return Column(field: field, withoutField: without)
        }
    }

    /// The hooks that want an event.
    package mutating func hooks(for event: Event) -> Hooks { hooks { event[$0] } }

    /// The hooks that want an event, where it lies.
    package mutating func hooks(for record: borrowing NotificationRecord) -> Hooks {
        hooks { record[$0] }
    }

    private mutating func hooks(_ value: (Field) -> String?) -> Hooks {
        // With one field nothing is copied: that is what most hooks ask for.
        var result: Hooks?
        for index in columns.indices {
            let hooks: Hooks
            if let value = value(columns[index].field) {
                hooks = columns[index].known[value] ?? look(up: value, in: index)
            } else {
                hooks = columns[index].withoutField
            }
            result?.formIntersection(hooks)
            let narrowed = result ?? hooks
            if narrowed.isEmpty { return narrowed }
            result = narrowed
        }
        return result ?? all
    }

    private mutating func look(up value: String, in index: Int) -> Hooks {
        var hooks = columns[index].withoutField
        for (position, filter) in filters.enumerated() {
            if filter.accepts(value, for: columns[index].field) { hooks.insert(position) }
        }
        guard value.utf8.count <= Self.longestValue else { return hooks }
        if columns[index].known.count >= Self.mostValues { columns[index].known = [:] }
        columns[index].known[value] = hooks
        return hooks
    }
}
