// What a daemon keeps: cursors, dead letters, which hooks are paused, and requests to it. One daemon has it at a time;
// without a daemon a command takes its place for a moment.
//
//   lock                    who has it (an open file description lock; the content is for people)
//   cursors/HOOK.json       where each hook is
//   dead/HOOK.jsonl         what each hook could not be told
//   paused/HOOK             is there as long as the hook is paused
//   status/HOOK.json        what is being tried again, and why
//   requests/ID.json        what a command wants of the daemon; it answers in requests/ID.answer

import FoundationEssentials
import Glibc
import Platform

/// The state directory can't be used.
package struct StateError: Error, CustomStringConvertible, Sendable {
    /// One line: what, where, what to do.
    package let description: String
    /// Whether another daemon has it.
    package let isInUse: Bool
}

/// A state directory.
package struct StateDirectory: Sendable {
    package let path: String

    package init(_ path: String) { self.path = path }

    /// The state directory, locked.
    package struct Lock: Sendable {
        private let descriptor: SharedDescriptor
        fileprivate init(_ descriptor: SharedDescriptor) { self.descriptor = descriptor }
    }

    /// Takes the directory for this process; it is made where it isn't there.
    ///
    /// - Parameter patience: how many milliseconds to wait for it: commands have it for a moment.
    /// - Throws: `StateError`.
    package func lock(patience: Int) throws -> Lock {
        let end = MonotonicClock.nanoseconds() + UInt64(patience) * 1_000_000
        while true {
            do throws(StateError) { return try lock() } catch {
                guard error.isInUse, MonotonicClock.nanoseconds() < end else { throw error }
            }
            try Interruption.sleep(milliseconds: 20)
        }
    }

    /// Takes the directory for this process.
    ///
    /// - Returns: nil where another process has it.
    /// - Throws: `StateError`.
    package func lockIfFree() throws(StateError) -> Lock? {
        do throws(StateError) { return try lock() } catch {
            if error.isInUse { return nil }
            throw error
        }
    }

    /// Takes the directory for this process, or not at all.
    ///
    /// - Throws: `StateError`.
    package func lock() throws(StateError) -> Lock {
        let lockPath = "\(path)/lock"
        do throws(SystemError) {
            for name in ["cursors", "dead", "paused", "status", "requests"] {
                try Files.makeDirectories("\(path)/\(name)", mode: 0o700)
            }
            let file = SharedDescriptor(
                try OwnedDescriptor(opening: lockPath, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600))
            guard try FileLock.tryDescriptorLock(file.raw, path: lockPath) else {
                let holder = (try? Files.read(lockPath, limit: 100)).map {
                    String(decoding: $0.filter { $0 >= 0x20 && $0 < 0x7f }, as: UTF8.self)
                }
                throw SystemError("in use by \(holder ?? "another process")", path, code: EBUSY)
            }
            _ = ftruncate(file.raw, 0)
            try Files.writeAll(Array("process \(getpid())\n".utf8), to: file.raw, path: lockPath)
            removeLeftovers()
            return Lock(file)
        } catch {
            let isInUse = error.code == EBUSY
            throw StateError(
                description: isInUse
                    ? "\(path) is \(error.operation); one daemon has it at a time" : "\(error)",
                isInUse: isInUse)
        }
    }

    /// What was left by processes that were killed, and by commands that waited no longer. Nobody else writes here now
    /// but commands, into the requests: there only what is too old for any of them to wait for goes.
    private func removeLeftovers() {
        for name in ["dead", "paused", "status"] {
            for entry in (try? DirectoryEntry.names(in: "\(path)/\(name)")) ?? []
            where entry.hasSuffix(".tmp") {
                unlink("\(path)/\(name)/\(entry)")
            }
        }
        RequestBox(self).removeLeftovers()
    }

    /// Whether a hook is paused.
    package func isPaused(_ hook: String) -> Bool { Files.exists("\(path)/paused/\(hook)") }

    /// Notes that a hook is paused, or not any more.
    ///
    /// - Throws: `SystemError`.
    package func setPaused(_ hook: String, _ isPaused: Bool) throws(SystemError) {
        let marker = "\(path)/paused/\(hook)"
        if isPaused {
            try Files.replace(marker, with: [], mode: 0o600)
        } else if unlink(marker) != 0, errno != ENOENT {
            throw SystemError("remove", marker)
        }
    }

    /// What a hook is trying again; nil where all goes well.
    func trouble(of hook: String) -> HookTrouble? {
        (try? Files.read("\(path)/status/\(hook).json", limit: 1 << 20))
            .flatMap { try? JSONDecoder().decode(HookTrouble.self, from: Data($0)) }
    }

    /// Notes what a hook is trying again: for people, so that a failure to do so is none.
    func note(_ trouble: HookTrouble?, of hook: String) {
        let path = "\(path)/status/\(hook).json"
        guard let trouble, let data = try? JSONEncoder().encode(trouble) else {
            unlink(path)
            return
        }
        try? Files.replace(path, with: Array(data), mode: 0o600, sync: false)
    }
}
