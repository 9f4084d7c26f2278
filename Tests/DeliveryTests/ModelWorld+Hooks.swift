// What is done with the hooks of a world, and what it finds that they were told.

import Delivery
import Following
import Glibc
import Notifications
import Platform
import Support

extension ModelWorld {
    // MARK: Hooks

    func ask(_ action: String, _ hook: String) throws {
        let text = "{\"action\":\"\(action)\",\"hook\":\"\(hook)\",\"identifiers\":[]}"
        try Files.replace(
            disk.directory.path("state/requests/\(RandomIdentifier.hex(4)).json"), with: Array(text.utf8),
            sync: false)
        turn()
    }

    func setAway(_ hook: ReferenceModel.Hook, _ isAway: Bool, isSilent: Bool) {
        hook.isAway = isAway
        hook.isSilent = isSilent
    }

    func isConfigured(_ hook: ReferenceModel.Hook) -> Bool {
        configuration.hooks.contains { $0.name == hook.name }
    }

    func pause(_ hook: ReferenceModel.Hook) throws {
        guard isConfigured(hook), paused.insert(hook.name).inserted else { return }
        guard let daemon else {
            try StateDirectory(configuration.state).setPaused(hook.name, true)
            return setAway(hook, true, isSilent: true)
        }
        try ask("pause", hook.name)
        setAway(hook, true, isSilent: false)
        // A long-lived program may still have something to read.
        guard hook.concurrency != nil else { return }
        try pump("the paused hook has ended what it began") { _ in
            daemon.runners.allSatisfy { $0.hook.name != hook.name || $0.descriptors.isEmpty }
        }
        setAway(hook, true, isSilent: true)
    }

    func resume(_ hook: ReferenceModel.Hook) throws {
        guard isConfigured(hook), paused.remove(hook.name) != nil else { return }
        setAway(hook, false, isSilent: false)
        if daemon == nil {
            try StateDirectory(configuration.state).setPaused(hook.name, false)
        } else {
            try ask("resume", hook.name)
        }
    }

    func reload(_ hook: ReferenceModel.Hook, leaves: Bool) throws {
        generations += 1
        let index = configuration.hooks.firstIndex { $0.name == hook.name }
        if let index, leaves {
            configuration.hooks.remove(at: index)
        } else if let index {
            configuration.hooks[index] = configured(hook)
        } else {
            configuration.hooks.append(configured(hook))
        }
        let isAway = !isConfigured(hook) || paused.contains(hook.name)
        guard let daemon else { return setAway(hook, isAway, isSilent: isAway) }
        if !isAway { setAway(hook, false, isSilent: false) }
        reloading = hook
        repeat {
            // As at a start: another test's process may have the cursor's lock for a moment.
            (isReloaded, isLocked) = (false, false)
            try daemon.reload(configuration)
            try pump("the configuration is read again") { _ in isReloaded }
        } while isLocked && model.problems.isEmpty
        reloading = nil
        if isAway { setAway(hook, true, isSilent: true) }
    }

    // MARK: What was told

    /// Gives the model what the ledger says and what the daemon said, as it came.
    func digest() {
        for line in said.take() {
            readLedger(upTo: line.ledger)
            story.append("\(line.message) \(line.details)")
            if line.message.hasPrefix("reloaded"), let hook = reloading {
                model.ended(hook)
                hanging = hanging.filter { $0[0] != hook.name }
                isReloaded = true
            }
            if line.message.contains("is in use by another process") { isLocked = true }
            if let missing = missing(line.message) { model.reported(missing) }
            guard let name = line.details["hook"], let hook = self.hook(name),
                let event = line.details["event"],
                let attempt = line.details["attempt"].flatMap({ Int($0) })
            else { continue }
            if line.message.contains("put with the dead letters") {
                hanging.remove([name, event])
                model.gaveUp(event, hook, attempt: attempt)
            } else if line.message.contains("again in") {
                hanging.remove([name, event])
                if line.message.hasPrefix("not done after") { model.timedOut(event, hook, attempt: attempt) }
            }
        }
        readLedger(upTo: .max)
    }

    /// The events that a line of the log says are missing: `event 3 of run R is missing: …`, `events 3 to 5 of run R …`.
    func missing(_ message: String) -> [String]? {
        let words = message.split(separator: " ")
        guard words.count > 5, words[0].hasPrefix("event"), let first = Int(words[1]),
            let run = words.firstIndex(of: "run").map({ words[$0 + 1] })
        else { return nil }
        let last = words[2] == "to" ? Int(words[3]) ?? first : first
        return (first...last).map { "\(run):\($0)" }
    }

    func readLedger(upTo end: Int) {
        guard let file = try? OwnedDescriptor(opening: ledger, O_RDONLY) else { return }
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        while ledgerOffset < end {
            let count = pread(file.raw, &chunk, min(chunk.count, end - ledgerOffset), off_t(ledgerOffset))
            guard count > 0 else { break }
            unread += chunk[..<count]
            ledgerOffset += count
        }
        while let feed = unread.firstIndex(of: UInt8(ascii: "\n")) {
            let words = String(decoding: unread[..<feed], as: UTF8.self).split(separator: " ").map(
                String.init)
            unread.removeSubrange(...feed)
            guard words.count == 4, let hook = self.hook(words[0]) else { continue }
            story.append(words.joined(separator: " "))
            if words[3] == "hangs" { hanging.insert([words[0], words[1]]) }
            model.told(words[1], hook, attempt: Int(words[2]) ?? -1, isDone: words[3] == "done")
        }
    }

    /// Everything is well again, and must have come then.
    func finish() throws {
        for hook in hooks { unlink(control(hook.name)) }
        try start()
        for hook in hooks {
            if !isConfigured(hook) { try reload(hook, leaves: false) }
            try resume(hook)
        }
        for writer in disk.writers { try disk.complete(writer) }
        try settle(isSaved: true)
        for hook in hooks {
            let letters = DeadLetterFile(hook: hook.name, state: configuration.state)
            let found = Set(try letters.all().map(\.event.identifier))
            if !hook.dead.isSubset(of: found) {
                throw SupportError("\(hook.name) gave up \(hook.dead), its dead letters are \(found)")
            }
        }
        stop()
    }
}
