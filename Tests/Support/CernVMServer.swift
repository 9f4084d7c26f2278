// A CernVM-FS repository on a publisher node: as the stand-in in cvmfs-server/ plays it, or, for the tests that can have
// it, of the real server that this machine has (`CVMFS_SERVER=real`).

import CLinux
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

    /// Whether the tests that can are to use the real server. It has neither a journal nor faults.
    package static let isReal = ProcessEnvironment.current["CVMFS_SERVER"] == "real"

    private let isReal: Bool
    /// Runs the stand-in for an owner who is not root.
    private let relay: RunningCommand?
    private let relayDirectory: TemporaryDirectory?
    private let held: SharedDescriptor?

    /// - Parameters:
    ///   - isBehindGateway: whether a gateway gives leases on its paths.
    ///   - owner: whose the repository is.
    ///   - real: whether it is one of the real server.
    package init(isBehindGateway: Bool = false, owner: String = "root", real: Bool = isReal) throws {
        name = "t\(RandomIdentifier.hex(6)).test.example"
        isReal = real
        let gateway = isBehindGateway ? ["-u", "gw,/srv/cvmfs/txn,http://localhost:4929/api/v1"] : []
        try runSuccessfully(Self.program(real), ["mkfs", "-o", owner] + gateway + [name])
        guard owner != "root", !real else {
            relay = nil
            relayDirectory = nil
            held = nil
            return
        }
        let directory = try TemporaryDirectory()
        let (socket, input) = (directory.path("socket"), directory.path("input"))
        guard mkfifo(input, 0o600) == 0 else { throw SystemError("make", input) }
        held = SharedDescriptor(try OwnedDescriptor(opening: input, O_RDWR))
        let uid = try run("id", ["-u", owner]).output.filter(\.isNumber)
        let relay = try RunningCommand("\(Self.programs)/owner.py", ["serve", socket, uid], input: input)
        try waitUntil("commands can be run for the owner") { relay.outputSoFar == "ready\n" }
        let script = "#!/bin/sh\nexec '\(directory.path("owner.py"))' call '\(socket)' \"$@\"\n"
        try runSuccessfully("cp", ["\(Self.programs)/owner.py", directory.path])
        try Files.makeDirectories(directory.path("programs"))
        try Files.replace(directory.path("programs/cvmfs_server"), with: Array(script.utf8), sync: false)
        try runSuccessfully("chmod", ["-R", "a+rX,u+x", directory.path])
        try runSuccessfully("chmod", ["755", directory.path("programs/cvmfs_server")])
        self.relay = relay
        relayDirectory = directory
    }

    deinit {
        relay?.signal(SIGTERM)
        _ = try? run(Self.program(isReal), ["rmfs", "-f", name])
    }

    private static func program(_ real: Bool) -> String { real ? "cvmfs_server" : "\(programs)/cvmfs_server" }

    /// What a program needs to find this repository's server.
    package var environment: [String: String] {
        if isReal { return [:] }
        guard let relayDirectory else { return Self.environment }
        let path = ProcessEnvironment.current["PATH"] ?? "/usr/bin:/bin"
        return ["PATH": "\(relayDirectory.path("programs")):\(path)"]
    }

    /// What a program needs to find the server.
    package static var environment: [String: String] {
        isReal ? [:] : ["PATH": "\(programs):\(ProcessEnvironment.current["PATH"] ?? "/usr/bin:/bin")"]
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
        try run(Self.program(isReal), arguments)
    }

    /// What the server did: one line an operation.
    package struct Operation: Decodable, Sendable {
        package let operation: String
        package let exit: Int
        /// How much of files' content an archive brought.
        package let bytes: Int
        package let before: Int
        package let after: Int
        /// How many hard links of its archive named another link.
        var chained: Int?
    }

    /// How many hard links named another link, in all archives so far: whether a server takes those depends on how they
    /// are called. Of a real server it isn't known.
    package func chainedLinks() throws -> Int { try operations().reduce(0) { $0 + ($1.chained ?? 0) } }

    /// All operations so far; of a real server what its revisions tell.
    package func operations() throws -> [Operation] {
        if isReal {
            return try (1..<revision()).map {
                Operation(operation: "ingest", exit: 0, bytes: 0, before: $0, after: $0 + 1)
            }
        }
        let path = "\(spool)/.stand-in/journal"
        guard Files.exists(path) else { return [] }
        return try Files.read(path, limit: 1 << 24).split(separator: UInt8(ascii: "\n")).map {
            try JSONDecoder().decode(Operation.self, from: Data($0))
        }
    }

    /// The last published revision.
    package func revision() throws -> Int {
        if !isReal { return try operations().last?.after ?? 1 }
        var value = [UInt8](repeating: 0, count: 32)
        let count = getxattr(mounted, "user.revision", &value, value.count)
        guard count > 0, let number = Int(String(decoding: value[..<count], as: UTF8.self)) else {
            throw SystemError("read the revision of", mounted)
        }
        return number
    }

    /// Whether the server finds its catalogues whole.
    package func isWhole() throws -> Bool {
        try run(Self.program(isReal), ["check"] + (isReal ? ["-i"] : []) + [name]).code == 0
    }

    /// Lets a step of the server be slow, or fail.
    ///
    /// - Parameter fault: as JSON; cvmfs-server/faults.py says what there is.
    package func setFault(_ step: String, _ fault: String) throws {
        guard !isReal else { throw SupportError("a real server has no faults") }
        let directory = "\(spool)/.stand-in/faults"
        try Files.makeDirectories(directory)
        try Files.replace("\(directory)/\(step)", with: Array(fault.utf8), sync: false)
    }

    /// Ends a fault.
    package func clearFault(_ step: String) { unlink("\(spool)/.stand-in/faults/\(step)") }
}
