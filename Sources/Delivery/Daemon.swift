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
    /// How many items a group reads before the programs are looked after again.
    private static let batch = 2000
    /// How often a cursor is saved that only passed events which its hook doesn't want.
    private static let idleSave: UInt64 = 1_000_000_000
    /// How often that of a hook is saved which acknowledges many at a time, or after how many of them.
    private static let busySave: UInt64 = 200_000_000
    private static let busyCount = 1000

    private let configuration: Configuration
    private let watcher: DirectoryWatcher
    private let state: StateDirectory
    private let log: DeliveryLog
    private let numbers = FileNumbers()
    private var groups: [HookGroup] = []
    private let requests: RequestBox
    private let watchesRequests: Bool
    /// Held as long as this lives.
    private let lock: StateDirectory.Lock

    /// Takes the state directory and opens the stream for each hook; a hook without a cursor gets one.
    ///
    /// - Throws: `StateError`, `HookError`, `CursorError`, `SystemError` where the stream can't be read.
    package init(_ configuration: Configuration, watcher: DirectoryWatcher, log: DeliveryLog) throws {
        self.configuration = configuration
        self.watcher = watcher
        self.log = log
        state = StateDirectory(configuration.state)
        lock = try state.lock()
        requests = RequestBox(state)
        // Without a watch they are looked at whenever anything else happens, and once a second.
        watchesRequests = watcher.watch(requests.directory)
        var starts: [(start: Cursor?, beginning: HookConfiguration.Beginning, hooks: [HookState])] = []
        for hook in configuration.hooks {
            let file = try CursorFile(name: hook.name, state: configuration.state)
            let saved = try file.load()
            let runner = try Self.runner(hook, state: configuration.state, saved, log)
            runner.isPaused = state.isPaused(hook.name)
            for file in saved?.files ?? [] { runner.skip(file.done ?? [], in: numbers.number(of: file)) }
            let hookState = HookState(runner, file, saved: saved)
            var start = saved
            start?.lastEventIdentifier = nil
            for index in start?.files.indices ?? 0..<0 { start?.files[index].done = nil }
            if let index = starts.firstIndex(where: {
                $0.start == start && (start != nil || $0.beginning == hook.from)
            }) {
                starts[index].hooks.append(hookState)
            } else {
                starts.append((start, hook.from, [hookState]))
            }
        }
        for (start, beginning, hooks) in starts {
            let position =
                start.map { StartPosition.cursor($0) }
                ?? (beginning == .end ? .end : .cursor(Cursor()))
            groups.append(HookGroup(try follower(position), hooks, numbers))
        }
        // Where a hook begins must not depend on when its first event comes.
        for group in groups { for hook in group.hooks { save(hook, in: group, force: true) } }
    }

    private func follower(_ start: StartPosition) throws(SystemError) -> StreamFollower {
        try StreamFollower(
            path: configuration.stream, rotated: configuration.rotated, start: start, watcher: watcher,
            rotateWait: configuration.rotateWait)
    }

    private static func runner(
        _ hook: HookConfiguration, state: String, _ saved: Cursor?, _ log: DeliveryLog
    ) throws(HookError) -> any HookRunner {
        let letters = DeadLetters(hook: hook.name, state: state)
        let last = saved?.lastEventIdentifier
        switch hook.target {
        case .exec:
            return try ExecRunner(hook, letters: letters, lastEventIdentifier: last, log: log)
        case .pipe:
            return try PipeRunner(hook, letters: letters, lastEventIdentifier: last, log: log)
        }
    }

    /// Works until a signal asks for the end.
    ///
    /// - Parameters:
    ///   - interval: nanoseconds after which `keepAlive` is called again; nil: never.
    ///   - keepAlive: tells whoever watches that this goes on.
    package func run(keepAliveEvery interval: UInt64? = nil, keepAlive: () -> Void = {}) {
        while Interruption.signal == nil {
            let now = MonotonicClock.nanoseconds()
            look(now: now)
            answerRequests()
            var isBusy = false
            for group in groups { if read(group) { isBusy = true } }
            regroup()
            saveCursors(now: now)
            for hook in hooks { hook.runner.work(now: now) }
            if let interval, now >= nextKeepAlive {
                keepAlive()
                nextKeepAlive = now + interval
            }
            if !isBusy { wait(now: now, keepsAlive: interval != nil) }
        }
        stop()
    }

    private var hooks: [HookState] { groups.flatMap(\.hooks) }

    // MARK: Reading

    private var lastProblem = ""
    private var nextKeepAlive: UInt64 = 0

    /// - Returns: whether there may be more at once.
    private func read(_ group: HookGroup) -> Bool {
        do throws(SystemError) {
            try group.read(most: Self.batch) { log(.warning, $0) }
            lastProblem = ""
        } catch {
            // It may be mended; said once, not at each turn.
            if lastProblem != error.description { log(.error, error.description) }
            lastProblem = error.description
            return false
        }
        return !group.isAtEnd && !group.isHeldUp
    }

    /// Leaves those behind that hold others up, and joins those that are at the same place again.
    private func regroup() {
        for group in groups where group.hooks.count > 1 && group.isHeldUp {
            let slow = group.hooks.filter { $0.runner.isFull }
            guard slow.count < group.hooks.count else { continue }
            for hook in slow {
                do throws(SystemError) {
                    let own = HookGroup(try follower(.cursor(group.cursor)), [hook], numbers)
                    group.remove([hook])
                    groups.append(own)
                } catch { log(.error, error.description) }
            }
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

    // MARK: Cursors

    private func saveCursors(now: UInt64) {
        for group in groups {
            for hook in group.hooks where isDue(hook, now: now) { save(hook, in: group, force: false) }
        }
    }

    private func isDue(_ hook: HookState, now: UInt64) -> Bool {
        saveDeadline(hook).map { now >= $0 } ?? false
    }

    /// When a hook's cursor is to be saved; nil where it has nothing new.
    private func saveDeadline(_ hook: HookState) -> UInt64? {
        let finished = hook.runner.finished
        if finished > 0 {
            if case .exec = hook.runner.hook.target { return 0 }
            return finished >= Self.busyCount ? 0 : hook.lastSave + Self.busySave
        }
        return hook.hasMoved ? hook.lastSave + Self.idleSave : nil
    }

    private func save(_ hook: HookState, in group: HookGroup, force: Bool) {
        let cursor = hook.runner.cursor(reading: group.reading)
        hook.hasMoved = false
        hook.lastSave = MonotonicClock.nanoseconds()
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

    private func look(now: UInt64) { for hook in hooks { hook.runner.look(now: now) } }

    private func wait(now: UInt64, keepsAlive: Bool) {
        var ends = watchesRequests ? [] : [now + Self.idleSave]
        if keepsAlive { ends.append(nextKeepAlive) }
        ends += groups.filter { !$0.isHeldUp }.compactMap(\.deadline)
        for hook in hooks {
            ends += [hook.runner.deadline, saveDeadline(hook)].compactMap { $0 }
        }
        var descriptors = [
            pollfd(fd: Interruption.descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: watcher.descriptor ?? -1, events: Int16(POLLIN), revents: 0),
        ]
        for hook in hooks { descriptors += hook.runner.descriptors }
        // A millisecond more than the rest, so that the time has really come.
        let timeout = ends.min().map { CInt(min(($0 > now ? $0 - now : 0) / 1_000_000 + 1, 1 << 30)) } ?? -1
        poll(&descriptors, nfds_t(descriptors.count), timeout)
        if descriptors[1].revents != 0 { _ = watcher.drain() }
    }

    // MARK: The end

    /// Nothing new is begun; what runs gets its grace; then the cursors are saved.
    private func stop() {
        let limit = MonotonicClock.nanoseconds() + UInt64(configuration.shutdownGrace * 1e9)
        for hook in hooks { hook.runner.stop(limit: limit) }
        while hooks.contains(where: { !$0.runner.hasStopped }) {
            var descriptors = hooks.flatMap(\.runner.descriptors)
            let now = MonotonicClock.nanoseconds()
            let end = hooks.compactMap(\.runner.deadline).min() ?? now + 100_000_000
            poll(
                &descriptors, nfds_t(descriptors.count),
                CInt(min((end > now ? end - now : 0) / 1_000_000 + 1, 1000)))
            look(now: MonotonicClock.nanoseconds())
        }
        for group in groups { for hook in group.hooks { save(hook, in: group, force: true) } }
    }

    // MARK: Requests

    /// Dead letters come back as events that lie nowhere in the stream. They leave their file when they are done with.
    private func replay(_ request: Request, _ hook: HookState) throws(RequestError) {
        let letters: [DeadLetter]
        do throws(SystemError) { letters = try DeadLetters(hook: hook.name, state: state.path).all() } catch {
            throw RequestError(error.description)
        }
        for identifier in request.identifiers {
            guard let letter = letters.last(where: { $0.event.identifier == identifier }) else {
                throw RequestError("\(hook.name) has no dead letter \(identifier)")
            }
            hook.own.note(identifier)
            hook.runner.offer(letter.event, at: nil) { nil }
            log(.info, "replayed", [("hook", hook.name), ("event", identifier)])
        }
    }

    private func answerRequests() {
        requests.answer { [self] request throws(RequestError) in
            guard let hook = hooks.first(where: { $0.name == request.hook }) else {
                throw RequestError("there is no hook '\(request.hook)'")
            }
            switch request.action {
            case .pause, .resume:
                do throws(SystemError) { try state.setPaused(hook.name, request.action == .pause) } catch {
                    throw RequestError(error.description)
                }
                hook.runner.isPaused = request.action == .pause
                log(.info, request.action == .pause ? "paused" : "resumed", [("hook", hook.name)])
            case .replay: try replay(request, hook)
            case .drop:
                do throws(SystemError) {
                    try DeadLetters(hook: hook.name, state: state.path).remove(Set(request.identifiers))
                } catch { throw RequestError(error.description) }
                log(.info, "dropped \(request.identifiers.count) dead letters", [("hook", hook.name)])
            }
        }
    }
}
