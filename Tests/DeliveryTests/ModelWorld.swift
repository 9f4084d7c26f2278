// One sequence of steps with a real daemon on real files: its hooks' programs note in a ledger what they were told, and
// the reference model judges that.

import Delivery
import Following
import Glibc
import Notifications
import Platform
import Support
import Synchronization

/// What the daemon said, and how much was in the ledger then.
final class ModelLog: Sendable {
    struct Line {
        let message: String
        let details: [String: String]
        let ledger: Int
    }

    let lines = Mutex<[Line]>([])
    let ledger: String

    init(ledger: String) { self.ledger = ledger }

    var log: DeliveryLog {
        DeliveryLog { [self] _, message, details in
            var information = stat()
            let size = stat(ledger, &information) == 0 ? Int(information.st_size) : 0
            let line = Line(
                message: message, details: Dictionary(details) { $1 }, ledger: size)
            lines.withLock { $0.append(line) }
        }
    }

    func take() -> [Line] {
        lines.withLock { lines in
            defer { lines = [] }
            return lines
        }
    }
}

/// A stream, its daemon and what they must have done.
final class ModelWorld {
    let disk: ModelDisk
    let program: ModelProgram
    let model: ReferenceModel
    var configuration: Configuration
    let said: ModelLog
    let ledger: String
    var ledgerOffset = 0
    var unread: [UInt8] = []
    var daemon: Daemon?
    /// How many daemons there were.
    var life = 0
    /// What the daemon's clock is ahead of the machine's: time passes where a test would only wait.
    var ahead: UInt64 = 0
    /// Programs that hang: hook and event.
    var hanging: Set<[String]> = []
    var paused: Set<String> = []
    var isReloaded = false
    var isLocked = false
    var reloading: ReferenceModel.Hook?
    var generations = 0
    /// What the daemon said, for whoever looks for a failure's reason.
    var story: [String] = []

    static let attempts = 3

    var hooks: [ReferenceModel.Hook] { model.hooks }
    func hook(_ name: String) -> ReferenceModel.Hook? { hooks.first { $0.name == name } }

    init(_ scheme: ModelDisk.Scheme, _ program: ModelProgram) throws {
        disk = try ModelDisk(scheme)
        self.program = program
        model = ReferenceModel(
            [
                ReferenceModel.Hook("one", concurrency: 1),
                ReferenceModel.Hook("three", concurrency: 3, isOrderedByKey: true),
                ReferenceModel.Hook("some", concurrency: 1, key: "k0"),
                ReferenceModel.Hook("pipe", concurrency: nil),
            ], attempts: Self.attempts)
        ledger = disk.directory.path("ledger")
        said = ModelLog(ledger: ledger)
        configuration = Configuration(stream: disk.path, state: disk.directory.path("state"))
        configuration.rotated = disk.rotatedPatterns
        configuration.rotateWait = 0.01
        configuration.shutdownGrace = Self.grace
        configuration.hooks = hooks.map { configured($0) }
        disk.wrote = { [unowned self] line, file in
            model.wrote(line.event, of: line.run, key: line.key, in: file.number)
        }
    }

    static let grace = 0.2

    func configured(_ hook: ReferenceModel.Hook) -> HookConfiguration {
        let words = [
            program.path, hook.concurrency == nil ? "pipe" : "exec", hook.name, ledger, control(hook.name),
        ]
        var configured = HookConfiguration(
            name: hook.name, target: hook.concurrency == nil ? .pipe(words) : .exec(words + ["{event_id}"]),
            directory: disk.directory.path)
        if let key = hook.key { configured.filter.add(.image, [key]) }
        configured.from = .start
        configured.timeout = 60
        configured.killAfter = 0.2
        configured.retry.attempts = Self.attempts
        configured.retry.delayMilliseconds = 1
        configured.retry.longestDelayMilliseconds = 2
        configured.concurrency = hook.concurrency ?? 1
        configured.orderBy = hook.isOrderedByKey ? "image" : nil
        configured.environment = ["GENERATION": "\(generations)"]
        return configured
    }

    func control(_ hook: String) -> String { disk.directory.path("tell-\(hook)") }

    var now: UInt64 { MonotonicClock.nanoseconds() + ahead }

