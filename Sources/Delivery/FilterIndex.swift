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

    /// More values than this and it is begun anew.
    private static let mostValues = 4096

    private let filters: [ShortFilter]
    private var columns: [Column] = []

    package init(_ filters: [ShortFilter]) {
        self.filters = filters
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
        var result = Hooks(count: filters.count, all: true)
        for index in columns.indices {
            guard let value = value(columns[index].field) else {
                result.formIntersection(columns[index].withoutField)
                continue
            }
            let hooks = columns[index].known[value] ?? look(up: value, in: index)
            result.formIntersection(hooks)
            if result.isEmpty { return result }
        }
        return result
    }

    private mutating func look(up value: String, in index: Int) -> Hooks {
        var hooks = columns[index].withoutField
        for (position, filter) in filters.enumerated() {
            if filter.accepts(value, for: columns[index].field) { hooks.insert(position) }
        }
        if columns[index].known.count >= Self.mostValues { columns[index].known = [:] }
        columns[index].known[value] = hooks
        return hooks
    }
}
