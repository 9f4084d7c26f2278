// One daemon, and what it was doing at the instant at which it was killed: told from outside, by /proc, its state
// directory, its hooks' notes and its log alone.

import Glibc
import Platform
import Support

/// A part of the daemon's life that a kill can hit.
enum DaemonPhase: String, CaseIterable, Sendable {
    /// Not all that lay there when it began has been begun.
    case catchUp = "catch-up"
    /// It has open what was at the stream's path, and not what is there now, if anything is.
    case rotation
    /// An exec hook's process runs.
    case delivery
    /// A cursor's next content lies beside it.
    case cursorWrite = "cursor write"
    /// It was told to read its configuration again, and has not done so.
    case reload
    /// It was told to end, and a hook's process runs.
    case stop
}

/// A running daemon that is to be killed.
struct KilledDaemon {
    let follow: Follow
    let running: RunningCommand
    private var process: String { "/proc/\(running.process.identifier)" }

    /// Kills it, at once.
    ///
    /// It is stopped before: what is seen then is what was when it died.
    /// - Parameters:
    ///   - signal: what it was sent before.
    ///   - isBehind: whether it has not begun all that lay there when it began.
    /// - Returns: the phases it was in; nil where it was already gone.
    func kill(signal: CInt?, isBehind: () throws -> Bool) throws -> Set<DaemonPhase>? {
        running.signal(SIGSTOP)
        // What its children do goes on.
        let programs = try standStill()
        guard let programs else {
            _ = try running.wait()
            return nil
        }
        var phases: Set<DaemonPhase> = []
        if try isMidRotation() { phases.insert(.rotation) }
        if try isWritingCursor() { phases.insert(.cursorWrite) }
        let deliveries = programs.filter { $0.command.contains("/exec-") }
        if !deliveries.isEmpty { phases.insert(.delivery) }
        if try isBehind() { phases.insert(.catchUp) }
        running.signal(SIGKILL)
        // Else they go on: what was under way is done, although nobody hears of it.
        if Bool.random() { for delivery in deliveries { Glibc.kill(-delivery.process, SIGKILL) } }
        let log = try running.wait().errors
        if log.contains("reloading"), !log.contains("reloaded") { phases.insert(.reload) }
        if signal == SIGTERM, !programs.isEmpty, !log.contains("stopped") { phases.insert(.stop) }
        return phases
    }

    /// Waits until it has been stopped.
    ///
    /// - Returns: its children at that instant; nil where it has ended.
    private func standStill() throws -> [(process: pid_t, command: String)]? {
        while true {
            switch state {
            case "T": return try children()
            case "Z": return nil
            default: usleep(50)
            }
        }
    }

    /// The letter that the kernel has for its state.
    private var state: Character? {
        guard let text = try? text(of: "\(process)/stat"), let end = text.lastIndex(of: ")") else {
            return "Z"
        }
        return text[end...].dropFirst(2).first
    }

    /// Its children and their command lines.
    func children() throws -> [(process: pid_t, command: String)] {
        try running.children().compactMap { process in
            let command = (try? text(of: "/proc/\(process)/cmdline")) ?? ""
            return command.isEmpty ? nil : (process, command)
        }
    }

    /// Whether a cursor is being replaced.
    func isWritingCursor() throws -> Bool {
        try DirectoryEntry.names(in: follow.directory.path("state/cursors")).contains { $0.hasSuffix(".tmp") }
    }

    /// Whether it has the file open that was renamed last, and not the one at the path.
    private func isMidRotation() throws -> Bool {
        let open = try running.openFiles().map(\.inode)
        let renamed = inode(of: follow.path + ".1")
        return renamed != nil && open.contains(renamed) && !open.contains(inode(of: follow.path))
    }
}

/// The inode at a path; nil where nothing is there.
func inode(of path: String) -> ino_t? {
    var information = stat()
    return stat(path, &information) == 0 ? information.st_ino : nil
}

extension RunningCommand {
    /// The processes that it has started, and not yet waited for.
    func children() throws -> [pid_t] {
        let tasks = "/proc/\(process.identifier)/task"
        return try DirectoryEntry.names(in: tasks).flatMap { thread in
            ((try? text(of: "\(tasks)/\(thread)/children")) ?? "").split(separator: " ")
        }.compactMap { pid_t($0) }
    }

    /// The files that it has open.
    func openFiles() throws -> [(path: String, inode: ino_t?)] {
        let descriptors = "/proc/\(process.identifier)/fd"
        return try DirectoryEntry.names(in: descriptors).compactMap { name in
            Files.linkTarget("\(descriptors)/\(name)").map { ($0, inode(of: "\(descriptors)/\(name)")) }
        }
    }
}
