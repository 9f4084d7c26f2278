// Hooks that are at the same place of the stream read it together: a hundred of them cost about what one does. One that
// can't keep up is left behind with a reader of its own, and comes back when it has caught up.

import Following
import Notifications
import Platform

/// A hook of a daemon with what belongs to it.
final class HookState {
    let runner: any HookRunner
    let cursorFile: CursorFile
    var own = OwnEvents()
    var saved: Cursor?
    var lastSave: UInt64 = 0
    /// Whether it was read on since its cursor was saved.
    var hasMoved = false
    var saidThatCursorFails = false
    /// What was noted of it for `status`.
    var trouble: HookTrouble?
    /// Whether the state says that it is paused.
    var isNotedAsPaused: Bool
    /// Whether it was told of events in an earlier run.
    let isResumed: Bool
    /// The cursor's files that it did something in beyond its place, until its reader knows of that.
    var doneBefore: [Cursor.File]

    init(_ runner: any HookRunner, _ cursorFile: CursorFile, saved: Cursor?) {
        self.runner = runner
        self.cursorFile = cursorFile
        self.saved = saved
        isResumed = saved != nil
        isNotedAsPaused = runner.isPaused
        doneBefore = saved?.files.filter { $0.done != nil } ?? []
    }

    var name: String { runner.hook.name }

    /// Whether an event that matches its filter is for it; it is taken note of, for those that it causes.
    func wants(_ event: Event) -> Bool {
        if !runner.hook.ownEvents, let cause = event.causedBy, own.contains(cause) { return false }
        own.note(event.identifier)
        return true
    }

    /// Where it goes on, or begins; nil: at the end.
    var start: Cursor? {
        guard var cursor = saved else { return runner.hook.from == .end ? nil : Cursor() }
        // What it did beyond is its own; the rest may be another hook's place too.
        cursor.lastEventIdentifier = nil
        for index in cursor.files.indices { cursor.files[index].done = nil }
        return cursor
    }
}

/// Gives each file of the stream one number, whoever reads it.
final class FileNumbers {
    private var numbers: [String: Int] = [:]
    /// Of files that have no first line yet, by their inodes.
    private var nameless: [UInt64: Int] = [:]
    private var next = 0

    /// A file's number; the same as long as it has its first line and its inode.
    func number(of file: Cursor.File) -> Int {
        let known = file.fingerprint.isEmpty ? nameless[file.inode] : numbers[name(of: file)]
        return known ?? renew(file)
    }

    /// Another number, for what a file holds since it was truncated.
    func renew(_ file: Cursor.File) -> Int {
        next += 1
        set(next, for: file)
        return next
    }

    /// A file has another inode by now, it was compressed or copied; or it got its first line.
    func note(_ file: Cursor.File, is number: Int) {
        if !file.fingerprint.isEmpty { set(number, for: file) }
    }

    private func name(of file: Cursor.File) -> String { "\(file.inode) \(file.fingerprint)" }

    private func set(_ number: Int, for file: Cursor.File) {
        guard !file.fingerprint.isEmpty else { return nameless[file.inode] = number }
        numbers[name(of: file)] = number
        // Whatever is without a first line later, at that inode too, is another file.
        nameless = nameless.filter { $0.value != number }
    }
}

/// Hooks that read together.
final class HookGroup {
    private let follower: StreamFollower
    private let numbers: FileNumbers
    private(set) var hooks: [HookState]
    private var index: FilterIndex
    /// The daemon's numbers of the follower's files.
    private var known: [Int: Int] = [:]
    /// Whether everything there is was read.
    private(set) var isAtEnd = false
    /// Whether a hook was found full since the reading began: only one that was given something can become it.
    private var becameFull = false
    /// What it costs to read a buffer full of unwanted events, in events.
    private static let passedOver = 200

    /// - Parameter follower: opens the stream; what it says of events before the start is what hooks were told of.
    init(
        _ hooks: [HookState], _ numbers: FileNumbers,
        _ follower: (_ before: (Event) -> Void) throws(SystemError) -> StreamFollower
    ) throws(SystemError) {
        self.hooks = hooks
        self.numbers = numbers
        var index = FilterIndex(hooks.map(\.runner.hook.filter))
        self.follower = try follower { event in
            if let cause = event.causedBy {
                for hook in hooks { hook.own.follow(event.identifier, from: cause) }
            }
            index.hooks(for: event).forEach { position in
                if hooks[position].isResumed { _ = hooks[position].wants(event) }
            }
        }
        self.index = index
        resume()
    }

    /// Hooks of another group, left behind where it is.
    init(_ hooks: [HookState], leaving other: HookGroup) {
        self.hooks = hooks
        numbers = other.numbers
        known = other.known
        index = FilterIndex(hooks.map(\.runner.hook.filter))
        follower = StreamFollower(from: other.follower)
        other.hooks.removeAll { hook in hooks.contains { $0 === hook } }
        other.index = FilterIndex(other.hooks.map(\.runner.hook.filter))
    }

