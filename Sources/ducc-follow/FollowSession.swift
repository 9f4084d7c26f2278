// One run of the program: from where, to whom, and when the cursor moves.

import Delivery
import Following
import Glibc
import Notifications
import Platform

/// Follows one stream until its end, a signal, or a reader that leaves.
final class FollowSession {
    /// How often a cursor that only moved over unwanted events is saved.
    private static let idleSave: UInt64 = 1_000_000_000

    private let command: FollowCommand
    private let filter: ShortFilter
    private let cursorFile: CursorFile?
    private let follower: StreamFollower
    private let hook: AdHocHook?
    private var printer: EventPrinter
    private var saved: Cursor?
    private var lastSave: UInt64 = 0
    private var saidThatCursorFails = false
    private var isDelivering = false

    init(_ command: FollowCommand, watcher: DirectoryWatcher) throws {
        self.command = command
        let filter = ShortFilter(command)
        self.filter = filter
        printer = EventPrinter(format: command.format)
        hook = try AdHocHook(command)
        cursorFile = try command.cursor.map {
            try CursorFile(name: $0, state: UserState.path(command.state))
        }
        let stored = try cursorFile?.load()
        let start: StartPosition
        if let stored {
            start = .cursor(stored)
        } else if let since = command.since {
            start = .since(since.timestamp)
        } else if let lines = command.lines {
            start = .last(lines, matching: filter.matches)
        } else if command.noFollow {
            start = .beginning
        } else {
            start = hook == nil ? .last(10, matching: filter.matches) : .end
        }
        follower = try StreamFollower(path: command.file, start: start, watcher: watcher, poll: command.poll)
        saved = stored
    }

    func run() throws -> ExitStatusCode {
        if !follower.isThere && command.noFollow {
            Report.say("there is no stream \(command.file)")
            return .noStream
        }
        // Before anything is said: where a hook begins must not depend on when its first event comes.
        save()
        if !follower.isThere { Report.say("\(command.file) is not there yet: waiting for it") }
        do {
            try follow()
            save(force: true)
            return .done
        } catch let error as Interrupted {
            // An event whose delivery was interrupted was not acknowledged: the cursor stays before it.
            if isDelivering {
                if let saved { try cursorFile?.save(saved, force: true) }
            } else if (try? printer.flush()) != nil {
                save(force: true)
            }
            return .interrupted(error)
        } catch let error as OutputError where error.isReaderGone {
            return .done
        }
    }

    private func follow() throws {
        while true {
            try Interruption.check()
            guard let followed = try follower.next(where: filter.matches) else {
                try settle()
                if command.noFollow { return }
                try follower.wait()
                continue
            }
            switch followed {
            case .notice(let text): Report.say(text)
            case .gap(let gap): Report.say("\(gap)")
            case .unreadable(let problem, let excerpt, let file):
                Report.say("\(file): a line is no event, it \(problem): \(excerpt)")
            case .event(let event): try handle(event)
            case .passedOver: try settle()
            }
        }
    }

    private func handle(_ event: Event) throws {
        if let hook, let place = follower.place {
            isDelivering = true
            try hook.deliver(event, at: place)
            isDelivering = false
            follower.lastEventIdentifier = event.identifier
            // Before the next delivery begins: whatever happens then, this one is not repeated.
            save()
            return
        }
        printer.add(event)
        follower.lastEventIdentifier = event.identifier
        if printer.isFull { try settle() }
    }

    /// Everything that was read is done: the cursor may move here.
    private func settle() throws {
        let hadOutput = !printer.isEmpty
        try printer.flush()
        if hadOutput || MonotonicClock.nanoseconds() - lastSave >= Self.idleSave { save() }
    }

    private func save(force: Bool = false) {
        guard let cursorFile else { return }
        let cursor = follower.cursor
        if cursor == saved && !force { return }
        do throws(CursorError) {
            try cursorFile.save(cursor, force: force)
            saved = cursor
            lastSave = MonotonicClock.nanoseconds()
            saidThatCursorFails = false
        } catch {
            // An event that is repeated after a restart is better than one that isn't delivered now.
            if !saidThatCursorFails { Report.say(error.description) }
            saidThatCursorFails = true
        }
    }
}
