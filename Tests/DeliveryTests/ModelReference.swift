// What the hooks of a stream must be told, and may be told, whatever happened to its files and to the daemon. It knows
// what was written whole where, what was taken away, and what the hooks' ledger says, and imports nothing.
//
// A repeat is excused by a kill (of an `exec` hook as many as run at a time, of a `pipe` hook what its last cursor had not
// passed), by a failure, or where a file is gone that a cursor stood in. A loss is excused where what nobody had open is
// gone, or what a truncation took, which must be reported.

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
        /// Nothing is expected; or, once it has ended what it had begun, nothing may come.
        var isAway = false
        var isSilent = false
        /// What is acknowledged or given up, what was given up, and what was done when its cursor was surely saved.
        fileprivate(set) var done: Set<String> = []
        fileprivate(set) var dead: Set<String> = []
        fileprivate var saved: Set<String> = []
        /// What needn't come, and files of which nothing needs to.
        fileprivate var excused: Set<String> = []
        fileprivate var lostFiles: Set<Int> = []
        /// What may come again, and how many of it.
        fileprivate var repeatable: Set<String> = []
        fileprivate var repeats = 0
        /// What has begun and isn't done, by what it keeps in order with; how often it was tried.
        fileprivate var begun: [String: String] = [:]
        fileprivate var attempts: [String: Int] = [:]
        /// Whether its cursor may point to nothing: then all there is may come again after a restart.
        fileprivate var mayDangle = false
        /// What it was told of in the daemon's present life.
        fileprivate var told: Set<String> = []
        init(_ name: String, concurrency: Int?, isOrderedByKey: Bool = false, key: String? = nil) {
            (self.name, self.concurrency) = (name, concurrency)
            (self.isOrderedByKey, self.key) = (isOrderedByKey, key)
        }

        fileprivate func allowUnsaved() {
            repeatable.formUnion(done.subtracting(saved))
            repeats = repeats == .max || concurrency == nil ? .max : repeats + (concurrency ?? 0)
        }
        fileprivate func begin(forgets: Bool = false) {
            (begun, attempts) = ([:], [:])
            if forgets { told = [] }
            if mayDangle { (repeatable, repeats) = (done, .max) }
        }
    }
    let hooks: [Hook]
    private let attempts: Int
    private var events: [String: (run: String, key: String, file: Int)] = [:]
    /// Every run's events as they were written.
    private var runs: [String: [String]] = [:]
    /// Files that are gone from the disk; the daemon may have them open.
    private var gone: Set<Int> = []
    /// What truncations took away; the first of each such gap that must be reported; and what was.
    private var truncated: Set<String> = []
    private var gaps: (expected: Set<String>, reported: Set<String>) = ([], [])
    /// What is wrong; empty where nothing is.
    private(set) var problems: [String] = []
    init(_ hooks: [Hook], attempts: Int) { (self.hooks, self.attempts) = (hooks, attempts) }

    /// An event is whole in a file.
    func wrote(_ event: String, of run: String, key: String, in file: Int) {
        events[event] = (run, key, file)
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

    /// Nobody can read an event any more; where a truncation took it, that must be reported.
    func lost(_ event: String, isTruncated: Bool = false) {
        if isTruncated, hooks.allSatisfy({ !$0.told.contains(event) }) { truncated.insert(event) }
        for hook in hooks { hook.excused.insert(event) }
    }

    func lostItsBeginning() { for hook in hooks { hook.mayDangle = true } }
    /// Files are read no further for a hook.
    func excuse(_ hook: Hook, _ files: Set<Int>) {
        hook.lostFiles.formUnion(files)
        for (event, found) in events where files.contains(found.file) { hook.excused.insert(event) }
    }

    /// It begins.
    func started() { for hook in hooks { hook.begin(forgets: true) } }

    /// It was killed, or has stopped.
    func ended(isKilled: Bool) {
        for hook in hooks {
            if isKilled { hook.allowUnsaved() } else { hook.saved = hook.done }
            excuse(hook, gone)
        }
    }

    /// A hook was made to end what it had begun, and begins anew.
    func ended(_ hook: Hook) {
        excuse(hook, gone)
        hook.allowUnsaved()
        hook.begin()
    }

    /// The daemon says that an attempt's time was over, whatever the program said just before.
    func timedOut(_ event: String, _ hook: Hook, attempt: Int) {
        // It may have said so of more than this one.
        if hook.concurrency == nil { hook.allowUnsaved() }
        hook.done.remove(event)
        (hook.begun[order(event, hook)], hook.attempts[event]) = (event, attempt)
    }

    /// The daemon puts an event with the dead letters.
    func gaveUp(_ event: String, _ hook: Hook, attempt: Int) {
        if attempt != attempts { problems.append("\(hook.name) gave \(event) up after \(attempt) attempts") }
        (hook.begun[order(event, hook)], hook.attempts[event]) = (nil, nil)
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

    /// A hook's program was told of an event; `attempt` is 0 where it isn't told which one it is.
    func told(_ event: String, _ hook: Hook, attempt: Int, isDone: Bool) {
        guard let found = events[event], wants(hook, event) else {
            return problems.append("\(hook.name) was told of \(event), which nobody wrote for it")
        }
        let wrong = { [self] (what: String) in problems.append("\(hook.name) was told of \(event) \(what)") }
        if hook.isSilent { wrong("while it is away") }
        if hook.done.contains(event) {
            if hook.repeats == 0 || hook.repeatable.remove(event) == nil { wrong("again") }
            if (1..<Int.max).contains(hook.repeats) { hook.repeats -= 1 }
            hook.done.remove(event)
            hook.saved.remove(event)
        }
        let order = order(event, hook)
        if let other = hook.begun[order], other != event { wrong("before \(other) was done") }
        let before = runs[found.run]?.prefix { $0 != event } ?? []
        if !hook.excused.contains(event), let earlier = before.first(where: { isMissing($0, hook, order) }) {
            wrong("before \(earlier)")
        }
        if hook.key == nil, let known = before.lastIndex(where: { !truncated.contains($0) }),
            known < before.count - 1, hook.told.contains(before[known])
        {
            gaps.expected.insert(before[known + 1])
        }
        hook.told.insert(event)
        // It was read before: of another key it may come behind what comes after it.
        if truncated.remove(event) != nil { gaps.expected.remove(event) }
        let expected = hook.attempts[event, default: 0] + 1
        if attempt > 0, attempt != expected { wrong("as attempt \(attempt), not \(expected)") }
        (hook.attempts[event], hook.begun[order]) = isDone ? (nil, nil) : (expected, event)
        if isDone { hook.done.insert(event) }
    }

    private func wants(_ hook: Hook, _ event: String) -> Bool {
        hook.key == nil || events[event]?.key == hook.key
    }
    private func order(_ event: String, _ hook: Hook) -> String {
        hook.isOrderedByKey ? events[event]?.key ?? "" : ""
    }
    private func isMissing(_ event: String, _ hook: Hook, _ order: String? = nil) -> Bool {
        wants(hook, event) && order ?? self.order(event, hook) == self.order(event, hook)
            && !hook.done.contains(event) && !hook.excused.contains(event)
    }

    /// There is nothing left to do: every event must have come. `isSaved`: all cursors were saved since;
    /// `isRecognisable`: the file at the path has a line that they know it by.
    func settled(isSaved: Bool, isRecognisable: Bool) {
        let silent = gaps.expected.subtracting(gaps.reported)
        if !silent.isEmpty { problems.append("nothing was said of what is missing: \(silent.sorted())") }
        for hook in hooks where !hook.isAway {
            let missing = events.keys.filter { isMissing($0, hook) }.sorted()
            if !missing.isEmpty { problems.append("\(hook.name) was not told of \(missing)") }
            if isSaved || hook.concurrency != nil { hook.saved = hook.done }
            (hook.repeatable, hook.repeats) = ([], 0)
            if isSaved, isRecognisable { hook.mayDangle = false }
        }
    }
}