    // MARK: Steps

    /// Runs a sequence to its end.
    ///
    /// - Parameter told: how many lines of what happened last are told too.
    /// - Returns: what went wrong; nil where nothing did.
    static func run(
        _ steps: [ModelStep], _ scheme: ModelDisk.Scheme, _ program: ModelProgram, told: Int = 0
    ) throws -> String? {
        let world = try ModelWorld(scheme, program)
        do {
            try world.start()
            for step in steps {
                world.story.append("--- \(step)")
                try world.perform(step)
                if !world.model.problems.isEmpty { break }
            }
            if world.model.problems.isEmpty { try world.finish() }
        } catch let failure as SupportError {
            return "\(failure)"
        }
        world.daemon = nil
        guard !world.model.problems.isEmpty else { return nil }
        let told = world.story.suffix(told).map { "\n    \($0)" }.joined()
        return (world.model.problems.joined(separator: "; ") + told)
            .replacing(ModelWriter.runEnding, with: "")
    }

    func perform(_ step: ModelStep) throws {
        switch step {
        case .write(let writer, let count, let key):
            try disk.write(disk.writers[writer], count, key: key, looks: true)
        case .writePart(let writer, let missing, let key):
            try disk.writePart(disk.writers[writer], missing: missing, key: key)
        case .complete(let writer): try disk.complete(disk.writers[writer])
        case .writeLate(let writer, let key): try disk.write(disk.writers[writer], 1, key: key, looks: false)
        case .endWriter(let writer): disk.writers[writer].begin()
        case .rotate(let creates): try disk.rotate(create: creates)
        case .create: try disk.create()
        case .compress(let number, let tool, let halfway):
            // What a cursor doesn't recognise it can't find compressed either.
            guard let file = pick(disk.rotated, number), !file.wasUnrecognisable else { return }
            // The other programs now and then: each is a process more.
            try disk.compress(file, tool < 3 ? ["xz", "zstd", "bzip2"][tool] : "gzip", halfway: halfway)
        case .copyTruncate(let count, let looks): try copyTruncate(between: count, looks: looks)
        case .delete(let number): if let file = pick(disk.rotated, number) { remove(file) }
        case .deleteLive: if let file = disk.live { remove(file) }
        case .replace(let number): try replace(number)
        case .tell, .pause, .resume, .reload: try performOnHook(step)
        case .stop: stop()
        case .kill: kill()
        case .start: try start()
        case .losePower(let bytes, let grown): try losePower(bytes, grown: grown)
        case .turn: turn()
        case .settle: try settle(isSaved: false)
        case .save: try settle(isSaved: true)
        }
    }

    func pick<Element>(_ elements: [Element], _ number: Int) -> Element? {
        elements.isEmpty ? nil : elements[number % elements.count]
    }

    func performOnHook(_ step: ModelStep) throws {
        switch step {
        case .tell(let number, let what):
            let path = control(hooks[number].name)
            if what == "s" {
                unlink(path)
            } else {
                try Files.replace(path, with: Array(String(what).utf8), sync: false)
            }
        case .pause(let number): try pause(hooks[number])
        case .resume(let number): try resume(hooks[number])
        case .reload(let number, let leaves): try reload(hooks[number], leaves: leaves)
        default: break
        }
    }

    // MARK: Files

    /// - Parameter looks: a bit for a look before the events, and one for a look behind them.
    func copyTruncate(between count: Int, looks: Int) throws {
        try disk.copyTruncate { file, copy in
            model.moved(from: file.number, to: copy.number)
            if looks & 1 != 0 { turn() }
            if count > 0 { try disk.write(disk.writers[0], count, key: 0, looks: true) }
            if looks & 2 != 0 { turn() }
            for (event, _) in file.ends { model.lost(event, isTruncated: true) }
        }
    }

    func remove(_ file: ModelFile) {
        disk.remove(file)
        model.removed(file.number, isOpen: daemon != nil && file.readIn == life)
    }

    func replace(_ number: Int) throws {
        let files =
            daemon == nil ? disk.files : disk.rotated.filter { !disk.isHeld($0) && !ModelDisk.isOpen($0) }
        guard let file = pick(files, number) else { return }
        try disk.replace(file)
        model.removed(file.number, isOpen: false)
    }

