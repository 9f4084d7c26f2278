// Appends events to a notification file that other processes append to, rotate and read at the same time.
//
// What it guarantees: one event is one `write` of a whole line; a line is numbered, chained to the run's previous one
// and proves itself; an event that could not be written is reported, counted and declared in the file; and nothing of
// this ever fails the program, which has more important work.

import Glibc
import Platform
import Synchronization

/// Appends events to a notification file.
///
/// Emitting is synchronous and in order, from any thread. After the file was opened once nothing here throws:
/// an event that can't be written is printed in full on standard error, and the next one that can is preceded by a
/// `notification_write_failed` which names the lost range.
public final class NotificationWriter: Sendable {
    /// The UUID of this run, in each of its events.
    public let runIdentifier: String
    /// The file as it was named.
    public let path: String

    private let sync: SyncPolicy
    private let state: Mutex<State>
    private let sharedSync = SharedSync()
    /// The number of the last line that is in a file; numbers go on over rotations.
    private let lastWritten = Atomic<UInt64>(0)

    private struct State: ~Copyable {
        var file: NotificationFile
        var encoder: LineEncoder
        var sequence: UInt64 = 0
        var lost: LostRange?
        var lostCount = 0
        /// What is to be said on standard error once the lock is free, lines that could not be written above all.
        var reports: [String] = []
    }

    /// What one `emit` takes out of the lock.
    private struct Written {
        let sequence: UInt64
        let line: UInt64
        let generation: Int
        let file: SharedDescriptor?
        let reports: [String]
    }

    private struct LostRange {
        let first: UInt64
        let last: UInt64
        let code: CInt
    }

    /// Opens the file, and creates it where it isn't there after 100 ms (a rotation may be about to).
    ///
    /// SIGPIPE and SIGXFSZ are ignored from here on, unless the program has handlers of its own for them: a full
    /// disk or a reader that left must be an error of one write, not the end of the process.
    /// - Parameters:
    ///   - path: the file, a FIFO or a character device; `-` and `/dev/stdout` are standard output.
    ///   - sync: which events are forced to disk before `emit` returns.
    ///   - fileMode: the mode of a file that is created, before the process's umask.
    /// - Throws: ``NotificationFileError`` with one clear line.
    public init(
        path: String, sync: SyncPolicy = .publish, fileMode: mode_t = 0o660
    ) throws(NotificationFileError) {
        for number in [SIGPIPE, SIGXFSZ] {
            var action = sigaction()
            sigaction(number, nil, &action)
            guard unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 0 else { continue }
            Glibc.signal(number, SIG_IGN)
        }
        self.path = path
        self.sync = sync
        runIdentifier = RandomIdentifier.uuid()
        let file = try NotificationFile(path: path, mode: fileMode)
        guard
            let encoder = LineEncoder(runIdentifier: runIdentifier, host: Self.hostName(), process: getpid())
        else { throw NotificationFileError(path: path, code: ENOMEM) }
        state = Mutex(State(file: file, encoder: encoder))
    }

    /// How many events could not be written so far, declarations of lost ones that failed themselves included.
    public var lostCount: Int { state.withLock { $0.lostCount } }

    /// Writes one event.
    ///
    /// - Parameters:
    ///   - action: what happened.
    ///   - fields: the event's own fields, in their order, no name twice. Names that the writer sets itself
    ///     (`Field.isSetByWriter`) are left out. Values that make the line longer than 64 KiB are cut and end
    ///     with `…`.
    /// - Returns: the event's `event_id`, whether or not it could be written.
    @discardableResult
    public func emit(_ action: Action, _ fields: [(Field, String)] = []) -> String {
        let mustSync = sync == .every || sync == .publish && action.isDurable
        let written = state.withLock { state in
            let refused = state.lost.map { declare($0, &state) } ?? 0
            let line = write(action, fields, &state, refused: refused)
            let reports = state.reports
            if !reports.isEmpty { state.reports = [] }
            return Written(
                sequence: state.sequence, line: line, generation: state.file.generation,
                file: mustSync && line > 0 ? state.file.synchronizable : nil, reports: reports)
        }
        for report in written.reports { StandardError.write(report) }
        if let file = written.file {
            let code = sharedSync.wait(for: written.line, in: file, generation: written.generation) {
                lastWritten.load(ordering: .acquiring)
            }
            // EINVAL: the file system has no such thing as forcing to disk.
            if code != 0 && code != EINVAL {
                StandardError.write("\(SystemError("sync the notification file", path, code: code))\n")
            }
        }
        return identifier(written.sequence)
    }

    /// `<run_id>:<seq>`, in one piece of memory: interpolation would be felt in each event.
    private func identifier(_ sequence: UInt64) -> String {
        let run = runIdentifier.utf8Span.span
        return String(unsafeUninitializedCapacity: run.count + 21) { bytes in
            for index in run.indices { bytes[index] = run[index] }
            bytes[run.count] = UInt8(ascii: ":")
            var end = run.count + 1
            var divisor: UInt64 = 1
            while sequence / divisor >= 10 { divisor *= 10 }
            while divisor > 0 {
                bytes[end] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: sequence / divisor % 10)
                end += 1
                divisor /= 10
            }
            return end
        }
    }

    /// Says in the file which events are missing; if that can't be written either, its own number joins them.
    ///
    /// - Returns: 0, or why it could not be said: the event that was to come next must not come before it.
    private func declare(_ lost: LostRange, _ state: inout State) -> CInt {
        let fields: [(Field, String)] = [
            (.lostFirst, "\(lost.first)"), (.lostLast, "\(lost.last)"),
            (.error, SystemError.reason(lost.code)),
        ]
        guard write(.notificationWriteFailed, fields, &state, refused: 0) == 0 else {
            state.lost = nil
            return 0
        }
        return state.lost?.code ?? 0
    }

    /// - Parameter refused: not 0 where the line must not be written, but is lost for this reason.
    /// - Returns: the line's number among the written ones, 0 where it is lost.
    private func write(
        _ action: Action, _ fields: [(Field, String)], _ state: inout State, refused: CInt
    ) -> UInt64 {
        state.sequence += 1
        var code = refused == 0 ? state.file.look() : refused
        if let complaint = state.file.takeComplaint() { state.reports.append(complaint) }
        let isProven = state.encoder.encode(
            action, fields, sequence: state.sequence, limit: state.file.longestLine)
        if code == 0 && !isProven { code = ENOMEM }
        if code == 0 { code = state.file.append(state.encoder.buffer) }
        if code == 0 {
            state.encoder.lineWasWritten()
            return lastWritten.add(1, ordering: .acquiringAndReleasing).newValue
        }
        state.lost = LostRange(first: state.lost?.first ?? state.sequence, last: state.sequence, code: code)
        state.lostCount += 1
        // A declaration repeats what was reported when it was lost.
        if action == .notificationWriteFailed { return 0 }
        let line = String(decoding: state.encoder.buffer.line, as: UTF8.self)
        state.reports.append("notification lost (\(path): \(SystemError.reason(code))): \(line)")
        return 0
    }

    private static func hostName() -> String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return "localhost" }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
