// One hook at work: takes events, runs its program, and knows where its cursor is. A daemon drives any number of them
// in one thread: nothing here waits.

import Following
import Glibc
import Notifications

/// A hook at work.
package protocol HookRunner: AnyObject {
    /// What it was configured as.
    var hook: HookConfiguration { get }
    /// Whether it can't take another event now.
    var isFull: Bool { get }
    /// Whether nothing is running, nor waiting to be.
    var isIdle: Bool { get }
    /// How many events were finished since the cursor was saved.
    var finished: Int { get set }
    /// No new delivery is begun as long as it is.
    var isPaused: Bool { get set }
    /// The event that failed last, as long as it is not done.
    var trouble: HookTrouble? { get }

    /// What an earlier run did beyond its cursor, in one of the files.
    func skip(_ ends: [Int64], in file: Int)
    /// Takes an event that it wants.
    func offer(_ event: Event, at place: StreamPlace?, file: () -> Cursor.File?)
    /// Where it is.
    func cursor(reading: [(file: Int, position: Cursor.File)]) -> Cursor
    /// Begins what can be begun, and ends what has had its time.
    ///
    /// - Parameter now: of `MonotonicClock`.
    func work(now: UInt64)
    /// When `work` is wanted although nothing happened.
    var deadline: UInt64? { get }
    /// What to wait for.
    var descriptors: [pollfd] { get }
    /// Something may have happened to them.
    func look(now: UInt64)
    /// Asks running programs to end.
    ///
    /// - Parameter limit: of `MonotonicClock`; what isn't done by then is killed, and counts as not begun.
    func stop(limit: UInt64)
    /// Whether no program is left, after `stop`.
    var hasStopped: Bool { get }
}
