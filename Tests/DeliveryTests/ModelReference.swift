// What the hooks of a stream must be told, and may be told, whatever happened to its files and to the daemon. It knows
// what was written whole where, what was taken away, and what the hooks' ledger says; it knows nothing of how following
// and delivering work, and imports nothing of them.
//
// A repeat is excused by a kill (of an `exec` hook as many as run at a time, of a `pipe` hook what its last cursor had not
// passed), by a failure, or where a file is gone that a cursor stood in. A loss is excused where a file, or its end, is
// gone that nobody had open.

/// The ledger of a stream's hooks against what was written.
final class ReferenceModel {
    /// One hook, and what is known of it.
    final class Hook {
        let name: String
        /// How many events run at a time; nil: it is a long-lived program that acknowledges them.
        let concurrency: Int?
        /// Whether only events of one key stay in order.
        let isOrderedByKey: Bool
        /// The only key that it wants; nil: all.
        let key: String?
        /// Nothing is expected.
        var isAway = false
        /// Nothing may come: it has ended what it had begun.
        var isSilent = false
        fileprivate(set) var done: Set<String> = []
        /// What was given up.
        fileprivate(set) var dead: Set<String> = []
        fileprivate var excused: Set<String> = []
        /// Files that are gone from the disk and that nobody has open for it.
        fileprivate var lostFiles: Set<Int> = []
        /// What was done when its cursor was certain to be saved.
        fileprivate var saved: Set<String> = []
        /// What may come again, and how many of it.
        fileprivate var repeatable: Set<String> = []
        fileprivate var repeats = 0
        /// What has begun and isn't done, by what it keeps in order with.
        fileprivate var begun: [String: String] = [:]
        fileprivate var attempts: [String: Int] = [:]
        /// Whether its cursor may point to nothing: then all there is may come again after a restart.
        fileprivate var mayDangle = false
        /// What it was told of in the daemon's present life.
        fileprivate var told: Set<String> = []

        init(_ name: String, concurrency: Int?, isOrderedByKey: Bool = false, key: String? = nil) {
            self.name = name
            self.concurrency = concurrency
            self.isOrderedByKey = isOrderedByKey
            self.key = key
        }

        fileprivate func allowUnsaved() {
            repeatable.formUnion(done.subtracting(saved))
            repeats = repeats == .max || concurrency == nil ? .max : repeats + (concurrency ?? 0)
        }

        fileprivate func begin() {
            (begun, attempts) = ([:], [:])
            if mayDangle { (repeatable, repeats) = (done, .max) }
        }
    }

    private struct Event {
        let run: String
        let key: String
        var file: Int
    }

    let hooks: [Hook]
    private let attempts: Int
    private var events: [String: Event] = [:]
    /// Every run's events as they were written.
    private var runs: [String: [String]] = [:]
    /// Files that are gone from the disk; the daemon may have them open.
    private var gone: Set<Int> = []
    /// What a truncation took away.
    private var truncated: Set<String> = []
    /// The first of those that must be reported as missing, and those that were.
    private var gaps: (expected: Set<String>, reported: Set<String>) = ([], [])
    /// What is wrong; empty where nothing is.
    private(set) var problems: [String] = []

    init(_ hooks: [Hook], attempts: Int) {
        self.hooks = hooks
        self.attempts = attempts
    }

    /// The hook of this name.
    func hook(_ name: String) -> Hook? { hooks.first { $0.name == name } }

    // MARK: The stream

    /// An event is whole in a file.
    func wrote(_ event: String, of run: String, key: String, in file: Int) {
        events[event] = Event(run: run, key: key, file: file)
        runs[run, default: []].append(event)
        for hook in hooks where hook.lostFiles.contains(file) { hook.excused.insert(event) }
    }

    /// A copy of a file has its events from now on; the file itself is empty.
    func moved(from file: Int, to copy: Int) {
        for (event, found) in events where found.file == file { events[event]?.file = copy }
    }

    /// A file is gone; `isOpen`: it is certain to be read to its end all the same, as long as the daemon lives.
    func removed(_ file: Int, isOpen: Bool) {
        gone.insert(file)
        lostItsBeginning()
        for hook in hooks where !isOpen || hook.isAway { excuse(hook, [file]) }
    }

    /// A truncation took an event away.
    func truncated(_ event: String) {
        truncated.insert(event)
        lost(event)
    }

    /// Nobody can read an event any more.
    func lost(_ event: String) { for hook in hooks { hook.excused.insert(event) } }

    /// A file is no longer what a cursor knows it by.
    func lostItsBeginning() { for hook in hooks { hook.mayDangle = true } }

    /// A file is read no further for a hook.
    func excuse(_ hook: Hook, _ files: Set<Int>) {
        hook.lostFiles.formUnion(files)
        for (event, found) in events where files.contains(found.file) { hook.excused.insert(event) }
    }

