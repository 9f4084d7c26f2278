// One operation of ours on a server: begun where nobody else is at it, noted as ours, and cleaned up behind where it
// failed. Called under the machine's lock, so that of our own kind there is one at a time.

import Glibc
import Platform

extension CernVMRepository {
    /// How long another's publishing, or lease, is waited for, in nanoseconds.
    static let timeout = RepositoryLock.timeout * 1_000_000_000
    /// The pause before another attempt, in milliseconds: the first, and the longest.
    private static let pause = 500
    private static let longestPause = 10_000
    /// How often a server that calls itself busy is asked again where no one publishes.
    private static let attemptsWhereNoOnePublishes = 10

    /// Does what needs a repository that nobody else publishes, again from its beginning where somebody came first after
    /// all: then nothing that was decided holds.
    ///
    /// - Parameter waiting: called once where somebody else has to be waited for, with what to tell the user.
    /// - Throws: `RepositoryError`, `SystemError`, `Interrupted`, what `body` throws, but for `ServerBusy`.
    func untilNobodyIsFirst<Result>(waiting: (String) -> Void, _ body: () throws -> Result) throws -> Result {
        let limit = MonotonicClock.nanoseconds() + Self.timeout
        var isSaid = false
        var attempts = 0
        var pause = Self.pause
        while true {
            try waitForOthers(until: limit, waiting)
            do { return try body() } catch let busy as ServerBusy {
                // A server whose mounts are broken says what one says that comes second.
                let isQuiet =
                    busy.kind == .mounts && spool.openTransaction == nil && !spool.isPublishing
                attempts = isQuiet ? attempts + 1 : 0
                guard MonotonicClock.nanoseconds() < limit, attempts < Self.attemptsWhereNoOnePublishes else {
                    throw RepositoryError(.refused, "\(server) is still busy: \(busy.reason)")
                }
                if !isSaid { waiting("\(server) is busy: \(busy.reason): waiting for it") }
                isSaid = true
                try Interruption.sleep(milliseconds: pause)
                // Each attempt on a reader is a transaction and an abort.
                if busy.kind == .reader { pause = min(2 * pause, Self.longestPause) }
            }
        }
    }

    /// Runs `ingest`.
    ///
    /// - Parameter archive: writes the archive; nil: there is none.
    /// - Returns: what the server said; done or not, no transaction of ours is open.
    /// - Throws: `ServerBusy` where somebody else came first, `SystemError`, `Interrupted`, what `archive` throws.
    func ingest(
        _ arguments: [String], _ archive: ((ArchivePipe) throws -> Void)? = nil
    ) throws -> ServerAnswer {
        let answer = try run(["ingest"] + arguments + [server], archive)
        if !answer.isDone, answer.isAboutOthers || answer.isAboutReaders {
            throw ServerBusy(
                reason: answer.reason,
                kind: answer.isAboutReaders ? .reader : answer.isAboutMounts ? .mounts : .publication)
        }
        return answer
    }

    private func run(
        _ arguments: [String], _ archive: ((ArchivePipe) throws -> Void)?
    ) throws -> ServerAnswer {
        var operation = ServerSpool.Operation(
            boot: ServerSpool.boot, process: getpid(), group: 0, flag: nil)
        try spool.write(operation)
        let answer: ServerAnswer
        do {
            answer = try ServerCommand.run(
                arguments,
                began: {
                    operation.group = $0
                    try? spool.write(operation)
                }, watch: { [self] in noteFlag(&operation) }, archive: archive)
            settleFlag(&operation, answer)
        } catch {
            let failure = error as? ServerFailure
            if let failure { settleFlag(&operation, failure.answer) }
            // What it can't end now the next publication ends, or says why: the note stays.
            try? cleanUp()
            throw failure?.cause ?? error
        }
        try cleanUp()
        return answer
    }

    /// Notes the flag of the transaction that our child has just opened. There was none before; were it somebody else's,
    /// our child would end at once and say so.
    ///
    /// - Returns: whether it is there.
    private func noteFlag(_ operation: inout ServerSpool.Operation) -> Bool {
        guard operation.flag == nil, let flag = spool.openTransaction else { return operation.flag != nil }
        operation.flag = flag
        try? spool.write(operation)
        return true
    }

