// Follows one stream through rotation, truncation and restart. The decisions are RotationMachine's and Truncation's;
// here files are opened, read in the right order, and waited for.
//
// What it guarantees: every event once, in each run's order. A batch of the newest file is given out only after the
// older open files were read to their end *after* that batch was read: whatever a run wrote into an older file before
// it wrote into the newer one comes first.

import Glibc
import Notifications
import Platform

/// Follows a notification file. One thread uses it.
public final class StreamFollower {
    /// The stream's path.
    public let path: String
    let watcher: DirectoryWatcher?
    private let files: StreamFiles
    private let hasRotatedPatterns: Bool
    var machine: RotationMachine
    var streams: [OpenStream] = []
    private var notices: [String] = []
    private var lastProblem = ""
    /// Rotated files that can't be read, and why: each is told once.
    private var unreadable: Set<String> = []
    /// The files that were there when the newest one was opened: none of them is newer.
    var seen: Set<SeenFile> = []
    /// The newest file that is done with.
    var lastFinished: (file: Int, position: Cursor.File)?
    /// How far files were read that are done with, as long as they are there: one may be moved back.
    private var done: [SeenFile: Int64] = [:]
    /// The files of the cursor that it began with, as they are now.
    package private(set) var resumed: [ResumedFile] = []
    /// The numbers that files got because they were truncated.
    package private(set) var truncated: Set<Int> = []
    /// What the cursor's files begin with.
    var knownFingerprints: Set<String> = []
    private var phase = Phase.look
    private var anythingGrew = false
    var gaps = GapFinder()
    /// How many parts of the files were read by an earlier follower, and are unknown to this one.
    var unknownParts = 0
    /// An event before which some are missing, where that was told and the event was not.
    var held: (event: Event, place: StreamPlace, isWanted: Bool)?
    var turnBegan: UInt64 = 0
    /// Whether an event is certain to come when something happens at the path.
    private(set) var isWatched = false
    /// Whether there are newer files that were not opened yet.
    var hasBacklog = false
    private var lookFailed = false
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

    /// How many files are open at a time, besides those that are needed for longer: there may be thousands to read.
    private static let openFiles = 16

    /// Opens what there is of the stream; nothing there is fine.
    ///
    /// - Parameters:
    ///   - rotated: shell patterns of rotated files beyond the stream's own directory (logrotate's `olddir`).
    ///   - start: where to begin.
    ///   - watcher: tells when to look; without one the stream is looked at from time to time.
    ///   - rotateWait: seconds without growth after which a renamed file is finished, where nobody can tell whether a
    ///     writer still has it.
    ///   - poll: looks from time to time in any case. That is done by itself where events don't come: NFS, CIFS, FUSE.
    ///   - before: told of events that lie before the start, as far back as is soon read.
    /// - Throws: `SystemError` where what is at the path can't be read.
    public init(
        path: String, rotated: [String] = [], start: StartPosition, watcher: DirectoryWatcher?,
        rotateWait: Double = 5, poll: Bool = false, before: (Event) -> Void = { _ in }
    ) throws(SystemError) {
        self.path = path
        self.watcher = poll ? nil : watcher
        files = StreamFiles(path: path, patterns: rotated)
        hasRotatedPatterns = !rotated.isEmpty
        machine = RotationMachine(rotateWait: UInt64(max(0, rotateWait) * 1e9))
        watchDirectories()
        try begin(start, before)
    }

    /// Goes on where another follower is, in the files that it has open: one may be gone from the disk.
    package init(from other: StreamFollower) {
        path = other.path
        watcher = other.watcher
        files = other.files.copy()
        hasRotatedPatterns = other.hasRotatedPatterns
        machine = other.machine
        unreadable = other.unreadable
        seen = other.seen
        done = other.done
        gaps = other.gaps
        unknownParts = other.unknownParts
        knownFingerprints = other.knownFingerprints
        anythingGrew = true
        isWatched = other.isWatched
        hasBacklog = other.hasBacklog
        opened = other.opened
        lastFinished = other.lastFinished
        for (stream, position) in zip(other.streams, other.openPositions) {
            streams.append(OpenStream(from: stream, offset: position.position.offset))
        }
    }

    private func begin(_ start: StartPosition, _ before: (Event) -> Void) throws(SystemError) {
        try retryingWhereMoved { () throws(SystemError) in
            let found = try look()
            let beginning = try start.resolve(found)
            let count = max(beginning.needed, Self.openFiles)
            let streams = try open(beginning.plan.prefix(count).map { ($0.file, $0.offset) })
            notices += beginning.notices
            if let finished = beginning.finished {
                lastFinished = (opened, finished)
                opened += 1
            }
            lastEventIdentifier = beginning.lastEventIdentifier
            knownFingerprints = beginning.known
            resumed = beginning.resumed.map { saved, found, end in
                var position = saved
                position.inode = found.key.inode
                return ResumedFile(saved: saved, position: position, end: end)
            }
            note(found, without: beginning.plan.dropFirst(count).map(\.file.key))
            add(streams)
            learn(from: found, before)
            // All that was opened is to be read first.
            anythingGrew = hasBacklog
        }
    }

