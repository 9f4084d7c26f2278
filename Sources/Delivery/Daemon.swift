// Many hooks on one stream, in one thread: it reads, hands out, watches the programs and saves cursors, and waits for
// whichever of them has something to do.
//
// The order of one turn is what it promises: what was finished is in the cursors (saved) before anything else is begun,
// so that a process that is killed repeats what was running and nothing else.

import Following
import Glibc
import Notifications
import Platform

/// Delivers a stream's events to hooks.
package final class Daemon {
    /// How much is done at a time.
    package struct Limits: Sendable {
        /// How many items a group reads before the programs are looked after again.
        package var batch = 2000
        /// How many events of an `exec` hook wait at the most.
        package var waiting = 1000
        /// How many events of a `pipe` hook may be without an acknowledgement.
        package var unacknowledged = 20_000

        package init() {}
    }

    /// How long until a file that can't be read is tried again.
    private static let readPause: UInt64 = 1_000_000_000
    /// How often a cursor is saved that only passed events which its hook doesn't want.
    private static let idleSave: UInt64 = 1_000_000_000
    /// How often that of a hook is saved which acknowledges many at a time, or after how many of them.
    private static let busySave: UInt64 = 200_000_000
    private static let busyCount = 1000

    var configuration: Configuration
    private let watcher: DirectoryWatcher?
    let state: StateDirectory
    let log: DeliveryLog
    private let limits: Limits
    /// `MonotonicClock`, or a test's.
    let clock: () -> UInt64
    private let numbers = FileNumbers()
    var groups: [HookGroup] = []
    /// Hooks that end what they have begun, to be configured in another way.
    var leaving: [LeavingHook] = []
    /// Hooks that begin as soon as one of their name has left.
    var coming: [HookConfiguration] = []
    /// When those are tried again that could not begin.
    var comingAfter: UInt64 = 0
    /// By hook.
    var letters: [String: DeadLetters] = [:]
    let requests: RequestBox
    private let watchesRequests: Bool
    var isReloading = false
    /// Held as long as this lives.
    private let lock: StateDirectory.Lock

    /// Takes the state directory and opens the stream for each hook; a hook without a cursor gets one.
    ///
    /// - Throws: `StateError`, `HookError`, `CursorError`, `SystemError` where the stream can't be read.
    package init(
        _ configuration: Configuration, watcher: DirectoryWatcher?, log: DeliveryLog,
        limits: Limits = Limits(),
        clock: @escaping () -> UInt64 = MonotonicClock.nanoseconds
    ) throws {
        self.configuration = configuration
        self.watcher = watcher
        self.log = log
        self.limits = limits
        self.clock = clock
        state = StateDirectory(configuration.state)
        lock = try state.lock(patience: 2000)
        requests = RequestBox(state)
        // Without a watch they are looked at whenever anything else happens, and from time to time.
        watchesRequests = watcher?.watch(requests.directory) ?? false
        try begin(try configuration.hooks.map { hook in try open(hook) })
    }

    /// A hook with its cursor and its runner, not yet reading.
    func open(_ hook: HookConfiguration) throws -> HookState {
        let file = try CursorFile(name: hook.name, state: configuration.state)
        let saved = try file.load()
        let letters = letters(of: hook.name)
        letters.takeBack()
        let runner: any HookRunner =
            switch hook.target {
            case .exec:
                try ExecRunner(hook, letters: letters, saved: saved, log: log, capacity: limits.waiting)
            case .pipe:
                try PipeRunner(hook, letters: letters, saved: saved, log: log, window: limits.unacknowledged)
            }
        runner.isPaused = state.isPaused(hook.name)
        state.note(nil, of: hook.name)
        return HookState(runner, file, saved: saved)
    }

    /// Lets hooks read from where they are; those that are at the same place read together.
    ///
    /// - Throws: `SystemError`; then those of them that no group has don't read.
    func begin(_ hooks: [HookState]) throws(SystemError) {
        var starts: [(start: Cursor?, hooks: [HookState])] = []
        for hook in hooks {
            if let index = starts.firstIndex(where: { $0.start == hook.start }) {
                starts[index].hooks.append(hook)
            } else {
                starts.append((hook.start, [hook]))
            }
        }
        for (start, hooks) in starts {
            let group = try group(of: hooks, from: start.map { StartPosition.cursor($0) } ?? .end)
            groups.append(group)
            // Where a hook begins must not depend on when its first event comes.
            for hook in hooks { save(hook, group.reading, in: group, force: true) }
        }
    }

    private func group(of hooks: [HookState], from start: StartPosition) throws(SystemError) -> HookGroup {
        try HookGroup(hooks, numbers) { before throws(SystemError) in
            try StreamFollower(
                path: configuration.stream, rotated: configuration.rotated, start: start, watcher: watcher,
                rotateWait: configuration.rotateWait, before: before)
        }
    }

    // MARK: Running

    /// What a daemon says to whoever started it.
    package struct Supervision {
        /// Nanoseconds after which `keepAlive` is called again; nil: never.
        package var interval: UInt64?
        /// This goes on.
        package var keepAlive: () -> Void = {}
        /// SIGHUP came.
        package var hangUp: () -> Void = {}
        /// The end was asked for.
        package var stopping: () -> Void = {}

        package init() {}
    }

    /// Works until a signal asks for the end.
    package func run(_ supervision: Supervision) {
        var next: UInt64?
        func keepAlive(now: UInt64) {
            guard let interval = supervision.interval, now >= next ?? 0 else { return }
            supervision.keepAlive()
            next = now + interval
        }
        while Interruption.signal == nil {
            if HangUp.take() { supervision.hangUp() }
            let now = clock()
            let isBusy = turn(now: now)
            keepAlive(now: now)
            if !isBusy { wait(until: next) }
        }
        supervision.stopping()
        stop { now in
            keepAlive(now: now)
            return next
        }
    }

    /// Does what there is to do now.
    ///
    /// - Parameter now: of `MonotonicClock`.
    /// - Returns: whether there may be more at once.
    package func turn(now: UInt64) -> Bool {
        for hook in hooks { hook.runner.look(now: now) }
        succeed()
        answerRequests()
        replay()
        writeLetters(now: now)
        var isBusy = false
        for group in groups where now >= group.restsUntil && read(group) { isBusy = true }
        regroup()
        for group in groups {
            for hook in group.hooks where saveDeadline(hook).map({ now >= $0 }) ?? false {
                save(hook, group.reading, in: group, force: false)
            }
        }
        for hook in hooks {
            hook.runner.work(now: now)
            let trouble = hook.runner.trouble
            if trouble != hook.trouble { state.note(trouble, of: hook.name) }
            hook.trouble = trouble
            notePause(of: hook)
        }
        return isBusy
    }

    /// The hooks at work, those that leave included.
    package var runners: [any HookRunner] { hooks.map(\.runner) }

    var hooks: [HookState] { groups.flatMap(\.hooks) + leaving.map(\.hook) }

    // MARK: Reading

    private var lastProblem = ""

    /// - Returns: whether there may be more at once.
    private func read(_ group: HookGroup) -> Bool {
        do throws(SystemError) {
            try group.read(most: limits.batch) { log(.warning, $0) }
            lastProblem = ""
        } catch {
            // It may be mended; said once, not at each turn.
            if lastProblem != error.description { log(.error, error.description) }
            lastProblem = error.description
            group.restsUntil = clock() + Self.readPause
            return false
        }
        return !group.isAtEnd && !group.isHeldUp
    }

    /// Leaves those behind that hold others up, and joins those that are at the same place again.
    private func regroup() {
        for group in groups where group.hooks.count > 1 && group.isHeldUp {
            let slow = group.hooks.filter { $0.runner.isFull }
            guard slow.count < group.hooks.count else { continue }
            for hook in slow { groups.append(HookGroup([hook], leaving: group)) }
        }
        var index = groups.count - 1
        while index > 0 {
            if let other = groups[..<index].first(where: { $0.isLevel(with: groups[index]) }) {
                other.take(groups[index])
                groups.remove(at: index)
            }
            index -= 1
        }
    }

    /// A hook that has stopped at an event is paused for the next daemon too.
    private func notePause(of hook: HookState) {
        guard hook.runner.isPaused != hook.isNotedAsPaused else { return }
        do throws(SystemError) {
            try state.setPaused(hook.name, hook.runner.isPaused)
            hook.isNotedAsPaused = hook.runner.isPaused
        } catch { log(.error, error.description, [("hook", hook.name)]) }
    }

    // MARK: Cursors

    /// When a hook's cursor is to be saved; nil where it has nothing new.
    private func saveDeadline(_ hook: HookState) -> UInt64? {
        let finished = hook.runner.finished
        if finished > 0 {
            if case .exec = hook.runner.hook.target { return 0 }
            return finished >= Self.busyCount ? 0 : hook.lastSave + Self.busySave
        }
        return hook.hasMoved ? hook.lastSave + Self.idleSave : nil
    }

    /// - Parameter reading: how far a hook was read for, by a group.
    func save(
        _ hook: HookState, _ reading: [(file: Int, position: Cursor.File)], in group: HookGroup, force: Bool
    ) {
        var cursor = hook.runner.cursor(reading: reading)
        group.mark(&cursor)
        hook.hasMoved = false
        hook.lastSave = clock()
        if cursor == hook.saved && !force {
            hook.runner.finished = 0
            return
        }
        do throws(CursorError) {
            try hook.cursorFile.save(cursor, force: force)
            hook.saved = cursor
            hook.runner.finished = 0
            hook.saidThatCursorFails = false
        } catch {
            // An event that is repeated after a restart is better than one that isn't delivered now.
            if !hook.saidThatCursorFails { log(.error, error.description, [("hook", hook.name)]) }
            hook.saidThatCursorFails = true
            hook.runner.finished = 0
        }
    }

    // MARK: Waiting

    /// Waits until there may be something to do.
    ///
    /// - Parameter limit: of `MonotonicClock`; not longer than until then.
    package func wait(until limit: UInt64? = nil) {
        let now = clock()
        var ends = [limit, watchesRequests ? nil : now + Self.idleSave].compactMap { $0 }
        ends += groups.filter { !$0.isHeldUp }.compactMap(\.deadline)
        for group in groups { ends += group.hooks.compactMap(saveDeadline) }
        ends += hooks.compactMap(\.runner.deadline)
        if !coming.isEmpty, comingAfter > 0 { ends.append(comingAfter) }
        ends += letters.values.compactMap(\.deadline)
        let watched = watcher?.descriptor ?? -1
        if wait(until: ends, [watched, Interruption.descriptor, HangUp.descriptor]) { _ = watcher?.drain() }
    }

    /// - Returns: whether something happened at the first descriptor.
    @discardableResult
    private func wait(until ends: [UInt64], _ descriptors: [CInt]) -> Bool {
        var descriptors = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        for hook in hooks { descriptors += hook.runner.descriptors }
        let now = clock()
        // A millisecond more than the rest, so that the time has really come.
        let timeout = ends.min().map { CInt(min(($0 > now ? $0 - now : 0) / 1_000_000 + 1, 1 << 30)) } ?? -1
        return poll(&descriptors, nfds_t(descriptors.count), timeout) > 0 && descriptors[0].revents != 0
    }

    // MARK: The end

    /// Nothing new is begun; what runs gets its grace; then the cursors are saved.
    ///
    /// - Parameter meanwhile: called now and then, says when it wants to be called again.
    package func stop(_ meanwhile: (_ now: UInt64) -> UInt64? = { _ in nil }) {
        let limit = clock() + UInt64(configuration.shutdownGrace * 1e9)
        for hook in hooks { hook.runner.stop(limit: limit) }
        while hooks.contains(where: { !$0.runner.hasStopped }) {
            let next = meanwhile(clock())
            let ends =
                hooks.compactMap(\.runner.deadline) + [next, clock() + Self.idleSave].compactMap { $0 }
            wait(until: ends, [-1])
            let now = clock()
            refuseRequests()
            for hook in hooks { hook.runner.look(now: now) }
        }
        for group in groups {
            for hook in group.hooks { save(hook, group.reading, in: group, force: true) }
        }
        for each in leaving { save(each) }
        writeLetters()
    }
}
