// A CernVM-FS repository on a publisher node, as the stand-in in cvmfs-server/ plays it.

import FoundationEssentials
import Glibc
import Notifications
import Platform

/// A repository of its own; gone at the end, mounts included.
package final class CernVMServer: Sendable {
    /// The repository's name.
    package let name: String
    /// The folder of the stand-in's program.
    package static let programs: String = {
        var parts = #filePath.split(separator: "/").dropLast()
        parts.append("cvmfs-server")
        return "/" + parts.joined(separator: "/")
    }()

    /// Whether this machine lets us have one: its mounts need root.
    package static let isPossible = geteuid() == 0

    /// - Parameter isBehindGateway: whether a gateway gives leases on its paths.
    package init(isBehindGateway: Bool = false) throws {
        name = "t\(RandomIdentifier.hex(6)).test.example"
        let gateway = isBehindGateway ? ["-u", "gw,/srv/cvmfs/txn,http://localhost:4929/api/v1"] : []
        try runSuccessfully(
            "\(Self.programs)/cvmfs_server", ["mkfs", "-o", "root"] + gateway + [name])
    }

    deinit { _ = try? run("\(Self.programs)/cvmfs_server", ["rmfs", "-f", name]) }

    /// What a program needs to find the server.
    package static var environment: [String: String] {
        ["PATH": "\(programs):\(ProcessEnvironment.current["PATH"] ?? "/usr/bin:/bin")"]
    }

    package var spool: String { "/var/spool/cvmfs/\(name)" }
    /// Where the last revision is mounted.
    package var mounted: String { "\(spool)/rdonly" }
    /// Whether a transaction is open.
    package var isInTransaction: Bool { Files.exists("\(spool)/in_transaction.lock") }

    /// Where the program under test notes what it does here.
    package var notes: String { "\(spool)/ducc" }

    /// Waits until the flag of the transaction that is open is noted as the program's own, or gone. That takes some
    /// milliseconds: power that goes in those leaves a flag that nobody can tell whose it is.
    package func waitUntilFlagIsNoted() throws {
        try waitUntil("the flag is noted, or gone") {
            !isInTransaction || (try? text(of: "\(notes)/operation.json").contains("inode")) == true
        }
    }

    /// The process group of the command that a program runs just now; nil where it runs none.
    package static func processGroup(startedBy program: RunningCommand) throws -> pid_t? {
        pid_t(try run("pgrep", ["-P", "\(program.process.identifier)"]).output.filter(\.isNumber))
    }

    /// Runs a command of the server.
    @discardableResult
    package func command(_ arguments: String...) throws -> CommandResult {
        try run("\(Self.programs)/cvmfs_server", arguments)
    }

    /// What the server did: one line an operation.
    package struct Operation: Decodable, Sendable {
        package let operation: String
        package let exit: Int
        /// How much of files' content an archive brought.
        package let bytes: Int
        package let before: Int
        package let after: Int
    }

    /// All operations so far.
    package func operations() throws -> [Operation] {
        let path = "\(spool)/.stand-in/journal"
        guard Files.exists(path) else { return [] }
        return try Files.read(path, limit: 1 << 24).split(separator: UInt8(ascii: "\n")).map {
            try JSONDecoder().decode(Operation.self, from: Data($0))
        }
    }

    /// The last published revision.
    package func revision() throws -> Int { try operations().last?.after ?? 1 }

    /// Whether the server finds its catalogues whole.
    package func isWhole() throws -> Bool { try command("check", name).code == 0 }

    /// Lets a step of the server be slow, or fail.
    ///
    /// - Parameter fault: as JSON; cvmfs-server/faults.py says what there is.
    package func setFault(_ step: String, _ fault: String) throws {
        let directory = "\(spool)/.stand-in/faults"
        try Files.makeDirectories(directory)
        try Files.replace("\(directory)/\(step)", with: Array(fault.utf8), sync: false)
    }

    /// Ends a fault.
    package func clearFault(_ step: String) { unlink("\(spool)/.stand-in/faults/\(step)") }
}
