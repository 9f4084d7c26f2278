// Where reading begins: at an end, at a time, or where a cursor left off, whatever rotation did meanwhile.

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
    /// With the first event, of any file, that happened at an instant or later.
    case since(Timestamp)
    /// With the event of this identifier, in whatever file; where there is none, at the end.
    case event(String)
    /// Where a cursor left off.
    case cursor(Cursor)

    /// A file and where to begin in it.
    struct Planned {
        let file: FoundFile
        let offset: Int64
    }

    struct Beginning {
        /// Oldest first.
        var plan: [Planned] = []
        /// How many of them have to be open at once. All that come behind are simply read from their beginnings.
        var needed = 0
        var notices: [String] = []
        var lastEventIdentifier: String?
        /// The cursor's files, which each of them is now, and up to where it is still what it was.
        var resumed: [(saved: Cursor.File, found: FoundFile, end: Int64)] = []
        /// The file that the cursor says is done with, and nothing was added to.
        var finished: Cursor.File?
        /// The fingerprints of files that the cursor knows: copies of them were read.
        var known: Set<String> = []
    }

    /// - Parameter found: all files of the stream, oldest first.
    /// - Throws: `SystemError`; `isMoved` where the files have other names by now.
    func resolve(_ found: [FoundFile]) throws(SystemError) -> Beginning {
        var beginning = Beginning()
        switch self {
        case .cursor(let cursor): return try Self.resume(cursor, found)
        case .beginning:
            beginning.plan = found.suffix(1).map { Planned(file: $0, offset: 0) }
        case .last(let count, let matching):
            if let live = found.last {
                let offset = try Tail.offset(of: count, in: live, matching: matching)
                beginning.plan = [Planned(file: live, offset: offset)]
            }
        case .since(let instant):
            let bound = SinceBound(instant)
            return try Self.first(found, from: instant.seconds - Self.tolerance, bound.isReached)
        case .event(let identifier):
            return try Self.first(found) { $0.identifier == identifier }
        case .end:
            beginning.plan = try Self.end(found, [:])
        }
        beginning.needed = beginning.plan.count
        return beginning
    }

    /// The ends of the newest files.
    ///
    /// Down to one that has a line: a cursor must be able to recognise where it was, and a writer that was suspended
    /// during a rotation may still write into the file before an empty one.
    /// - Parameter ends: of those that were read.
    private static func end(
        _ found: [FoundFile], _ ends: [FileKey: Int64]
    ) throws(SystemError) -> [Planned] {
        let first = found.lastIndex { $0.firstLine != nil } ?? 0
        var plan: [Planned] = []
        for file in found[first...] {
            let offset: Int64
            if let end = ends[file.key] { offset = end } else { offset = try Tail.end(of: file) }
            plan.append(Planned(file: file, offset: offset))
        }
        return plan
    }

    /// How much earlier than an event's time its file's may be: the kernel's clock for files is coarse, and a clock is
    /// set back sometimes.
    private static let tolerance = 3600

    /// From the first event that is wanted.
    ///
    /// - Parameter earliest: seconds since 1970; a file that was last written before needn't be read.
    private static func first(
        _ found: [FoundFile], from earliest: Int = .min, _ isWanted: (Event) -> Bool
    ) throws(SystemError) -> Beginning {
        var beginning = Beginning()
        var ends: [FileKey: Int64] = [:]
        for (index, file) in found.enumerated() where file.modified.seconds >= earliest {
            let stream = try OpenStream(file, offset: 0)
            if let offset = try stream.offset(where: isWanted) {
                beginning.plan = found[index...].map {
                    Planned(file: $0, offset: $0.key == file.key ? offset : 0)
                }
                beginning.needed = 1
                return beginning
            }
            ends[file.key] = stream.offset
        }
        beginning.plan = try end(found, ends)
        beginning.needed = beginning.plan.count
        return beginning
    }

    private static func resume(
        _ cursor: Cursor, _ found: [FoundFile]
    ) throws(SystemError) -> Beginning {
        var beginning = Beginning(lastEventIdentifier: cursor.lastEventIdentifier)
        var offsets: [FileKey: Int64] = [:]
        var newestKnown = -1
        for file in [cursor.finished].compactMap({ $0 }) + cursor.files {
            let isFinished = file == cursor.finished
            guard let index = index(of: file, in: found) else {
                if !file.fingerprint.isEmpty, !isFinished {
                    beginning.notices.append(
                        "\(file.name), read up to byte \(file.offset), is gone: what else was in it is lost")
                }
                continue
            }
            if isFinished, found[index].compression != nil || found[index].size == file.offset {
                beginning.finished = file
                newestKnown = max(newestKnown, index)
                continue
            }
            var offset = file.offset
            var end = found[index].compression == nil ? found[index].size : .max
            if found[index].compression == nil, let known = try file.knownEnd(in: found[index]) {
                end = known
                offset = min(offset, known)
                let place = known == found[index].size ? "at its end" : "from byte \(offset)"
                beginning.notices.append(
                    "\(found[index].name) has lost its end since \(file.offset) bytes of it were read: going on \(place)"
                )
            }
            beginning.resumed.append((file, found[index], end))
            offsets[found[index].key] = min(offset, offsets[found[index].key] ?? offset)
            // A file without a line is known by its inode alone, which a newer file may have by now: nothing may be
            // taken for finished because of it. Behind the last one that is certain everything is read anyway.
            if !file.fingerprint.isEmpty { newestKnown = max(newestKnown, index) }
        }
        beginning.known = Set(cursor.files.map(\.fingerprint).filter { !$0.isEmpty })
        for (index, file) in found.enumerated() {
            // What lies before the cursor's newest file and isn't in it was finished. What lies behind is new.
            // So is what a file of the cursor's holds since it was truncated.
            let isNew = index > newestKnown || holdsSomethingElse(file, since: cursor)
            guard let offset = offsets[file.key] ?? (isNew ? 0 : nil) else { continue }
            // A copy of a file that the cursor knows was read in that one.
            let isKnown = beginning.known.contains(file.fingerprint)
            if offsets[file.key] == nil, isKnown, file.isOddlyNamed { continue }
            beginning.plan.append(Planned(file: file, offset: offset))
            if offsets[file.key] != nil { beginning.needed = beginning.plan.count }
        }
        return beginning
    }

    /// Whether a file has the inode of one of the cursor's, which begins with another line: that one was truncated, or is
    /// gone and the inode came again.
    private static func holdsSomethingElse(_ file: FoundFile, since cursor: Cursor) -> Bool {
        file.compression == nil
            && cursor.files.contains {
                $0.inode == file.key.inode && !$0.fingerprint.isEmpty && $0.fingerprint != file.fingerprint
            }
    }

    private static func index(of file: Cursor.File, in found: [FoundFile]) -> Int? {
        // Without a first line there is only the inode, and the file may have got its first line since.
        if file.fingerprint.isEmpty {
            return found.firstIndex { $0.compression == nil && $0.key.inode == file.inode }
        }
        let sameLine = found.indices.filter { found[$0].fingerprint == file.fingerprint }
        // Another inode: compressed since, or else restored from a copy.
        return sameLine.first { found[$0].key.inode == file.inode }
            ?? sameLine.last { found[$0].compression != nil } ?? sameLine.last
    }
}

extension OpenStream {
    /// Where the first wanted event begins; the stream is read up to it, or to its end.
    fileprivate func offset(where isWanted: (Event) -> Bool) throws(SystemError) -> Int64? {
        repeat {
            while true {
                let offset = offset
                guard let item = next() else { break }
                if case .event(let event) = item, isWanted(event) { return offset }
            }
        } while try fill(after: try judge())
        return nil
    }
}

/// Tells events that are not before an instant.
private struct SinceBound {
    private let instant: Timestamp
    private let text: String

    init(_ instant: Timestamp) {
        self.instant = instant
        text = instant.description
    }

    func isReached(by event: Event) -> Bool {
        guard let other = event.timestamp else { return false }
        // What our own writer writes is ordered as text.
        if other.utf8.count == text.utf8.count, other.hasSuffix("Z") { return other >= text }
        return Timestamp(rfc3339: other).map { $0 >= instant } ?? false
    }
}
