// Which files belong to the stream just now, in which order they are read and when a renamed one is done with.
// Nothing here touches a file: looks, growth and time come in, decisions go out.

/// What the kernel knows a file by, as long as it is open.
package struct FileKey: Hashable, Sendable {
    package let device: UInt64
    package let inode: UInt64

    package init(device: UInt64, inode: UInt64) {
        self.device = device
        self.inode = inode
    }
}

/// The open files of one stream, oldest first. The last one is what writers append to now, as far as is known.
package struct RotationMachine {
    private struct OpenFile {
        let key: FileKey
        var lastGrowth: UInt64
        /// Whether its first line is complete, so that a cursor can recognise it.
        var isRecognisable: Bool
    }

    /// What a look at the path asks for.
    package enum LookResult: Equatable {
        /// The file at the path is the newest one that is open, or there is none.
        case unchanged
        /// Another file is at the path: it and whatever lies between must be opened.
        case findNewer
        /// A file that was renamed earlier is back at the path: it is the newest again.
        case movedBack
    }

    private var files: [OpenFile] = []
    /// How long after its last growth a renamed file is kept: a writer that was suspended between its look and its
    /// write still appends to it.
    private let rotateWait: UInt64

    package init(rotateWait: UInt64) { self.rotateWait = rotateWait }

    /// The open files, oldest first.
    package var order: [FileKey] { files.map(\.key) }

    /// The path was looked at.
    package mutating func looked(at key: FileKey?, now: UInt64) -> LookResult {
        guard let key, key != files.last?.key else { return .unchanged }
        guard let index = files.firstIndex(where: { $0.key == key }) else { return .findNewer }
        files.append(files.remove(at: index))
        return .movedBack
    }

    /// Newer files were opened, oldest first.
    package mutating func opened(_ keys: [FileKey], now: UInt64) {
        // What was the newest one is a renamed file from now on, however long it has been quiet.
        if !files.isEmpty { files[files.count - 1].lastGrowth = now }
        files += keys.map { OpenFile(key: $0, lastGrowth: now, isRecognisable: false) }
    }

    /// Bytes of a file were read.
    package mutating func grew(_ key: FileKey, now: UInt64) {
        guard let index = files.firstIndex(where: { $0.key == key }) else { return }
        files[index].lastGrowth = now
    }

    /// A file's first line is complete.
    package mutating func recognisable(_ key: FileKey) {
        guard let index = files.firstIndex(where: { $0.key == key }) else { return }
        files[index].isRecognisable = true
    }

    /// The renamed files that are finished now; they are forgotten here.
    package mutating func finished(now: UInt64) -> [FileKey] {
        var done: [FileKey] = []
        while let first = files.first, mayFinish, now >= first.lastGrowth + rotateWait {
            done.append(first.key)
            files.removeFirst()
        }
        return done
    }

    /// When `finished` is to be asked again although nothing happened.
    package var deadline: UInt64? {
        guard let first = files.first, mayFinish else { return nil }
        return first.lastGrowth + rotateWait
    }

    /// The oldest file is given up only for one that a cursor recognises: else a restart would know no position.
    private var mayFinish: Bool { files.dropFirst().contains { $0.isRecognisable } }
}