    /// Files keep their numbers, and hooks what they did beyond their places; but not behind a file's end, where what
    /// comes is new: the file lost its end.
    private func resume() {
        for file in follower.resumed {
            let number = numbers.number(of: file.saved)
            numbers.note(file.position, is: number)
            for hook in hooks {
                let done = hook.doneBefore.first {
                    $0.fingerprint == file.saved.fingerprint && $0.inode == file.saved.inode
                }
                hook.runner.skip((done?.done ?? []).filter { $0 <= file.end }, in: number)
            }
        }
        for hook in hooks { hook.doneBefore = [] }
    }

    /// How far its files were read.
    var reading: [(file: Int, position: Cursor.File)] {
        follower.positions.map { file, position in
            let number = number(of: file, at: position)
            if position.fingerprint.isEmpty { return (number, position) }
            known[file] = number
            // A copy that is read in the place of a truncated file has its number.
            numbers.note(position, is: number)
            return (number, position)
        }
    }

    /// The daemon's number of a follower's file.
    private func number(of file: Int, at position: Cursor.File) -> Int {
        if let number = known[file] { return number }
        guard follower.truncated.contains(file) else { return numbers.number(of: position) }
        let number = numbers.renew(position)
        known[file] = number
        return number
    }

    /// Notes in a cursor what its files have before its offsets.
    func mark(_ cursor: inout Cursor) { follower.mark(&cursor) }

    /// When it is to be read again although nothing happened.
    var deadline: UInt64? { restsUntil > 0 ? restsUntil : follower.deadline }

    /// Until when it isn't read, of `MonotonicClock`: something couldn't be.
    var restsUntil: UInt64 = 0

    /// Whether one of its hooks can take no more.
    var isHeldUp: Bool { hooks.contains { $0.runner.isFull } }

    /// Reads, until there is nothing more, or a hook can take no more.
    ///
    /// - Parameters:
    ///   - most: how many items at a time, so that deliveries don't wait.
    ///   - notice: told of what a person should know.
    /// - Throws: `SystemError` where an open file can't be read.
    func read(most: Int, notice: (String) -> Void) throws(SystemError) {
        isAtEnd = false
        restsUntil = 0
        var moved = false
        defer { if moved { for hook in hooks { hook.hasMoved = true } } }
        var rest = most
        becameFull = isHeldUp
        while rest > 0, !becameFull {
            rest -= 1
            var wanted: FilterIndex.Hooks?
            let followed = try follower.next { record in
                // Also what a hook doesn't want may lead to something that it does.
                if let cause = record[.causedBy], let identifier = record[.eventIdentifier] {
                    for hook in hooks { hook.own.follow(identifier, from: cause) }
                }
                let found = index.hooks(for: record)
                wanted = found
                return !found.isEmpty
            }
            guard let followed else {
                isAtEnd = true
                return
            }
            moved = true
            switch followed {
            case .passedOver: rest -= Self.passedOver
            case .notice(let text): notice(text)
            case .unreadable(let problem, let excerpt, let file):
                notice("\(file): a line is no event, it \(problem): \(excerpt)")
            case .gap(let gap):
                notice("\(gap)")
                guard let event = gap.event, let place = follower.place else { continue }
                for hook in hooks where hook.runner.hook.gaps {
                    hook.own.note(event.identifier)
                    offer(event, at: place, to: hook)
                }
            case .event(let event):
                guard let place = follower.place else { continue }
                // One that was held back behind a gap was not looked at now.
                (wanted ?? index.hooks(for: event)).forEach { position in
                    if hooks[position].wants(event) { offer(event, at: place, to: hooks[position]) }
                }
            }
        }
    }

    private func offer(_ event: Event, at place: StreamPlace, to hook: HookState) {
        hook.runner.offer(event, at: numbered(place)) { position(of: place) }
        if hook.runner.isFull { becameFull = true }
    }

    private func numbered(_ place: StreamPlace) -> StreamPlace {
        let file =
            known[place.file] ?? position(of: place).map { number(of: place.file, at: $0) } ?? place.file
        known[place.file] = file
        return StreamPlace(file: file, begin: place.begin, end: place.end)
    }

    private func position(of place: StreamPlace) -> Cursor.File? {
        follower.positions.first { $0.file == place.file }?.position
    }

    /// Takes hooks out.
    func remove(_ leaving: [HookState]) {
        hooks.removeAll { hook in leaving.contains { $0 === hook } }
        index = FilterIndex(hooks.map(\.runner.hook.filter))
    }

    /// Takes the hooks of another group, which is at the same place.
    func take(_ other: HookGroup) {
        hooks += other.hooks
        follower.learn(from: other.follower)
        index = FilterIndex(hooks.map(\.runner.hook.filter))
    }

    /// Whether both have read everything, up to the same place.
    func isLevel(with other: HookGroup) -> Bool {
        guard isAtEnd, other.isAtEnd else { return false }
        func open(_ follower: StreamFollower) -> [(file: Int, position: Cursor.File)] {
            follower.positions.filter { !$0.position.isFinished }
        }
        // A file has the name that it was opened by.
        return open(follower).elementsEqual(open(other.follower)) {
            let (one, two) = ($0.position, $1.position)
            return one.fingerprint == two.fingerprint && one.inode == two.inode && one.offset == two.offset
        }
    }
}
