// Where a follower is, and what it knows of what was before.

import Notifications
import Platform

extension StreamFollower {
    /// The position behind everything that `next` has returned.
    public var cursor: Cursor {
        var cursor = Cursor()
        cursor.files = openPositions.map(\.position)
        cursor.finished = lastFinished?.position
        cursor.lastEventIdentifier = lastEventIdentifier
        mark(&cursor)
        return cursor
    }

    /// Notes in a cursor what its files have before its offsets, as far as they are open here.
    public func mark(_ cursor: inout Cursor) {
        for index in cursor.files.indices {
            let file = cursor.files[index]
            let stream = streams.first {
                $0.key.inode == file.inode && $0.position.fingerprint == file.fingerprint
            }
            guard let stream, !stream.isCompressed, !file.fingerprint.isEmpty, file.offset > 0,
                (try? stream.judge()) == Truncation.none
            else { continue }
            let end = max(file.offset, file.done?.max() ?? 0)
            cursor.files[index].marks = try? Cursor.Marks(in: stream.descriptor.raw, before: end)
        }
    }

    /// The position in each open file, by the file's number, behind everything that `next` has returned; before them that
    /// in the newest file that is done with.
    public var positions: [(file: Int, position: Cursor.File)] {
        guard let lastFinished else { return openPositions }
        var position = lastFinished.position
        position.isFinished = true
        return [(lastFinished.file, position)] + openPositions
    }

    var openPositions: [(file: Int, position: Cursor.File)] {
        streams.map { stream in
            var position = stream.position
            if let held, held.place.file == stream.number { position.offset = held.place.begin }
            return (stream.number, position)
        }
    }

    /// Takes over what another follower, which is at the same place, knows of what was before that.
    package func learn(from other: StreamFollower) {
        gaps.learn(from: other.gaps, theirs: other.unknownParts, ours: unknownParts)
    }
}
