// What became of events that a daemon delivered to a hook `a`.

import Glibc
import Platform
import Support

extension Follow {
    /// One hook `a` that delivers everything by a program in the directory.
    static func hook(_ kind: String = "exec", _ words: [String] = ["./hook"], _ further: String = "")
        -> String
    {
        let list = words.map { "'\($0)'" }.joined(separator: ", ")
        return "  - {name: a, \(kind): [\(list)], from: start, \(further.isEmpty ? "" : "\(further), ")"
            + "kill_after: 200ms}\n"
    }

    /// What its hook `a` could not be told: each event's layer, and how its attempts ended.
    func deadLetters() throws -> [String] {
        let letters = directory.path("state/dead/a.jsonl")
        guard Files.exists(letters) else { return [] }
        let filter = #".event.layer + ": " + ([.attempts[].outcome] | join(", "))"#
        return try runSuccessfully("jq", ["-r", filter, letters]).split(separator: "\n").map(String.init)
    }

    /// Whether a program has one of the directory's files open.
    func isOpen(_ name: String, in running: RunningCommand) throws -> Bool {
        let descriptors = "/proc/\(running.process.identifier)/fd"
        return try DirectoryEntry.names(in: descriptors).contains {
            Files.linkTarget("\(descriptors)/\($0)") == directory.path(name)
        }
    }

    /// The process whose number is in a file of the directory.
    func process(_ name: String) -> pid_t? { lines(name).last.flatMap { pid_t($0) } }
}

/// Whether a process is there, and not only waiting to be collected.
func isRunning(_ process: pid_t) -> Bool {
    ((try? text(of: "/proc/\(process)/stat")) ?? ") Z").contains(") Z") == false
}
