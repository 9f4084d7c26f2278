// Running `cvmfs_server`. Its standard input is empty, never an open pipe: some of its commands ask a question there and
// would wait for an answer for ever. `ingest` reads its archive there.

import Archive
import Glibc
import Platform

/// What a command came to.
struct ServerAnswer {
    let status: ExitStatus
    /// What it wrote to its standard output and standard error, the end of it where that was much.
    let output: String
    let errors: String

    var isDone: Bool { status == .exited(0) }

    /// The line that says why it failed: the server's errors come on either stream, among much else.
    var reason: String {
        let lines = (output + "\n" + errors).split(separator: "\n").map { $0.drop(while: { $0 == " " }) }
        // A worker that gives up names a line of its source, and says on the next one why; what is wrong with an archive
        // comes one later.
        if let panic = lines.lastIndex(where: { $0.contains("PANIC:") }), panic + 1 < lines.count {
            let isArchive =
                lines[panic + 1].contains("Fatal error in reading the archive") && panic + 2 < lines.count
            return String(lines[panic + (isArchive ? 2 : 1)])
        }
        let telling = ServerCommand.telling.lazy.compactMap { word in
            lines.last { $0.lowercased().contains(word) }
        }.first
        return String(telling ?? lines.last { !$0.isEmpty } ?? "it said nothing")
    }
}

/// The server's program.
struct ServerCommand {
    static let program = "cvmfs_server"
    /// What lines have in them that say why something failed, the most telling first.
    fileprivate static let telling = [
        "open read-only file descriptors", "open writable file descriptors", "another transaction", "busy",
        "no space", "truncated", "damaged", "permission denied", "not mounted properly", "cannot load",
        "error",
        "cannot", "unable",
        "impossible", "failed", "not in a transaction", "aborted",
    ]
    /// How long until what it does is looked at again, in milliseconds. Whoever is killed within this time together with
    /// the server leaves something of which nobody can tell whose it is.
    static let pause: CInt = 1
    /// So much of what it writes is looked at.
    private static let outputLimit = 64 << 10
    /// How long a server has, in milliseconds, to give up an archive that was cut.
    private static let refusalTimeout: CInt = 120_000
    /// How long one has, in milliseconds, that changes nothing and is asked to end.
    private static let grace: CInt = 5_000

    /// Runs a command to its end.
    ///
    /// - Parameters:
    ///   - began: told of its process group, once it runs.
    ///   - watch: called again and again, until it returns true.
    ///   - isInterruptible: whether it is ended where a signal asks this process to stop: one that changes nothing.
    ///   - archive: writes what it reads; nil: it has nothing to read.
    /// - Returns: how it ended, also where the archive could not be written to its end.
    /// - Throws: `SystemError` where it can't be started; what `archive` throws, but for a reader that has gone: that tells
    ///   by its exit code.
    static func run(
        _ arguments: [String], began: (pid_t) -> Void = { _ in }, watch: @escaping () -> Bool = { true },
        isInterruptible: Bool = false,
        archive: ((ArchivePipe) throws -> Void)? = nil
    ) throws -> ServerAnswer {
        let output = try Files.memoryFile(with: [])
        let errors = try Files.memoryFile(with: [])
        var pipe = archive == nil ? nil : try Pipe()
        let child: ChildProcess
        do throws(SystemError) {
            child = try ChildProcess.start(
                program, arguments, input: pipe?.reading.raw, output: output.raw, errors: errors.raw)
        } catch {
            throw error.code == ENOENT
                ? SystemError("run \(program): it isn't in PATH, is this a publisher node?", code: ENOENT)
                : error
        }
        began(child.identifier)
        var failure: (any Error)?
        if let archive, let writing = pipe?.writing {
            pipe = nil
            do {
                let end = try child.endDescriptor()
                let sink = ArchivePipe(writing, reader: end.raw, watch: watch)
                try archive(sink)
                try sink.finish()
            } catch let error as SystemError where error.code == EPIPE {
            } catch { failure = error }
        }
        if failure == nil, let end = try? child.endDescriptor() {
            var descriptor = pollfd(fd: end.raw, events: Int16(POLLIN), revents: 0)
            // A signal to us is no reason to look away.
            while !watch(), retrying({ poll(&descriptor, 1, pause) }) == 0 {}
        }
        if isInterruptible { try waitOrInterrupt(child) }
        let status = failure == nil ? child.wait() : try waitForRefusal(child)
        let answer = ServerAnswer(
            status: status, output: Self.text(output.raw), errors: Self.text(errors.raw))
        if let failure { throw ServerFailure(cause: failure, answer: answer) }
        return answer
    }

    private static func waitOrInterrupt(_ child: ChildProcess) throws {
        let end = try child.endDescriptor()
        var descriptors = [end.raw, Interruption.descriptor].map {
            pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
        }
        poll(&descriptors, nfds_t(descriptors.count), -1)
        guard Interruption.signal != nil else { return }
        child.signalGroup(SIGTERM)
        if retrying({ poll(&descriptors, 1, grace) }) == 0 { child.signalGroup(SIGKILL) }
        _ = child.wait()
        try Interruption.check()
    }

    /// A server whose archive was cut aborts by itself; one that doesn't is ended.
    private static func waitForRefusal(_ child: ChildProcess) throws -> ExitStatus {
        let end = try child.endDescriptor()
        var descriptor = pollfd(fd: end.raw, events: Int16(POLLIN), revents: 0)
        if poll(&descriptor, 1, refusalTimeout) == 0 { child.signalGroup(SIGKILL) }
        return child.wait()
    }

    private static func text(_ file: CInt) -> String {
        var information = stat()
        guard fstat(file, &information) == 0 else { return "" }
        let begin = max(0, Int(information.st_size) - outputLimit)
        var bytes = [UInt8](repeating: 0, count: Int(information.st_size) - begin)
        let count = retrying { pread(file, &bytes, bytes.count, off_t(begin)) }
        return String(decoding: bytes[..<max(0, count)], as: UTF8.self)
    }
}

/// Why an archive was not written to its end, and what the server made of that.
struct ServerFailure: Error {
    let cause: any Error
    let answer: ServerAnswer
}
