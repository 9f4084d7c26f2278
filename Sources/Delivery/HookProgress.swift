// From what a hook has done to its cursor. The cursor passes nothing that isn't done: in each file it stands before the
// oldest unfinished event, and what was done beyond that is noted beside it.

import Following
import Notifications

/// How far one hook is in each of the stream's files.
struct HookProgress {
    /// How many bytes of events a hook may have waiting: with what is known of each it is about three times as much memory.
    static let mostBytes = 6 << 20

    /// The last event that was finished.
    var lastEventIdentifier: String?
    /// Where the files were when the first of their unfinished events came, by the daemon's numbers.
    private var files: [Int: Cursor.File] = [:]
    /// Where something was missing last, by file: of a gap and the event behind it either may be done before the other.
    private var gaps: [Int: StreamPlace] = [:]
    /// What an earlier run did beyond its cursor: the ends of events, by file.
    private var doneBefore: [Int: Set<Int64>] = [:]

    init(lastEventIdentifier: String?) { self.lastEventIdentifier = lastEventIdentifier }

    /// What an earlier run finished beyond its cursor, in one of the files.
    mutating func skip(_ ends: [Int64], in file: Int) {
        if !ends.isEmpty { doneBefore[file, default: []].formUnion(ends) }
    }

    /// Takes note of an event that is offered.
    ///
    /// - Parameter file: the position of the event's file before it; asked where it isn't known.
    /// - Returns: whether it is still to be done.
    mutating func begins(at place: StreamPlace, file: () -> Cursor.File?) -> Bool {
        if place.isGap { gaps[place.file] = place }
        if doneBefore[place.file]?.contains(place.end) == true { return false }
        if files[place.file] == nil { files[place.file] = file() }
        return true
    }

    /// What a restart has to begin with.
    ///
    /// - Parameters:
    ///   - reading: how far each open file was read and offered.
    ///   - events: those that were offered, from the oldest unfinished one on.
    mutating func cursor(
        reading: [(file: Int, position: Cursor.File)],
        events: some Sequence<(place: StreamPlace, isFinished: Bool)>
    ) -> Cursor {
        var low: [Int: Int64] = [:]
        var done: [Int: [Int64]] = [:]
        var told = gaps
        for (place, isFinished) in events {
            if place.isGap, !isFinished { told[place.file] = nil }
            if !isFinished {
                if low[place.file] == nil { low[place.file] = place.begin }
            } else if low[place.file] != nil {
                done[place.file, default: []].append(place.end)
            }
        }
        var positions = Dictionary(reading.map { ($0.file, $0.position) }) {
            $0.offset < $1.offset ? $0 : $1
        }
        // A file that isn't read any more, but not all of what was read of it is done.
        for file in low.keys where positions[file] == nil { positions[file] = files[file] }
        files = files.filter { low[$0.key] != nil }
        var cursor = Cursor()
        cursor.lastEventIdentifier = lastEventIdentifier
        cursor.files = positions.sorted { $0.key < $1.key }.map { file, position in
            var position = position
            if let low = low[file] {
                position.offset = low
                position.isFinished = false
            }
            // Kept until the offset has passed it, although it was passed over: it may be read again after a restart.
            doneBefore[file] = doneBefore[file]?.filter { [offset = position.offset] in $0 > offset }
            var ends = Set((done[file] ?? []) + (doneBefore[file] ?? []))
            // It was told of, and the event behind it is not done.
            if let gap = told[file], gap.begin == position.offset { ends.insert(gap.end) }
            position.done = ends.isEmpty ? nil : ends.sorted()
            return position
        }
        cursor.finished = cursor.files.last { $0.isFinished }
        cursor.files.removeAll { $0.isFinished }
        return cursor
    }
}