    // MARK: The daemon

    /// It ended: killed, or after a stop.
    func ended(isKilled: Bool) {
        for hook in hooks {
            if isKilled { hook.allowUnsaved() } else { hook.saved = hook.done }
            excuse(hook, gone)
        }
    }

    /// It begins.
    func started() {
        for hook in hooks {
            hook.begin()
            hook.told = []
        }
    }

    /// A hook was made to end what it had begun, and begins anew.
    func ended(_ hook: Hook) {
        hook.allowUnsaved()
        excuse(hook, gone)
        hook.begin()
    }

    /// The daemon says that an attempt's time was over, whatever the program said just before.
    func timedOut(_ event: String, _ hook: Hook, attempt: Int) {
        // It may have said so of more than this one.
        if hook.concurrency == nil { hook.allowUnsaved() }
        hook.done.remove(event)
        hook.begun[order(event, hook)] = event
        hook.attempts[event] = attempt
    }

    /// The daemon puts an event with the dead letters.
    func gaveUp(_ event: String, _ hook: Hook, attempt: Int) {
        if attempt != attempts { problems.append("\(hook.name) gave \(event) up after \(attempt) attempts") }
        hook.begun[order(event, hook)] = nil
        hook.attempts[event] = nil
        hook.done.insert(event)
        hook.dead.insert(event)
    }

    /// The daemon says that events are missing.
    func reported(_ missing: [String]) {
        gaps.reported.formUnion(missing)
        for event in missing where events[event] != nil && hooks.allSatisfy({ !$0.excused.contains(event) }) {
            problems.append("\(event) is said to be missing")
        }
    }

    // MARK: The ledger

    /// A hook's program was told of an event; `attempt` is 0 where it isn't told which one it is.
    func told(_ event: String, _ hook: Hook, attempt: Int, isDone: Bool) {
        guard let found = events[event], wants(hook, event) else {
            return problems.append("\(hook.name) was told of \(event), which nobody wrote for it")
        }
        if hook.isSilent { problems.append("\(hook.name) was told of \(event) while it is away") }
        if hook.done.contains(event) {
            if hook.repeats > 0, hook.repeatable.remove(event) != nil {
                if hook.repeats < .max { hook.repeats -= 1 }
                hook.done.remove(event)
                hook.saved.remove(event)
            } else {
                problems.append("\(hook.name) was told of \(event) again")
            }
        }
        let order = order(event, hook)
        if let other = hook.begun[order], other != event {
            problems.append("\(hook.name) was told of \(event) before \(other) was done")
        }
        if let earlier = runs[found.run]?.prefix(while: { $0 != event }).first(where: {
            wants(hook, $0) && self.order($0, hook) == order && !hook.done.contains($0)
                && !hook.excused.contains($0) && !hook.excused.contains(event)
        }) {
            problems.append("\(hook.name) was told of \(event) before \(earlier)")
        }
        let before = runs[found.run]?.prefix { $0 != event } ?? []
        if hook.key == nil, let known = before.lastIndex(where: { !truncated.contains($0) }),
            known < before.count - 1, hook.told.contains(before[known])
        {
            gaps.expected.insert(before[known + 1])
        }
        hook.told.insert(event)
        let expected = hook.attempts[event, default: 0] + 1
        if attempt > 0, attempt != expected {
            problems.append("\(hook.name): attempt \(attempt) of \(event) is its attempt \(expected)")
        }
        hook.attempts[event] = isDone ? nil : expected
        hook.begun[order] = isDone ? nil : event
        if isDone { hook.done.insert(event) }
    }

    private func wants(_ hook: Hook, _ event: String) -> Bool { hook.key == nil || events[event]?.key == hook.key }

    private func order(_ event: String, _ hook: Hook) -> String {
        hook.isOrderedByKey ? events[event]?.key ?? "" : ""
    }

    /// There is nothing left to do: every event must have come. `isSaved`: all cursors were saved since;
    /// `isRecognisable`: the file at the path has a line that they know it by.
    func settled(isSaved: Bool, isRecognisable: Bool) {
        let silent = gaps.expected.subtracting(gaps.reported)
        if !silent.isEmpty { problems.append("nothing was said of what is missing: \(silent.sorted())") }
        for hook in hooks where !hook.isAway {
            let missing = events.keys.filter {
                wants(hook, $0) && !hook.done.contains($0) && !hook.excused.contains($0)
            }
            if !missing.isEmpty { problems.append("\(hook.name) was not told of \(missing.sorted())") }
            if isSaved || hook.concurrency != nil { hook.saved = hook.done }
            (hook.repeatable, hook.repeats) = ([], 0)
            if isSaved, isRecognisable { hook.mayDangle = false }
        }
    }
}
