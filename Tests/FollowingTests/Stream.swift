// A stream on disk that tests write, rotate and follow.

import Following
import Glibc
import Notifications
import Platform
import Support

/// A notification file of a test's own, with numbered events.
final class Stream {
    let directory: TemporaryDirectory
    let path: String
    private(set) var written: [Int] = []

    init() throws {
        directory = try TemporaryDirectory()
        path = directory.path("notifications.log")
    }

    /// The line of an event, without its end.
    static func line(_ number: Int) -> String {
        "{\"action\":\"publish_layer\",\"event_id\":\"run:\(number)\",\"layer\":\"\(number)\"}"
    }

    /// Appends text as it is.
    func append(_ text: String, to name: String = "notifications.log") throws {
        try directory.append(Array(text.utf8), to: name)
    }

    /// Appends the next events.
    func emit(_ count: Int = 1, to name: String = "notifications.log") throws {
        for _ in 0..<count {
            let number = written.count + 1
            try append(Self.line(number) + "\n", to: name)
            written.append(number)
        }
    }

    /// A writer that keeps the file open, as one does that was suspended between its look and its write.
    func holdingWriter(_ name: String = "notifications.log") throws -> SharedDescriptor {
        SharedDescriptor(try OwnedDescriptor(opening: directory.path(name), O_WRONLY | O_APPEND))
    }

    /// The next events, written by such a writer.
    func emit(_ count: Int = 1, by writer: SharedDescriptor) throws {
        for _ in 0..<count {
            let number = written.count + 1
            try Files.writeAll(Array((Self.line(number) + "\n").utf8), to: writer.raw, path: path)
            written.append(number)
        }
    }

    /// Compresses a rotated file, as logrotate does it.
    func compress(_ name: String, _ tool: [String] = ["gzip"]) throws {
        try runSuccessfully(tool[0], tool.dropFirst() + [directory.path(name)])
    }

    func rename(_ from: String = "notifications.log", to: String) throws {
        guard Glibc.rename(directory.path(from), directory.path(to)) == 0 else {
            throw SystemError("rename", from)
        }
    }

    /// Rotates as logrotate does: .1 becomes .2, the live file .1.
    func rotate(create: Bool = true) throws {
        let names = try DirectoryEntry.names(in: directory.path)
        let rotated = names.compactMap { name -> (number: Int, ending: String)? in
            let parts = name.split(separator: ".")
            guard parts.count > 2, parts[0] == "notifications", let number = Int(parts[2]) else { return nil }
            return (number, parts.dropFirst(3).map { ".\($0)" }.joined())
        }
        for (number, ending) in rotated.sorted(by: { $0.number > $1.number }) {
            try rename("notifications.log.\(number)\(ending)", to: "notifications.log.\(number + 1)\(ending)")
        }
        try rename(to: "notifications.log.1")
        if create { try append("") }
    }

    func follower(
        _ start: StartPosition = .beginning, rotated: [String] = [], rotateWait: Double = 5
    ) throws -> StreamFollower {
        try StreamFollower(path: path, rotated: rotated, start: start, watcher: nil, rotateWait: rotateWait)
    }
}

/// What a follower has to tell now: the events' numbers, and the notices.
func drain(_ follower: StreamFollower) throws -> (numbers: [Int], notices: [String]) {
    var numbers: [Int] = []
    var notices: [String] = []
    while let followed = try follower.next() {
        switch followed {
        case .event(let event):
            numbers.append(event[.layer].flatMap { Int($0) } ?? -1)
            follower.lastEventIdentifier = event.identifier
        case .unreadable(let problem, _, let file): notices.append("\(file): \(problem.reason)")
        case .notice(let text): notices.append(text)
        case .passedOver: break
        case .gap(let gap): notices.append("\(gap)")
        }
    }
    return (numbers, notices)
}