    /// Whether anything of the stream is there.
    public var isThere: Bool { !streams.isEmpty }

    /// The next thing, or nil where there is nothing more now: then `wait`.
    ///
    /// - Parameter isWanted: is asked of each event where it lies: an unwanted one costs next to nothing.
    /// - Throws: `SystemError` where an open file can't be read.
    public func next(
        where isWanted: (borrowing NotificationRecord) -> Bool = { _ in true }
    ) throws(SystemError) -> Followed? {
        place = nil
        while true {
            if !notices.isEmpty { return .notice(notices.removeFirst()) }
            if let (event, place, isWanted) = held {
                held = nil
                self.place = place
                return isWanted ? .event(event) : .passedOver
            }
            switch phase {
            case .look:
                turnBegan = MonotonicClock.nanoseconds()
                lookForNewer()
                guard let newest = streams.last else {
                    return notices.isEmpty ? nil : try next(where: isWanted)
                }
                // The newest one's batch first, given out last.
                let wasUnread = newest.isUnrecognisable && newest.reader.readOffset == 0
                anythingGrew = try fill(newest)
                // It may have been copied and truncated before anything of it was read.
                if wasUnread && !newest.hasNoFirstLine { try openUnseen(newest) }
                phase = .drain(0)
            case .drain(let index):
                let stream = streams[index]
                let begin = stream.offset
                var missing: ClosedRange<UInt64>?
                var wanted = true
                let item = stream.next { record in
                    missing = gaps.look(at: record.runPosition, behind: stream.unknownParts)
                    wanted = isWanted(record)
                    return wanted || missing != nil
                }
                if let item {
                    place = StreamPlace(file: stream.number, begin: begin, end: stream.offset)
                    return followed(item, in: stream, behind: missing, isWanted: wanted)
                }
                if stream.offset > begin { return .passedOver }
                if index < streams.count - 1 {
                    let count = streams.count
                    // A copy of it may have come before it.
                    if try fill(stream) || streams.count > count {
                        anythingGrew = true
                    } else {
                        machine.readToEnd(stream.key)
                        phase = .drain(index + 1)
                    }
                    continue
                }
                phase = .look
                finishFiles()
                let isWaitedFor = machine.wantsReading || hasBacklog && !lookFailed
                guard anythingGrew || isWaitedFor || !notices.isEmpty else { return nil }
            }
        }
    }

    // MARK: Finding files

