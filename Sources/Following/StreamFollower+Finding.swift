// Which of the files that are found are to be read: those that are newer, and copies of what was truncated; and what may
// be learned from those that were read before.

import Notifications
import Platform

/// A file that was seen, by what it begins with and by its inode: files may begin alike, and inodes come again.
struct SeenFile: Hashable {
    let fingerprint: String
    let key: FileKey
}

extension StreamFollower {
    func newer(in found: [FoundFile]) -> [FoundFile] {
        let open = Set(streams.map(\.key))
        let newest = streams.last
        let line = newest?.position.fingerprint ?? ""
        // By another inode where it was compressed since, or copied and removed.
        let position =
            found.firstIndex { $0.key == newest?.key }
            ?? found.lastIndex { $0.compression != nil && !line.isEmpty && $0.fingerprint == line }
            ?? found.lastIndex { !line.isEmpty && $0.fingerprint == line }
            // Where it is gone, what came before it tells.
            ?? found.lastIndex { open.contains($0.key) || isSeen($0) }
        return found.enumerated().filter { index, file in
            if open.contains(file.key) { return false }
            if file.path == path { return true }
            // Rotated while it was empty: a writer that had it open may still write into it.
            if file.firstLine == nil { return index > position ?? -1 }
            // A copy of a file that is read is not a newer one.
            let isCopy =
                file.isOddlyNamed
                && (file.fingerprint == line || knownFingerprints.contains(file.fingerprint))
            return index > position ?? -1 && !isCopy
        }.map(\.element)
    }

    /// Looks at what lies before the start, in files that are done with too: a run's last number is what counts.
    func learn(from found: [FoundFile], _ before: (Event) -> Void) {
        guard let first = found.firstIndex(where: { file in streams.contains { $0.key == file.key } }) else {
            return
        }
        // One more: a run may have written last just before a rotation.
        for file in found[max(0, first - 1)...] {
            let open = streams.first { $0.key == file.key }
            if open == nil, hasBacklog, !isSeen(file) { continue }
            let end = file.compression == nil ? file.size : .max
            let past = open ?? (try? OpenStream(file, offset: end))
            let isRead = past?.eventsBefore(beginsLater: { unknownParts += 1 }) { event in
                _ = gaps.look(at: event.runPosition, behind: unknownParts)
                before(event)
            }
            if isRead != true { unknownParts += 1 }
            open?.unknownParts = unknownParts
        }
    }

    /// What was copied of a file before it was truncated, and files that came between.
    struct Copies {
        fileprivate var opened: [(stream: OpenStream, file: FoundFile, isCopy: Bool)] = []
        /// Whether there is a copy of the file itself.
        var hasCopy: Bool { opened.contains { $0.isCopy } }
    }

    /// Opens what was copied of a file before it was truncated: what was not yet read of it is there, and a cursor
    /// recognises the copy as long as the file itself has no line. Nothing of the follower changes here: another program
    /// may be at the copies just now, and then this is done again.
    ///
    /// - Parameter position: how far the file had been read.
    /// - Throws: `SystemError`.
    func copies(of stream: OpenStream, readUpTo position: Cursor.File) throws(SystemError) -> Copies {
        try retryingWhereMoved { () throws(SystemError) in
            let found = try look()
            // Where it was deleted, the one at the path is not older.
            let index = found.firstIndex { $0.key == stream.key || $0.path == path } ?? found.count
            let open = Set(streams.map(\.key))
            let copy = found[..<index].lastIndex {
                !position.fingerprint.isEmpty && $0.fingerprint == position.fingerprint
                    && !open.contains($0.key)
            }
            // It may have been copied and truncated more than once.
            let newer = found[(copy ?? 0)..<index].enumerated().filter { offset, file in
                copy != nil && offset == 0
                    || file.firstLine != nil && !open.contains(file.key) && (copy != nil || !isSeen(file))
            }
            var copies = Copies()
            for (offset, file) in newer {
                let isCopy = copy != nil && offset == 0
                // What was written after the copy was made may have been read, and is not in it.
                let read = file.compression == nil ? min(position.offset, file.size) : position.offset
                copies.opened.append((try OpenStream(file, offset: isCopy ? read : 0), file, isCopy))
            }
            return copies
        }
    }

    /// Reads copies before the file that they are of.
    func insert(_ copies: Copies, before stream: OpenStream) {
        for (copied, file, isCopy) in copies.opened {
            // The copy is the same file by another name.
            if isCopy { copied.number = stream.number } else { number(copied) }
            copied.unknownParts = stream.unknownParts
            streams.insert(copied, at: streams.firstIndex { $0 === stream } ?? 0)
            machine.inserted(copied.key, before: stream.key, now: turnBegan)
            if copied.isCompressed { machine.answered(copied.key, .granted, now: turnBegan) }
            seen.insert(SeenFile(fingerprint: file.fingerprint, key: file.key))
        }
    }

    func openUnseen(_ stream: OpenStream) throws(SystemError) {
        insert(try copies(of: stream, readUpTo: stream.position), before: stream)
    }

    /// Leaves out what is a copy of a file that is there too: its events are in that one, until it is truncated.
    func withoutCopies(_ found: [FoundFile]) throws(SystemError) -> [FoundFile] {
        // The one that goes on: a copy has no more, and mostly less.
        var originals: [String: FoundFile] = [:]
        for file in found where file.compression == nil && !file.fingerprint.isEmpty {
            guard let known = originals[file.fingerprint] else {
                originals[file.fingerprint] = file
                continue
            }
            let isLonger = file.size > known.size || file.size == known.size && !file.isOddlyNamed
            if isLonger { originals[file.fingerprint] = file }
        }
        var rest: [FoundFile] = []
        for file in found {
            let other = file.compression == nil ? originals[file.fingerprint] : nil
            if let other, other.key != file.key, !streams.contains(where: { $0.key == file.key }),
                try file.isCopy(of: other)
            {
                continue
            }
            rest.append(file)
        }
        return rest
    }

    /// What open files begin with by now: by that they are found compressed.
    func learnFirstLines() {
        for stream in streams where stream.isUnrecognisable && stream.learnFirstLine() {
            machine.recognisable(stream.key)
        }
    }

    func isSeen(_ file: FoundFile) -> Bool {
        if file.compression != nil, streams.contains(where: { $0.firstLine?.fingerprint == file.fingerprint })
        {
            return true
        }
        return seen.contains {
            $0.fingerprint == file.fingerprint && (file.compression != nil || $0.key == file.key)
        }
    }

    /// Does something with files that were just found, and again where a rotation has renamed them meanwhile.
    func retryingWhereMoved<Result>(
        _ body: () throws(SystemError) -> Result
    ) throws(SystemError) -> Result {
        for _ in 0..<20 {
            do throws(SystemError) { return try body() } catch { if !error.isMoved { throw error } }
        }
        return try body()
    }
}
