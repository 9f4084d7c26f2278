// Forcing a file to disk is slow and takes along everything that was written before it: threads that wait at the same
// time share one `fdatasync`.

import Glibc
import Platform

/// Makes lines durable, for all threads of one writer.
final class SharedSync: @unchecked Sendable {
    // Everything is guarded by the mutex; both objects need a fixed address.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    /// Which opened file was synced. Not the file itself: a rotated file must not be kept open.
    private var generation = 0
    private var syncedUpTo: UInt64 = 0
    private var isRunning = false
    /// The lines that the last failed sync was for. The system tells an error once: another sync of the same lines
    /// would succeed although they may not be on disk.
    private var failed: (generation: Int, lines: ClosedRange<UInt64>, code: CInt)?

    init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(changed, nil)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    /// Returns once the line with this number in this file is on disk.
    ///
    /// - Parameters:
    ///   - generation: the file's number among those that the writer opened.
    ///   - written: the number of the last line that is in the file, asked when the sync begins.
    /// - Returns: 0, or the error number of the sync.
    func wait(
        for line: UInt64, in file: SharedDescriptor, generation: Int, written: () -> UInt64
    ) -> CInt {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let failed, failed.generation == generation, failed.lines.contains(line) { return failed.code }
            if self.generation == generation && syncedUpTo >= line { return 0 }
            if !isRunning { break }
            pthread_cond_wait(changed, mutex)
        }
        isRunning = true
        pthread_mutex_unlock(mutex)
        let upTo = max(line, written())
        let code = fdatasync(file.raw) == 0 ? 0 : errno
        pthread_mutex_lock(mutex)
        isRunning = false
        if code == 0 {
            self.generation = generation
            syncedUpTo = upTo
        } else {
            failed = (generation, (self.generation == generation ? syncedUpTo + 1 : 1)...upTo, code)
        }
        pthread_cond_broadcast(changed)
        return code
    }
}
