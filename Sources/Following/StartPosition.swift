// Where reading begins: at an end, or where a cursor left off, whatever rotation did meanwhile.

import Notifications
import Platform

/// Where a follower begins.
public enum StartPosition {
    /// With what will be written from now on.
    case end
    /// With the first event of the newest file.
    case beginning
    /// With the last events of the newest file: so many of those that match.
    case last(Int, matching: (Event) -> Bool)
    /// Where a cursor left off.
    case cursor(Cursor)

    struct Beginning {
        var streams: [OpenStream] = []
        var notices: [String] = []
        var lastEventIdentifier: String?
    }

    /// - Parameters:
    ///   - found: all files of the stream, oldest first.
    ///   - path: the stream's.
    func resolve(_ found: [FoundFile], of path: String) throws(SystemError) -> Beginning {
        var beginning = Beginning()
        switch self {
        case .cursor(let cursor): return Self.resume(cursor, found, of: path)
        case .beginning:
            beginning.streams = found.suffix(1).map { OpenStream($0, offset: 0) }
        case .last(let count, let matching):
            if let live = found.last {
                let offset = try Tail.offset(of: count, in: live, matching: matching)
                beginning.streams = [OpenStream(live, offset: offset)]
            }
        case .end:
            // Down to one that has a line: a cursor must be able to recognise where it was, and a writer that was
            // suspended during a rotation may still write into the file before an empty one.
            let first = found.lastIndex { $0.firstLine != nil } ?? 0
            beginning.streams = found[first...].map {
                OpenStream($0, offset: Tail.end(of: $0.descriptor.raw, size: $0.size))
            }
        }
        return beginning
    }

    private static func resume(_ cursor: Cursor, _ found: [FoundFile], of path: String) -> Beginning {
        var beginning = Beginning(lastEventIdentifier: cursor.lastEventIdentifier)
        var offsets: [FileKey: Int64] = [:]
        var newestKnown = -1
        for file in cursor.files {
            guard let index = index(of: file, in: found) else {
                if !file.fingerprint.isEmpty {
                    beginning.notices.append(
                        "\(file.name), read up to byte \(file.offset), is gone: what else was in it is lost")
                }
                continue
            }
            let size = found[index].size
            if size < file.offset {
                beginning.notices.append(
                    "\(found[index].name) has \(size) bytes, \(file.offset) of it were read: going on at its end"
                )
            }
            offsets[found[index].key] = min(size, file.offset)
            // A file without a line is known by its inode alone, which a newer file may have by now: nothing may be
            // taken for finished because of it. Behind the last one that is certain everything is read anyway.
            if !file.fingerprint.isEmpty { newestKnown = max(newestKnown, index) }
        }
        let known = Set(cursor.files.map(\.fingerprint).filter { !$0.isEmpty })
        for (index, file) in found.enumerated() {
            // What lies before the cursor's newest file and isn't in it was finished. What lies behind is new.
            guard let offset = offsets[file.key] ?? (index > newestKnown ? 0 : nil) else { continue }
            // A copy of a file that the cursor knows was read in that one.
            let isKnown = known.contains(file.firstLine?.fingerprint ?? "")
            if offsets[file.key] == nil, isKnown, file.isOddlyNamed(beside: path) { continue }
            beginning.streams.append(OpenStream(file, offset: offset))
        }
        return beginning
    }

    private static func index(of file: Cursor.File, in found: [FoundFile]) -> Int? {
        let sameLine = found.indices.filter {
            (found[$0].firstLine?.fingerprint ?? "") == file.fingerprint
        }
        // Without a first line there is only the inode, and the file may have got its first line since.
        if file.fingerprint.isEmpty { return found.firstIndex { $0.key.inode == file.inode } }
        return sameLine.first { found[$0].key.inode == file.inode } ?? sameLine.last
    }
}
