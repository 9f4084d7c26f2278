// Follows one stream through rotation, truncation and restart. The decisions are RotationMachine's and Truncation's;
// here files are opened, read in the right order, and waited for.
//
// What it guarantees: every event once, in each run's order. A batch of the newest file is given out only after the
// older open files were read to their end *after* that batch was read: whatever a run wrote into an older file before
// it wrote into the newer one comes first.

import Glibc
import Notifications
import Platform

/// What a follower has to tell.
public enum Followed: Sendable {
    /// An event.
    case event(Event)
    /// Something in the named file that is no event.
    case unreadable(LineProblem, excerpt: String, file: String)
    /// Something a person should know about the stream itself.
    case notice(String)
}

/// Where in a stream something lies.
public struct StreamPlace: Equatable, Sendable {
    /// The file, by a number that a follower gives to each one that it opens.
    public let file: Int
    /// Where to read on so that it comes again.
    public let begin: Int64
    /// Behind it.
    public let end: Int64

    /// A place in a file that somebody else numbers.
    public init(file: Int, begin: Int64, end: Int64) {
        self.file = file
        self.begin = begin
        self.end = end
    }
}

/// Follows a notification file. One thread uses it.
public final class StreamFollower {
    /// The stream's path.
    public let path: String
    private let watcher: DirectoryWatcher?
    private var machine: RotationMachine
    private var streams: [OpenStream] = []
    private var notices: [String] = []
    private var lastProblem = ""
    /// The files that were there when the newest one was opened: none of them is newer.
    private var seen: Set<Seen> = []
    private var phase = Phase.look
    private var anythingGrew = false
    private var turnBegan: UInt64 = 0
    /// Whether an event is certain to come when something happens at the path.
    private var isWatched = false
    /// Where what `next` returned last lies; nil where it lies nowhere.
    public private(set) var place: StreamPlace?
    /// How many files were opened.
    private var opened = 0
    /// The last event that was done, for the cursor; set by whoever does it.
    public var lastEventIdentifier: String?

    private enum Phase {
        case look
        case drain(Int)
    }

    /// How often a stream is looked at of which no event is certain to come.
    private static let pollInterval: UInt64 = 250_000_000

    /// Opens what there is of the stream; nothing there is fine.
    ///
    /// - Parameters:
    ///   - start: where to begin.
    ///   - watcher: tells when to look; without one the stream is looked at from time to time.
    ///   - rotateWait: seconds without growth after which a renamed file is finished.
    /// - Throws: `SystemError` where what is at the path can't be read.
    public init(
        path: String, start: StartPosition, watcher: DirectoryWatcher?, rotateWait: Double = 5
    ) throws(SystemError) {
        self.path = path
        self.watcher = watcher
        machine = RotationMachine(rotateWait: UInt64(max(0, rotateWait) * 1e9))
        watchDirectories()
        let found = try FoundFile.all(of: path)
        let beginning = try start.resolve(found, of: path)
        notices = beginning.notices
        lastEventIdentifier = beginning.lastEventIdentifier
        seen = Self.seen(found)
        add(beginning.streams)
    }

    /// Whether anything of the stream is there.
    public var isThere: Bool { !streams.isEmpty }

    /// The position behind everything that `next` has returned.
    public var cursor: Cursor {
        var cursor = Cursor()
        cursor.files = streams.map(\.position)
        cursor.lastEventIdentifier = lastEventIdentifier
        return cursor
    }

    /// The position in each open file, by the file's number, behind everything that `next` has returned.
    public var positions: [(file: Int, position: Cursor.File)] { streams.map { ($0.number, $0.position) } }

    /// The next thing, or nil where there is nothing more now: then `wait`.
    ///
    /// - Throws: `SystemError` where an open file can't be read.
    public func next() throws(SystemError) -> Followed? {
        place = nil
        while true {
            if !notices.isEmpty { return .notice(notices.removeFirst()) }
            switch phase {
            case .look:
                turnBegan = MonotonicClock.nanoseconds()
                look()
                guard let newest = streams.last else { return notices.isEmpty ? nil : try next() }
                // The newest one's batch first, given out last.
                anythingGrew = try fill(newest)
                phase = .drain(0)
            case .drain(let index):
                let stream = streams[index]
                let begin = stream.offset
                if let item = stream.next() {
                    place = StreamPlace(file: stream.number, begin: begin, end: stream.offset)
                    return followed(item, in: stream)
                }
                if index < streams.count - 1 {
                    if try fill(streams[index]) { anythingGrew = true } else { phase = .drain(index + 1) }
                    continue
                }
                phase = .look
                guard anythingGrew || !notices.isEmpty else {
                    forget(machine.finished(now: turnBegan))
                    return nil
                }
            }
        }
    }

    /// When there is something to look at although nothing happened, of `MonotonicClock`; nil: only then.
    public var deadline: UInt64? {
        let polled = isWatched ? nil : MonotonicClock.nanoseconds() + Self.pollInterval
        return [machine.deadline, polled].compactMap { $0 }.min()
    }

