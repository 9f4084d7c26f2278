// What commands ask of a running daemon: a file each in the state directory, and an answer beside it. The daemon's state
// is never written behind its back.

import Following
import FoundationEssentials
import Glibc
import Platform
import YAML

/// What is asked of a daemon.
package struct Request: Codable, Sendable {
    /// The kinds of requests.
    package enum Action: String, Codable, Sendable {
        case pause, resume
        /// Dead letters are delivered once more.
        case replay
        /// Dead letters are removed.
        case drop
        /// A hook goes on at the cursor that comes with this, or as one that has none.
        case move
    }

    package let action: Action
    package let hook: String
    /// The events that are meant; nil: all there are.
    package let identifiers: [String]?
    /// Where the hook goes on.
    package let cursor: Cursor?

    package init(_ action: Action, hook: String, identifiers: [String]? = [], cursor: Cursor? = nil) {
        self.cursor = cursor
        self.action = action
        self.hook = hook
        self.identifiers = identifiers
    }
}

/// What was asked can't be done.
package struct RequestError: Error, CustomStringConvertible, Sendable {
    package enum Kind: Sendable {
        /// It can't be meant.
        case mistaken
        /// What it is about isn't there.
        case missing
        /// Nobody is there to do it, or not now.
        case unavailable
    }

    package let description: String
    package let kind: Kind

    package init(_ description: String, _ kind: Kind = .unavailable) {
        self.description = description
        self.kind = kind
    }
}

extension Configuration {
    /// Demands that there is a hook of this name.
    ///
    /// - Parameter file: the configuration's name, for what is said.
    /// - Throws: `RequestError`.
    package func requireHook(named name: String, file: String) throws(RequestError) {
        let names = hooks.map(\.name)
        if names.contains(name) { return }
        let near = Suggestion.nearest(to: name, in: names).map { ", did you mean \($0)?" }
        throw RequestError("\(file) has no hook '\(name)'\(near ?? "")", .mistaken)
    }
}

/// The directory of requests.
package struct RequestBox: Sendable {
    /// Where they are: a daemon watches it.
    package let directory: String

    package init(_ state: StateDirectory) { directory = "\(state.path)/requests" }

    private struct Answer: Codable { let error: String? }

    /// More than fits a command's arguments.
    private static let longestRequest = 16 << 20
    /// How long a command waits for its answer, in seconds.
    private static let patience = 10

    /// Answers what was asked since the last time.
    ///
    /// - Parameter body: does it.
    package func answer(_ body: (Request) throws(RequestError) -> Void) {
        for name in (try? DirectoryEntry.names(in: directory)) ?? [] where name.hasSuffix(".json") {
            let path = "\(directory)/\(name)"
            var answer = Answer(error: nil)
            do throws(RequestError) {
                let request = try read(path)
                unlink(path)
                try body(request)
            } catch {
                unlink(path)
                answer = Answer(error: error.description)
            }
            guard let data = try? JSONEncoder().encode(answer) else { continue }
            try? Files.replace(
                "\(directory)/\(name.dropLast(".json".utf8.count)).answer", with: Array(data), mode: 0o600,
                sync: false)
        }
    }

    private func read(_ path: String) throws(RequestError) -> Request {
        do {
            let bytes = try Files.read(path, limit: Self.longestRequest)
            return try JSONDecoder().decode(Request.self, from: Data(bytes))
        } catch { throw RequestError("the daemon can't read the request: \(error)") }
    }

    /// Removes what no command can be waiting for any more: it is older than any of them waits, by far.
    func removeLeftovers() {
        let limit = time(nil) - 6 * Self.patience
        for name in (try? DirectoryEntry.names(in: directory)) ?? [] {
            var information = stat()
            if stat("\(directory)/\(name)", &information) == 0, information.st_mtim.tv_sec < limit {
                unlink("\(directory)/\(name)")
            }
        }
    }

    /// Asks the daemon that has the directory.
    ///
    /// - Parameter isAlone: tries whether nobody has it any more: it was another command, or a daemon that has stopped.
    /// - Returns: whether the daemon has done it; if not, nobody has the directory any more.
    /// - Throws: `RequestError` with the daemon's reason, or where it doesn't answer; `SystemError`, `Interrupted`.
    package func ask(_ request: Request, isAlone: () throws -> Bool) throws -> Bool {
        let data = try JSONEncoder().encode(request)
        let name = "\(directory)/\(RandomIdentifier.uuid())"
        try Files.replace("\(name).json", with: Array(data), mode: 0o600, sync: false)
        // Whatever ends the wait: what wasn't answered must not be done later, when nobody knows of it any more.
        defer { unlink("\(name).json") }
        let end = MonotonicClock.nanoseconds() + UInt64(Self.patience) * 1_000_000_000
        while MonotonicClock.nanoseconds() < end {
            if let bytes = try? Files.read("\(name).answer", limit: 1 << 20) {
                unlink("\(name).answer")
                if let error = (try? JSONDecoder().decode(Answer.self, from: Data(bytes)))?.error {
                    throw RequestError(error)
                }
                return true
            }
            // Whoever had it may have answered last of all.
            if try isAlone(), !Files.exists("\(name).answer") { return false }
            try Interruption.sleep(milliseconds: 10)
        }
        throw RequestError("the daemon did not answer within \(Self.patience) s")
    }
}