    private func lookForNewer() {
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
            lookFailed = false
        } catch {
            // Said once, not at each look: it may be there, unreadable, for long.
            if lastProblem != error.description { notices.append(error.description) }
            lastProblem = error.description
            lookFailed = true
            // What keeps it from being read may go without an event.
            isWatched = false
        }
    }

    /// All files of the stream; those that can't be read are told.
    func look() throws(SystemError) -> [FoundFile] {
        let (found, problems) = try files.look()
        for problem in problems.map(\.error.description) where unreadable.insert(problem).inserted {
            notices.append("\(problem): what is in it is passed over")
        }
        return try withoutCopies(found)
    }

    /// Opens the file at the path, and before it what rotation has put between it and the newest open one.
    private func openNewer() throws(SystemError) {
        // First all of those that are open, so that they can be closed.
        if hasBacklog && anythingGrew { return }
        let unread = streams.last.flatMap { $0.isUnrecognisable ? $0 : nil }
        learnFirstLines()
        if let unread { try openUnseen(unread) }
        // What was copied of it before it was truncated comes before it, not behind.
        if let newest = streams.last, try newest.judge() != .none { _ = try fill(newest) }
        try retryingWhereMoved { () throws(SystemError) in
            let found = try look()
            let newer = newer(in: found)
            // Something has to go on, however many are kept open.
            let count = max(1, Self.openFiles - machine.finishing)
            let streams = try open(
                newer.prefix(count).map {
                    ($0, done[SeenFile(fingerprint: $0.fingerprint, key: $0.key)] ?? 0)
                })
            note(found, without: newer.dropFirst(count).map(\.key))
            add(streams)
        }
    }

    /// Remembers what was found.
    ///
    /// - Parameter unopened: what of it is still to be opened.
    private func note(_ found: [FoundFile], without unopened: [FileKey]) {
        let left = Set(unopened)
        hasBacklog = !left.isEmpty
        seen = Set(
            found.filter { $0.firstLine != nil && !left.contains($0.key) }
                .map { SeenFile(fingerprint: $0.fingerprint, key: $0.key) })
        done = done.filter { seen.contains($0.key) }
    }

    private func open(_ found: [(file: FoundFile, offset: Int64)]) throws(SystemError) -> [OpenStream] {
        var streams: [OpenStream] = []
        for (file, offset) in found { streams.append(try OpenStream(file, offset: offset)) }
        return streams
    }

    // MARK: Open files

    private func add(_ newer: [OpenStream]) {
        guard !newer.isEmpty else { return }
        for stream in newer {
            number(stream)
            stream.unknownParts = unknownParts
        }
        streams += newer
        let now = MonotonicClock.nanoseconds()
        machine.opened(newer.map(\.key), now: now)
        for stream in newer where stream.firstLine != nil || stream.offset > 0 {
            machine.grew(stream.key, now: now)
            if stream.firstLine != nil { machine.recognisable(stream.key) }
            // Nobody writes into it any more.
            if stream.isCompressed { machine.answered(stream.key, .granted, now: now) }
        }
        let clock = Timestamp.now().seconds
        for (stream, next) in zip(newer, newer.dropFirst()) {
            // It was renamed before the next one was written to.
            let quiet = clock - max(stream.modified, next.modified).seconds - 1
            if quiet > 0 { machine.quiet(stream.key, since: now - min(now, UInt64(quiet) * 1_000_000_000)) }
        }
    }

    /// Asks which renamed files nobody writes into any more, and closes those that are done with.
    private func finishFiles() {
        guard streams.count > 1 else { return }
        let unasked = machine.unasked
        for stream in streams where unasked.contains(stream.key) {
            machine.answered(stream.key, ReadLease.probe(stream.descriptor.raw), now: turnBegan)
        }
        let finished = machine.finished(now: turnBegan)
        guard !finished.isEmpty else { return }
        for stream in streams where finished.contains(stream.key) && !stream.isCompressed {
            let file = SeenFile(fingerprint: stream.position.fingerprint, key: stream.key)
            done[file] = stream.offset
            // It may have had no line yet when it was seen.
            seen.insert(file)
        }
        if let last = streams.last(where: { finished.contains($0.key) && $0.firstLine != nil }) {
            lastFinished = (last.number, last.position)
        }
        streams.removeAll { finished.contains($0.key) }
    }

    private func sortStreams() {
        let order = machine.order
        streams.sort { (order.firstIndex(of: $0.key) ?? 0) < (order.firstIndex(of: $1.key) ?? 0) }
    }

    private func fill(_ stream: OpenStream) throws(SystemError) -> Bool {
        let truncation = try stream.judge()
        // Whatever fails is tried again: until all of it is known, nothing changes.
        let copies = truncation == .startOver ? try copies(of: stream, readUpTo: stream.position) : Copies()
        let grew = try stream.fill(after: truncation)
        switch truncation {
        case .none: break
        case .startOver:
            machine.beganAnew(stream.key, now: turnBegan)
            insert(copies, before: stream)
            beginAnew(stream)
            notices.append(
                copies.hasCopy
                    ? "\(stream.name) was copied and truncated: what was written between the two is lost"
                    : "\(stream.name) was truncated: what was not yet read of it is lost")
        case .lostItsEnd:
            beginAnew(stream)
            notices.append("\(stream.name) is shorter than what was read of it: going on at its end")
        }
        if let problem = stream.takeProblem() { notices.append(problem) }
        if grew { machine.grew(stream.key, now: MonotonicClock.nanoseconds()) }
        if stream.firstLine != nil { machine.recognisable(stream.key) }
        return grew
    }

    /// What comes now is another file, whatever its inode and its first line say: its places are not those from before.
    private func beginAnew(_ stream: OpenStream) {
        number(stream)
        truncated.insert(stream.number)
    }

    func number(_ stream: OpenStream) {
        stream.number = opened
        opened += 1
    }

    /// Says what was read at `place`, and first what is missing before it.
    private func followed(
        _ item: NotificationItem, in stream: OpenStream, behind missing: ClosedRange<UInt64>?, isWanted: Bool
    ) -> Followed {
        switch item {
        case .event(let event):
            guard let missing, let place else { return .event(event) }
            held = (event, place, isWanted)
            self.place = .gap(file: place.file, begin: place.begin)
            return .gap(StreamGap(missing, before: event))
        case .unreadable(let problem, let excerpt):
            return .unreadable(problem, excerpt: excerpt, file: stream.name)
        }
    }

    /// The path's directory, the one a symbolic link at the path leads to, and where rotated files lie besides.
    private func watchDirectories() {
        var directories: Set = [RotatedPlaces.target(of: Files.parentPath(of: path))]
        directories.insert(Files.parentPath(of: RotatedPlaces.target(of: path)))
        if hasRotatedPatterns { directories.formUnion(files.places.directories) }
        // All of them, also where the first one fails.
        isWatched = directories.map { watcher?.watch($0) ?? false }.allSatisfy { $0 }
    }
}
