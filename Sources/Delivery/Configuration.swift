// What a daemon is told: which stream, which hooks, and how each of them is delivered to. How it is written in
// follow.yaml is `Configuration+Reading`'s business.

/// The configuration of a daemon.
package struct Configuration: Equatable, Sendable {
    /// The notification file.
    package var stream: String
    /// Shell patterns of rotated files beyond the stream's own directory (logrotate's `olddir`).
    package var rotated: [String] = []
    /// Where cursors, dead letters and the lock are.
    package var state: String
    /// Seconds without growth after which a renamed file is finished, where a lease can't tell.
    package var rotateWait = 5.0
    /// How many seconds running deliveries get at SIGTERM.
    package var shutdownGrace = 30.0
    package var hooks: [HookConfiguration] = []

    package init(stream: String, state: String) {
        self.stream = stream
        self.state = state
    }
}

/// One hook.
package struct HookConfiguration: Equatable, Sendable {
    /// Whom events are told to.
    package enum Target: Equatable, Sendable {
        /// A process for each event: the program and its arguments, with placeholders.
        case exec([String])
        /// One long-lived process that acknowledges what it reads.
        case pipe([String])
    }

    /// Where a hook without a cursor begins.
    package enum Beginning: String, Sendable, CaseIterable { case start, end }

    /// What becomes of an event that was tried in vain.
    package enum Exhaustion: String, Sendable, CaseIterable {
        /// It is put aside, and the hook goes on.
        case deadLetter = "dead_letter"
        /// The hook stops before it, until somebody resumes it.
        case stop
    }

    /// The name of the cursor too: as `CursorFile.isValid` has it.
    package var name: String
    package var target: Target
    package var filter = ShortFilter()
    package var from = Beginning.end
    /// Seconds that one delivery may take.
    package var timeout = 300.0
    /// Seconds between SIGTERM and SIGKILL.
    package var killAfter = 5.0
    package var retry = RetrySchedule()
    package var onExhausted = Exhaustion.deadLetter
    /// How many deliveries run at a time.
    package var concurrency = 1
    /// The field whose equal values keep events in order.
    package var orderBy: String?
    /// Who the process runs as; nil: as the daemon.
    package var user: String?
    /// Further variables of the process.
    package var environment: [String: String] = [:]
    /// Where the process runs; absolute.
    package var directory: String
    /// Whether it is told where events are missing, too.
    package var gaps = false
    /// Whether it gets events that its own deliveries caused.
    package var ownEvents = false

    package init(name: String, target: Target, directory: String) {
        self.name = name
        self.target = target
        self.directory = directory
    }
}
