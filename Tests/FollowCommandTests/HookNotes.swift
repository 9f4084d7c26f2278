// What hooks noted of their deliveries, and whether that is what they are promised: every event at least once, each
// run's in order, and after a SIGKILL no more again than was under way.

import Glibc
import Notifications
import Platform
import Support

/// An event by its run and its number there.
struct NotedEvent: Hashable, CustomStringConvertible {
    let run: String
    let number: Int

    /// nil where it is no event_id.
    init?(_ identifier: some StringProtocol) {
        guard let colon = identifier.lastIndex(of: ":"),
            let number = Int(identifier[identifier.index(after: colon)...])
        else { return nil }
        run = String(identifier[..<colon])
        self.number = number
    }

    private init(run: String, number: Int) {
        self.run = run
        self.number = number
    }

    /// The run's event before this one; nil for the first.
    var before: NotedEvent? { number > 1 ? NotedEvent(run: run, number: number - 1) : nil }
    var description: String { "\(run):\(number)" }
}

/// The notes of an `exec` hook, read as they grow: a line when a delivery begins, and one when it is done.
final class HookNotes {
    /// A hook's script that notes its deliveries; `LIFE` says which daemon began them.
    ///
    /// - Parameter work: what it does in between.
    static func script(_ name: String, _ work: String = "") -> String {
        """
        echo begin $LIFE $DUCC_EVENT_ID >> \(name).out
        \(work)
        echo end $LIFE $DUCC_EVENT_ID >> \(name).out

        """
    }

    private let path: String
    private var offset: off_t = 0
    /// The daemons that began each event's deliveries.
    private(set) var begun: [NotedEvent: [String]] = [:]
    private(set) var done: Set<NotedEvent> = []
    /// What was not in order, or could not be understood.
    private(set) var problems: [String] = []

    init(_ path: String) { self.path = path }

    /// Reads what was noted since the last time. An event may begin only after the one before it of its run was done.
    func read() throws {
        guard Files.exists(path) else { return }
        let file = try OwnedDescriptor(opening: path, O_RDONLY)
        lseek(file.raw, offset, SEEK_SET)
        let bytes = try Files.readAll(from: file.raw, limit: 1 << 30, path: path)
        guard let last = bytes.lastIndex(of: UInt8(ascii: "\n")) else { return }
        offset += off_t(last + 1)
        for line in String(decoding: bytes[..<last], as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 3, let event = NotedEvent(words[2]) else {
                problems.append("not a note: \(line)")
                continue
            }
            if words[0] == "end" {
                done.insert(event)
                continue
            }
            if begun[event] == nil, let before = event.before, !done.contains(before) {
                problems.append("\(event) was begun before \(before) was done")
            }
            begun[event, default: []].append(String(words[1]))
        }
    }

    /// The daemons of which a delivery came again, each as often as that was so.
    ///
    /// (What a daemon began just before it was killed may be noted later than what the next one began. And what came
    /// again may wait for the daemon after that, where the next one was killed soon.)
    var repeated: [String] { begun.values.flatMap { $0.sorted().dropLast() } }
}

/// What a `pipe` hook was given, by the processes that it was.
struct PipeNotes {
    /// A script that keeps what a pipe hook is given, in a file of each process's own, and gives it to that.
    static func script(_ name: String, _ program: String) -> String {
        "tee \(name).$LIFE.$(date +%s%N).in | \(program) \"$@\"\n"
    }

    /// The events that came to each process, by its daemon.
    let lives: [(life: String, events: [NotedEvent])]
    /// All of them, in the order in which they came first.
    let events: [NotedEvent]
    /// What was not in order.
    let problems: [String]

    init(_ name: String, in directory: TemporaryDirectory) throws {
        var lives: [(life: String, events: [NotedEvent])] = []
        var known: Set<NotedEvent> = []
        var events: [NotedEvent] = []
        var problems: [String] = []
        let names = try DirectoryEntry.names(in: directory.path).filter {
            $0.hasPrefix("\(name).") && $0.hasSuffix(".in")
        }
        for file in names.sorted() {
            var given: [NotedEvent] = []
            let bytes = try Files.read(directory.path(file), limit: 1 << 30)
            // Of a line that isn't complete nothing can be acknowledged.
            let whole = bytes[..<(bytes.lastIndex(of: UInt8(ascii: "\n")) ?? 0)]
            for line in whole.split(separator: UInt8(ascii: "\n")) {
                guard let event = (try? Event(line: Array(line))).flatMap({ NotedEvent($0.identifier) })
                else {
                    problems.append("\(file): \(String(decoding: line, as: UTF8.self))")
                    continue
                }
                given.append(event)
                guard known.insert(event).inserted else { continue }
                events.append(event)
                if let before = event.before, !known.contains(before) {
                    problems.append("\(file): \(event) came before \(before)")
                }
            }
            lives.append((String(file.dropFirst(name.utf8.count + 1).dropLast(3)), given))
        }
        self.lives = lives
        self.events = events
        self.problems = problems
    }
}
