// One operation of ours on a server: begun where nobody else is at it, noted as ours, and cleaned up behind where it
// failed. Called under the machine's lock, so that of our own kind there is one at a time.

import Glibc
import Platform

extension CernVMRepository {
    /// How long somebody else's publishing, or lease, is waited for, in nanoseconds: half an hour, or as many seconds as
    /// `DUCC_SERVER_PATIENCE` says.
    static let patience: UInt64 = {
        let seconds = getenv("DUCC_SERVER_PATIENCE").flatMap { UInt32(String(cString: $0)) } ?? 30 * 60
        return UInt64(seconds) * 1_000_000_000
    }()
    private static let pause = 500

    /// Does what needs a repository that nobody else publishes, again from its beginning where somebody came first after
    /// all: then nothing that was decided holds.
    ///
    /// - Parameter waiting: called once where somebody else has to be waited for, with what to tell the user.
    /// - Throws: `RepositoryError`, `SystemError`, `Interrupted`, what `body` throws, but for `ServerBusy`.
    func untilNobodyIsFirst<Result>(waiting: (String) -> Void, _ body: () throws -> Result) throws -> Result {
        let limit = MonotonicClock.nanoseconds() + Self.patience
        var isSaid = false
        while true {
            try waitForOthers(until: limit, waiting)
            do { return try body() } catch let busy as ServerBusy {
                guard MonotonicClock.nanoseconds() < limit else {
                    throw RepositoryError(.refused, "\(server) is still busy: \(busy.reason)")
                }
                if !isSaid { waiting("\(server) is busy: \(busy.reason): waiting for it") }
                isSaid = true
                try Interruption.sleep(milliseconds: Self.pause)
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
        if !answer.isDone, answer.isAboutOthers { throw ServerBusy(reason: answer.reason) }
        return answer
    }

    private func run(
        _ arguments: [String], _ archive: ((ArchivePipe) throws -> Void)?
    ) throws -> ServerAnswer {
        var operation = ServerSpool.Operation(
            boot: ServerSpool.boot, process: getpid(), group: 0, flag: nil)
        try spool.write(operation)
        defer { cleanUp() }
        do {
            let answer = try ServerCommand.run(
                arguments,
                began: {
                    operation.group = $0
                    try? spool.write(operation)
                }, watch: { [self] in noteFlag(&operation) }, archive: archive)
            settleFlag(&operation, answer)
            return answer
        } catch let failure as ServerFailure {
            settleFlag(&operation, failure.answer)
            throw failure.cause
        }
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
            let ours = spool.operation
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
                throw RepositoryError(.refused, "\(server) is still being published by somebody else")
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

    /// Cleans up what a process of ours left that was killed. What it can't, the next publication does, or says why.
    func recover() {
        guard let left = spool.operation, left.boot != ServerSpool.boot || kill(left.process, 0) != 0,
            !isAlive(left)
        else { return }
        try? RepositoryLock.hold(inside: nil, waiting: { _ in }) {
            // Another one may have come first.
            if let now = spool.operation, now.process == left.process, !isAlive(now) { cleanUp() }
        }
    }

    /// Ends what an operation of ours has left open.
    private func cleanUp() {
        if let flag = spool.openTransaction, let operation = spool.operation, operation.flag == flag,
            (try? abort()) == nil
        {
            // The next run tries again: the note stays.
            return
        }
        spool.forgetOperation()
    }

    private func abort() throws {
        let answer = try ServerCommand.run(["abort", "-f", server])
        if answer.isDone || spool.openTransaction == nil { return }
        throw RepositoryError(
            .refused,
            "a transaction of ours on \(server) can't be ended: \(answer.reason); try cvmfs_server abort -f \(server)"
        )
    }
}

/// Somebody else came first.
struct ServerBusy: Error {
    let reason: String
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

    /// Whether it says that somebody else is at work.
    var isAboutOthers: Bool {
        let text = (output + errors).lowercased()
        return [
            "another transaction is already open", "lease path busy", "path busy",
            "cannot establish writable mountpoint", "another publish process is active",
        ].contains { text.contains($0) }
    }
}
