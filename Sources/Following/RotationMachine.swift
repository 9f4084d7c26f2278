// Which files belong to the stream just now, in which order they are read and when a renamed one is done with.
// Nothing here touches a file: looks, growth, leases and time come in, decisions go out.

import Platform

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
    /// What is known of those who may still write into a file.
    private enum Writers {
        /// Nobody asked yet, or there is one.
        case possible
        /// Only quiet time tells.
        case unknowable
        /// There are none; what they wrote last may not have been read yet.
        case gone
        /// There are none, and the file was read to its end since.
        case goneAndRead
    }

    private struct OpenFile {
        let key: FileKey
        var lastGrowth: UInt64
        var writers = Writers.possible
        /// When it was asked last whether a writer has it.
        var asked: UInt64 = 0
        /// Whether its first line is complete, so that a cursor can recognise it.
        var isRecognisable = false
        /// Whether anything was read of it.
        var hasContent = false
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
    /// How long after its last growth a renamed file is kept of which nobody can tell whether a writer has it: one that
    /// was suspended between its look and its write still appends to it.
    private let rotateWait: UInt64
    /// That a writer left may come without an event: the file may lie in a directory that nobody watches.
    private static let askAgain: UInt64 = 1_000_000_000

    package init(rotateWait: UInt64) { self.rotateWait = rotateWait }

    /// The open files, oldest first.
    package var order: [FileKey] { files.map(\.key) }

    /// The path was looked at.
    package mutating func looked(at key: FileKey?, now: UInt64) -> LookResult {
        guard let key, key != files.last?.key else { return .unchanged }
        guard let index = files.firstIndex(where: { $0.key == key }) else { return .findNewer }
        var file = files.remove(at: index)
        file.writers = .possible
        files.append(file)
        return .movedBack
    }

    /// Newer files were opened, oldest first.
    package mutating func opened(_ keys: [FileKey], now: UInt64) {
        // What was the newest one is a renamed file from now on, however long it has been quiet.
        if !files.isEmpty { files[files.count - 1].lastGrowth = now }
        files += keys.map { OpenFile(key: $0, lastGrowth: now) }
    }

    /// A file was truncated: it begins anew.
    package mutating func beganAnew(_ key: FileKey, now: UInt64) {
        change(key) { $0 = OpenFile(key: key, lastGrowth: now) }
    }

    /// A copy of what a file held before it was truncated was opened.
    package mutating func inserted(_ copy: FileKey, before key: FileKey, now: UInt64) {
        guard let index = files.firstIndex(where: { $0.key == key }) else { return }
        files.insert(OpenFile(key: copy, lastGrowth: now), at: index)
        recognisable(copy)
    }

    /// Nobody has written into a file since an instant before it was opened.
    package mutating func quiet(_ key: FileKey, since instant: UInt64) {
        change(key) { $0.lastGrowth = min($0.lastGrowth, instant) }
    }

    /// Bytes of a file were read, or were known of when it was opened.
    package mutating func grew(_ key: FileKey, now: UInt64) {
        change(key) {
            $0.lastGrowth = now
            $0.hasContent = true
            // Somebody has opened it anew since.
            if case .goneAndRead = $0.writers { $0.writers = .possible }
        }
    }

    /// A file's first line is complete.
    package mutating func recognisable(_ key: FileKey) { change(key) { $0.isRecognisable = true } }

    /// The renamed files of which it should be asked whether a writer has them.
    package var unasked: [FileKey] {
        files.dropLast().filter { $0.writers == .possible }.map(\.key)
    }

    /// It was asked whether a writer has a renamed file.
    package mutating func answered(_ key: FileKey, _ lease: ReadLease, now: UInt64) {
        change(key) {
            $0.asked = now
            switch lease {
            case .granted: $0.writers = .gone
            case .refused: $0.writers = .possible
            case .unavailable: $0.writers = .unknowable
            }
        }
    }

    /// A file's end was reached in a read that began after everything told so far.
    package mutating func readToEnd(_ key: FileKey) {
        change(key) { if $0.writers == .gone { $0.writers = .goneAndRead } }
    }

    /// Whether a file has to be read to its end once more before it is finished.
    package var wantsReading: Bool { files.dropLast().contains { $0.writers == .gone } }

    /// The renamed files that are finished now; they are forgotten here.
    package mutating func finished(now: UInt64) -> [FileKey] {
        let done = files.indices.filter { index in
            guard mayFinish(index) else { return false }
            return switch files[index].writers {
            case .goneAndRead: true
            case .unknowable: now >= files[index].lastGrowth + rotateWait
            case .possible, .gone: false
            }
        }.map { files[$0].key }
        files.removeAll { done.contains($0.key) }
        return done
    }

    /// When something is to be asked again although nothing happened.
    package var deadline: UInt64? {
        files.indices.dropLast().compactMap { index in
            switch files[index].writers {
            case .possible: files[index].asked + Self.askAgain
            case .unknowable where mayFinish(index): files[index].lastGrowth + rotateWait
            default: nil
            }
        }.min()
    }

    /// How many renamed files wait for no more than time.
    package var finishing: Int {
        files.indices.filter { mayFinish($0) && files[$0].writers != .possible }.count
    }

    /// A file is given up only where a newer one is open that a cursor recognises: else a restart would know no
    /// position, or read it again. An empty one can be read again.
    private func mayFinish(_ index: Int) -> Bool {
        guard index < files.count - 1 else { return false }
        if !files[index].isRecognisable && !files[index].hasContent { return true }
        return files[(index + 1)...].contains { $0.isRecognisable }
    }

    private mutating func change(_ key: FileKey, _ body: (inout OpenFile) -> Void) {
        guard let index = files.firstIndex(where: { $0.key == key }) else { return }
        body(&files[index])
    }
}
