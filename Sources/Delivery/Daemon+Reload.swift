// SIGHUP: going on with another configuration, hook by hook, as if only those that changed had been restarted.

import Following
import Platform

/// A hook that ends what it has begun, because it is configured in another way from now on, or not at all.
struct LeavingHook {
    let hook: HookState
    /// How far it was read for it.
    let reading: [(file: Int, position: Cursor.File)]
}

extension Daemon {
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
        guard mistakes.isEmpty else { throw ConfigurationError(mistakes: mistakes) }
        let isElsewhere =
            (new.stream, new.rotated, new.rotateWait)
            != (configuration.stream, configuration.rotated, configuration.rotateWait)
        configuration = new
        let limit = MonotonicClock.nanoseconds() + UInt64(new.shutdownGrace * 1e9)
        for group in groups {
            let changed = group.hooks.filter { isElsewhere || !new.hooks.contains($0.runner.hook) }
            for hook in changed {
                hook.runner.stop(limit: limit)
                leaving.append(LeavingHook(hook: hook, reading: group.reading))
            }
            group.remove(changed)
        }
        groups.removeAll { $0.hooks.isEmpty }
        let running = groups.flatMap(\.hooks).map(\.name)
        coming = new.hooks.filter { !running.contains($0.name) }
        isReloading = true
    }

    /// Puts hooks as they are configured now in the place of those that have ended, and those that are new.
    func succeed() {
        guard isReloading else { return }
        for each in leaving where each.hook.runner.hasStopped {
            save(each.hook, reading: each.reading, force: true)
        }
        // With them their locks go.
        leaving.removeAll { $0.hook.runner.hasStopped }
        let ready = coming.filter { hook in !leaving.contains { $0.hook.name == hook.name } }
        coming.removeAll { ready.contains($0) }
        var opened: [HookState] = []
        for hook in ready {
            do { opened.append(try open(hook)) } catch { log(.error, "\(error)", [("hook", hook.name)]) }
        }
        do throws(SystemError) { try begin(opened) } catch { log(.error, error.description) }
        guard leaving.isEmpty else { return }
        isReloading = false
        log(.info, "reloaded: \(hooks.count) hook\(hooks.count == 1 ? "" : "s")")
    }
}