    /// Waits until something may have happened.
    ///
    /// - Parameter deadline: of `MonotonicClock`; not longer than until then.
    /// - Throws: `Interrupted`.
    public func wait(until deadline: UInt64? = nil) throws(Interrupted) {
        try Interruption.check()
        let now = MonotonicClock.nanoseconds()
        let ends = [deadline, self.deadline].compactMap { $0 }
        // A millisecond more than the rest, so that the time has really come.
        let timeout = ends.min().map { CInt(min(($0 > now ? $0 - now : 0) / 1_000_000 + 1, 1 << 30)) } ?? -1
        var descriptors = [
            pollfd(fd: Interruption.descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: watcher?.descriptor ?? -1, events: Int16(POLLIN), revents: 0),
        ]
        poll(&descriptors, 2, timeout)
        if descriptors[1].revents != 0 { _ = watcher?.drain() }
        try Interruption.check()
    }

    // MARK: Files

    private func look() {
        watchDirectories()
        do throws(SystemError) {
            let key = FileKey(at: path)
            if key == nil {
                // Where nothing is, the directory itself may go and come back, which its own watch doesn't tell.
                isWatched = false
                // A file may have come and been renamed since the last look.
                try openNewer()
            }
            switch machine.looked(at: key, now: turnBegan) {
            case .unchanged: break
            case .movedBack: sortStreams()
            case .findNewer: try openNewer()
            }
            lastProblem = ""
        } catch {
            // Said once, not at each look: it may be there, unreadable, for long.
            if lastProblem != error.description { notices.append(error.description) }
            lastProblem = error.description
        }
    }

    /// Opens the file at the path, and before it what rotation has put between it and the newest open one.
    private func openNewer() throws(SystemError) {
        let found = try FoundFile.all(of: path)
        let newest = streams.last
        let position = found.firstIndex { $0.key == newest?.key }
        let known = Set(streams.map(\.key))
        let newer = found.enumerated().filter { index, file in
            if known.contains(file.key) { return false }
            if file.path == path { return true }
            // Rotated while it was empty: a writer that had it open may still write into it.
            guard let fingerprint = file.firstLine?.fingerprint else { return index > position ?? -1 }
            guard let position else { return !seen.contains(Seen(fingerprint: fingerprint, key: file.key)) }
            // A copy of the newest file is not a newer one.
            let isCopy = fingerprint == newest?.firstLine?.fingerprint && file.isOddlyNamed(beside: path)
            return index > position && !isCopy
        }
        seen = Self.seen(found)
        add(newer.map { OpenStream($0.element, offset: 0) })
    }

    /// A file that was seen, by what it begins with and by its inode: files may begin alike, and inodes come again.
    private struct Seen: Hashable {
        let fingerprint: String
        let key: FileKey
    }

    private static func seen(_ found: [FoundFile]) -> Set<Seen> {
        Set(
            found.compactMap { file in file.firstLine.map { Seen(fingerprint: $0.fingerprint, key: file.key) }
            })
    }

    private func add(_ newer: [OpenStream]) {
        guard !newer.isEmpty else { return }
        for stream in newer {
            stream.number = opened
            opened += 1
        }
        streams += newer
        machine.opened(newer.map(\.key), now: MonotonicClock.nanoseconds())
        for stream in newer where stream.firstLine != nil { machine.recognisable(stream.key) }
    }

    private func forget(_ keys: [FileKey]) {
        if !keys.isEmpty { streams.removeAll { keys.contains($0.key) } }
    }

    private func sortStreams() {
        let order = machine.order
        streams.sort { (order.firstIndex(of: $0.key) ?? 0) < (order.firstIndex(of: $1.key) ?? 0) }
    }

    private func fill(_ stream: OpenStream) throws(SystemError) -> Bool {
        let (truncation, grew) = try stream.fill()
        switch truncation {
        case .none: break
        case .startOver:
            // What comes now is another file, whatever the inode says.
            stream.number = opened
            opened += 1
            notices.append("\(stream.name) was truncated: what was not yet read of it is lost")
        case .lostItsEnd:
            notices.append("\(stream.name) is shorter than what was read of it: going on at its end")
        }
        if grew { machine.grew(stream.key, now: MonotonicClock.nanoseconds()) }
        if stream.firstLine != nil { machine.recognisable(stream.key) }
        return grew
    }

    private func followed(_ item: NotificationItem, in stream: OpenStream) -> Followed {
        switch item {
        case .event(let event): .event(event)
        case .unreadable(let problem, let excerpt): .unreadable(problem, excerpt: excerpt, file: stream.name)
        }
    }

    /// The path's directory, and the one a symbolic link at the path leads to.
    private func watchDirectories() {
        var directories: Set = [FoundFile.target(of: Files.parentPath(of: path))]
        directories.insert(Files.parentPath(of: FoundFile.target(of: path)))
        // All of them, also where the first one fails.
        isWatched = directories.map { watcher?.watch($0) ?? false }.allSatisfy { $0 }
    }
}