    /// Our child has said whose transaction it was.
    private func settleFlag(_ operation: inout ServerSpool.Operation, _ answer: ServerAnswer) {
        if answer.isAboutOthers || answer.opensNothing {
            operation.flag = nil
            try? spool.write(operation)
        } else if !answer.isDone {
            _ = noteFlag(&operation)
        }
    }

    /// Waits until nobody else publishes, and cleans up what we left when we were killed.
    ///
    /// - Throws: `RepositoryError` where somebody's transaction is open that isn't ours to end.
    private func waitForOthers(until limit: UInt64, _ waiting: (String) -> Void) throws {
        var isSaid = false
        while let flag = spool.openTransaction {
            let ours = try spool.operation()
            if let ours, isAlive(ours) {
                // Our own child that outlived us: its archive was cut, and it will give up by itself.
            } else if ours?.flag == flag {
                try abort()
                continue
            } else if !spool.isPublishing {
                throw RepositoryError(
                    .refused,
                    "\(server) has had an open transaction since \(Timestamp(seconds: flag.seconds)), which is not "
                        + "ours: publish it (cvmfs_server publish \(server)) or discard it (cvmfs_server abort "
                        + "\(server))")
            }
            guard MonotonicClock.nanoseconds() < limit else {
                throw RepositoryError(
                    .refused,
                    "\(server) is still being published by another process (waited \(RepositoryLock.timeout) s)"
                )
            }
            if !isSaid { waiting("waiting for \(server): somebody publishes there") }
            isSaid = true
            try Interruption.sleep(milliseconds: Self.pause)
        }
        spool.forgetOperation()
    }

    private func isAlive(_ operation: ServerSpool.Operation) -> Bool {
        operation.boot == ServerSpool.boot && operation.group > 0 && ProcessGroup.isAlive(operation.group)
    }

    /// Cleans up what a process of ours left that was killed.
    ///
    /// - Throws: `RepositoryError` where it can't: a transaction of ours is still open. `SystemError`, `Interrupted`.
    func recover() throws {
        guard let left = try spool.operation(), left.boot != ServerSpool.boot || kill(left.process, 0) != 0,
            !isAlive(left)
        else { return }
        try RepositoryLock.hold(inside: nil, waiting: { _ in }) {
            // Another one may have come first.
            if let now = try spool.operation(), now.process == left.process, !isAlive(now) { try cleanUp() }
        }
    }

    /// Ends what an operation of ours has left open. Where that fails the note of it stays.
    private func cleanUp() throws {
        if let flag = spool.openTransaction, let operation = try spool.operation(), operation.flag == flag {
            try abort()
        }
        spool.forgetOperation()
    }

    private func abort() throws {
        // A server that was killed while it made a new one: it neither aborts nor publishes without.
        try spool.restoreScratch()
        let answer = try ServerCommand.run(["abort", "-f", server])
        if answer.isDone || spool.openTransaction == nil { return }
        throw RepositoryError(
            .refused,
            "a transaction of ours on \(server) can't be aborted: \(answer.reason) (cvmfs_server abort ended with "
                + "\(answer.status)): once that is put right, it is aborted at the next run")
    }
}

/// Somebody else came first, or has something open that a publication would replace.
struct ServerBusy: Error {
    enum Kind {
        case publication
        /// Its mounts can't be used: another publishes just now, or they are broken.
        case mounts
        /// A process has something open.
        case reader
    }

    let reason: String
    var kind = Kind.publication
}

extension ServerAnswer {
    /// Whether it says that it failed before it opened a transaction.
    var opensNothing: Bool {
        let text = (output + errors).lowercased()
        return [
            "cannot load whitelist", "not opening a transaction", "permission error", "cannot be repaired",
            "unable to find the configuration file", "attempting to acquire lock",
        ].contains { text.contains($0) }
    }

    /// Whether it says that a process has a file open in the repository, or stands in it.
    var isAboutReaders: Bool {
        let text = (output + errors).lowercased()
        return ["open read-only file descriptors", "open writable file descriptors"].contains {
            text.contains($0)
        }
    }

    /// Whether it says that it can't mount what it publishes.
    var isAboutMounts: Bool { (output + errors).contains("cannot establish writable mountpoint") }

    /// Whether it says that somebody else is at work.
    var isAboutOthers: Bool {
        let text = (output + errors).lowercased()
        return [
            "another transaction is already open", "lease path busy", "path busy",
            "cannot establish writable mountpoint", "another publish process is active",
        ].contains { text.contains($0) }
    }
}
