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
        for file in found[first...] {
            let open = streams.first { $0.key == file.key }
            if open == nil, hasBacklog, !isSeen(file) { continue }
            let end = file.compression == nil ? file.size : .max
            let past = open ?? (try? OpenStream(file, offset: end))
            if past?.hasUnknownBeginning != false { unknownParts += 1 }
            let isRead = past?.eventsBefore { event in
                _ = gaps.look(at: event.runPosition, behind: unknownParts)
                before(event)
            }
            if isRead == false { unknownParts += 1 }
            open?.unknownParts = unknownParts
        }
    }

    /// Opens what was copied of a file before it was truncated: what was not yet read of it is there, and a cursor
    /// recognises the copy as long as the file itself has no line.
    ///
    /// - Parameter position: how far the file had been read.
    /// - Returns: whether there is a copy.
    func openCopies(of stream: OpenStream, readUpTo position: Cursor.File) throws(SystemError) -> Bool {
        learnFirstLines()
        let found = try look()
        // Where it was deleted, the one at the path is not older.
        let index = found.firstIndex { $0.key == stream.key || $0.path == path } ?? found.count
        let open = Set(streams.map(\.key))
        let copy = found[..<index].lastIndex {
            !position.fingerprint.isEmpty && $0.fingerprint == position.fingerprint && !open.contains($0.key)
                && ($0.compression != nil || $0.size >= position.offset)
        }
        // It may have been copied and truncated more than once.
        let newer = found[(copy ?? 0)..<index].enumerated().filter { offset, file in
            copy != nil && offset == 0
                || file.firstLine != nil && !open.contains(file.key) && (copy != nil || !isSeen(file))
        }
        for (offset, file) in newer {
            let isCopy = copy != nil && offset == 0
            let copied = try OpenStream(file, offset: isCopy ? position.offset : 0)
            // The copy is the same file by another name.
            if isCopy { copied.number = stream.number } else { number(copied) }
            copied.unknownParts = stream.unknownParts
            streams.insert(copied, at: streams.firstIndex { $0 === stream } ?? 0)
            machine.inserted(copied.key, before: stream.key, now: turnBegan)
            if copied.isCompressed { machine.answered(copied.key, .granted, now: turnBegan) }
            seen.insert(SeenFile(fingerprint: file.fingerprint, key: file.key))
        }
        return !newer.isEmpty
    }

    func openUnseen(_ stream: OpenStream) throws(SystemError) {
        do throws(SystemError) { _ = try openCopies(of: stream, readUpTo: stream.position) } catch {
            // Renamed just now: the next look finds it.
            if !error.isMoved { throw error }
        }
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
}