    func losePower(_ bytes: Int, grown: Int) throws {
        kill()
        for writer in disk.writers { writer.begin() }
        if let live = disk.live {
            let size = max(0, try Files.read(live.path, limit: 1 << 30).count - bytes)
            try disk.truncate(live, to: size)
            for (event, end) in live.ends where end > size { model.lost(event) }
            live.ends.removeAll { $0.end > size }
            if live.ends.isEmpty { model.lostItsBeginning() }
            // Later the file's end is taken for where it was shortened.
            for hook in hooks where !isConfigured(hook) { model.excuse(hook, [live.number]) }
        }
        try disk.write(disk.writers[0], grown, key: 0, looks: true)
        try start()
    }

    // MARK: The daemon

    func start() throws {
        guard daemon == nil else { return }
        life += 1
        model.started()
        noteUnrecognisable()
        for hook in hooks where paused.contains(hook.name) { hook.isSilent = true }
        var limits = Daemon.Limits()
        limits.batch = 3
        limits.waiting = 5
        limits.unacknowledged = 8
        // A process that another test starts just now has our locks until it is another program.
        try waitUntil("the state directory is free") {
            do {
                daemon = try Daemon(
                    configuration, watcher: nil, log: said.log, limits: limits,
                    clock: { [unowned self] in now })
            } catch let error as StateError where error.isInUse {
            } catch let error as CursorError where error.isInUse {}
            return daemon != nil
        }
    }

    func kill() {
        guard daemon != nil else { return }
        daemon = nil
        digest()
        model.ended(isKilled: true)
        hanging = []
    }

    func stop() {
        guard let daemon else { return }
        let began = MonotonicClock.nanoseconds()
        daemon.stop()
        digest()
        self.daemon = nil
        // What wasn't done in its time was killed.
        let isInTime = MonotonicClock.nanoseconds() - began < UInt64(Self.grace * 1e9)
        model.ended(isKilled: !isInTime)
        hanging = []
    }

    @discardableResult
    func turn() -> Bool {
        defer { digest() }
        noteUnrecognisable()
        return daemon?.turn(now: now) ?? false
    }

    func noteUnrecognisable() {
        for file in disk.files where file.ends.isEmpty { file.wasUnrecognisable = true }
    }

    /// Takes turns until something is so; time passes where programs hang.
    func pump(_ what: String, until condition: (_ isBusy: Bool) -> Bool) throws {
        let limit = MonotonicClock.nanoseconds() + 20_000_000_000
        var quiet = 0
        while true {
            let before = ledgerOffset + story.count
            if condition(turn()) || !model.problems.isEmpty { return }
            quiet = before == ledgerOffset + story.count ? quiet + 1 : 0
            if quiet > 3, !hanging.isEmpty {
                ahead += 61_000_000_000
                quiet = 0
            }
            guard MonotonicClock.nanoseconds() < limit else {
                throw SupportError("waited in vain until \(what); the daemon said \(story.suffix(20))")
            }
            daemon?.wait(until: now + 2_000_000)
        }
    }

    func settle(isSaved: Bool) throws {
        guard daemon != nil else { return }
        try idle()
        if isSaved {
            ahead += 2_000_000_000
            try idle()
        }
        guard model.problems.isEmpty else { return }
        let awayCount = hooks.count { hook in
            paused.contains(hook.name) || !configuration.hooks.contains { $0.name == hook.name }
        }
        if awayCount == 0 { for file in disk.files { file.readIn = life } }
        if isSaved { for file in disk.files where !file.ends.isEmpty { file.wasUnrecognisable = false } }
        model.settled(isSaved: isSaved, isRecognisable: disk.live?.ends.isEmpty == false)
    }

    func idle() throws {
        var turns = 0
        try pump("all is done") { isBusy in
            turns = !isBusy && isIdle ? turns + 1 : 0
            return turns == 3
        }
    }

    var isIdle: Bool {
        daemon?.runners.allSatisfy { runner in
            if !runner.isPaused { return runner.isIdle }
            if case .pipe = runner.hook.target { return true }
            return runner.descriptors.isEmpty
        } ?? true
    }
}
