// Going on with another configuration (SIGHUP), or from another place of the stream, hook by hook: as if only those that
// change had been stopped and started again.

import Following
import Platform

/// A hook that ends what it has begun, to go on in another way or from another place, or not at all.
struct LeavingHook {
    /// Where whatever succeeds it goes on.
    enum Continuation {
        case whereItIs
        case at(Cursor)
        /// As a hook that has no cursor.
        case anew
    }

    let hook: HookState
    /// How far it was read for it.
    let reading: [(file: Int, position: Cursor.File)]
    /// Who has read it.
    let group: HookGroup
    var continuation = Continuation.whereItIs
}

extension Daemon {
    /// How long until a hook that could not begin is tried again.
    private static let comingPause: UInt64 = 5_000_000_000

    /// Goes on with another configuration: a hook that is the same in both goes on undisturbed; one that is not ends what
    /// it has begun, as at a stop, and goes on from its cursor as it is configured now.
    ///
    /// - Throws: `ConfigurationError`; then all goes on as it was.
    package func reload(_ new: Configuration) throws(ConfigurationError) {
        var mistakes: [String] = []
        if new.state != configuration.state {
            mistakes.append(
                "state is \(configuration.state) as long as the daemon runs: restart it for \(new.state)")
        }
        for hook in new.hooks {
            do throws(HookError) { _ = try HookCommand(hook) } catch {
                mistakes.append("hook \(hook.name): \(error)")
            }
        }
        do throws(SystemError) {
            _ = try StreamFollower(path: new.stream, rotated: new.rotated, start: .end, watcher: nil)
        } catch { mistakes.append("stream: \(error)") }
        guard mistakes.isEmpty else { throw ConfigurationError(mistakes: mistakes) }
        let isElsewhere =
            (new.stream, new.rotated, new.rotateWait)
            != (configuration.stream, configuration.rotated, configuration.rotateWait)
        configuration = new
        leave { isElsewhere || !new.hooks.contains($0.runner.hook) }
        let running = groups.flatMap(\.hooks).map(\.name)
        coming = new.hooks.filter { !running.contains($0.name) }
        isReloading = true
    }

    /// Lets a hook go on from another place, as soon as it has ended what it has begun.
    func move(_ hook: HookState, to continuation: LeavingHook.Continuation) {
        leave { $0 === hook }
        guard let index = leaving.firstIndex(where: { $0.hook === hook }) else { return }
        leaving[index].continuation = continuation
        if !coming.contains(where: { $0.name == hook.name }) {
            coming += configuration.hooks.filter { $0.name == hook.name }
        }
    }

    private func leave(where isLeaving: (HookState) -> Bool) {
        let limit = clock() + UInt64(configuration.shutdownGrace * 1e9)
        for group in groups {
            let hooks = group.hooks.filter(isLeaving)
            for hook in hooks {
                hook.runner.stop(limit: limit)
                leaving.append(LeavingHook(hook: hook, reading: group.reading, group: group))
            }
            group.remove(hooks)
        }
        groups.removeAll { $0.hooks.isEmpty }
    }

    /// Keeps where a hook that has ended, or has to, is succeeded.
    func save(_ each: LeavingHook) {
        switch each.continuation {
        case .whereItIs: save(each.hook, each.reading, in: each.group, force: true)
        case .at(let cursor):
            do throws(CursorError) { try each.hook.cursorFile.save(cursor, force: true) } catch {
                log(.error, error.description, [("hook", each.hook.name)])
            }
        case .anew:
            do throws(CursorError) { try each.hook.cursorFile.remove() } catch {
                log(.error, error.description, [("hook", each.hook.name)])
            }
        }
    }

    /// Puts hooks as they are configured now in the place of those that have ended, and those that are new.
    func succeed() {
        guard isReloading || !leaving.isEmpty || !coming.isEmpty else { return }
        for each in leaving where each.hook.runner.hasStopped { save(each) }
        // With them their locks go.
        leaving.removeAll { $0.hook.runner.hasStopped }
        guard clock() >= comingAfter else { return }
        let ready = coming.filter { hook in !leaving.contains { $0.hook.name == hook.name } }
        do {
            try begin(try ready.map { hook in try open(hook) })
        } catch { log(.error, "\(error)") }
        // A hook that can't begin now, for whatever reason, is not forgotten.
        let running = hooks.map(\.name)
        coming.removeAll { running.contains($0.name) && ready.contains($0) }
        comingAfter = coming.contains { ready.contains($0) } ? clock() + Self.comingPause : 0
        guard isReloading, leaving.isEmpty else { return }
        isReloading = false
        log(.info, "reloaded: \(hooks.count) hook\(hooks.count == 1 ? "" : "s")")
    }
}
