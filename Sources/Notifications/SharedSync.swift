// Forcing a file to disk is slow and takes along everything that was written before it: threads that wait at the same
// time share one `fdatasync`.

import Glibc
import Platform

/// Makes lines durable, for all threads of one writer.
final class SharedSync: Sendable {
    private struct State {
        /// Which opened file was synced. Not the file itself: a rotated file must not be kept open.
        var generation = 0
        var syncedUpTo: UInt64 = 0
        var isRunning = false
        /// The lines that the last failed sync was for. The system tells an error once: another sync of the same lines
        /// would succeed although they may not be on disk.
        var failed: (generation: Int, lines: ClosedRange<UInt64>, code: CInt)?
    }

    private let state = Monitor(State())

    /// Returns once the line with this number in this file is on disk.
    ///
    /// - Parameters:
    ///   - generation: the file's number among those that the writer opened.
    ///   - written: the number of the last line that is in the file, asked when the sync begins.
    /// - Returns: 0, or the error number of the sync.
    func wait(
        for line: UInt64, in file: SharedDescriptor, generation: Int, written: () -> UInt64
    ) -> CInt {
        // What another thread's sync came to, or nil: this thread's turn.
        let known = state.wait { state -> CInt?? in
            if let failed = state.failed, failed.generation == generation, failed.lines.contains(line) {
                return failed.code
            }
            if state.generation == generation && state.syncedUpTo >= line { return 0 }
            if state.isRunning { return nil }
            state.isRunning = true
            return .some(nil)
        }
        if let known { return known }
        let upTo = max(line, written())
        let code = fdatasync(file.raw) == 0 ? 0 : errno
        state.change { state in
            state.isRunning = false
            if code == 0 {
                state.generation = generation
                state.syncedUpTo = upTo
            } else {
                let first = state.generation == generation ? state.syncedUpTo + 1 : 1
                state.failed = (generation, first...upTo, code)
            }
        }
        return code
    }
}
