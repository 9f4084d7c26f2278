// A CernVM-FS repository on its publisher node, written through `cvmfs_server` and read where the node has its last
// revision mounted.

import Glibc
import Images
import Platform

/// A repository of CernVM-FS, or a directory in one.
package struct CernVMRepository: ImageRepository {
    package let name: String
    let content: RepositoryContent
    /// The repository's own name, as the server knows it.
    let server: String
    /// The directory in it that images go to; empty for its root.
    let base: String
    let spool: ServerSpool
    /// Where images are put together; nil: it is only read.
    let temporaryDirectory: String?
    /// Whether it is published through a gateway, which gives a lease on one path at a time.
    let isBehindGateway: Bool

    /// Opens a repository.
    ///
    /// - Parameters:
    ///   - name: `NAME`, or a path below `/cvmfs/`; a directory in the repository may follow.
    ///   - temporaryDirectory: has to have room for the unpacked layers of what is published at a time; nil: the repository
    ///     is only read.
    /// - Throws: `RepositoryError` where this is no publisher node of that repository, `Interrupted`.
    package init(_ name: String, temporaryDirectory: String?) throws {
        let path = name.hasPrefix("/cvmfs/") ? String(name.dropFirst("/cvmfs/".count)) : name
        let parts = path.split(separator: "/").map(String.init)
        guard let server = parts.first, !parts.contains("."), !parts.contains(".."),
            parts.allSatisfy({ !$0.hasPrefix(".cvmfs") && $0.utf8.allSatisfy(Self.isPlain) })
        else {
            throw RepositoryError(
                .noSuchRepository,
                "\(name) can't be the name of a repository: it has letters, digits, '.', '_' and '-', and so have "
                    + "directories in it")
        }
        self.name = parts.joined(separator: "/")
        self.server = server
        self.temporaryDirectory = temporaryDirectory
        base = parts.dropFirst().joined(separator: "/")
        spool = ServerSpool(
            path: Self.setting("CVMFS_SPOOL_DIR", of: server) ?? "/var/spool/cvmfs/\(server)")
        isBehindGateway = Self.setting("CVMFS_UPSTREAM_STORAGE", of: server)?.hasPrefix("gw,") == true
        content = RepositoryContent(root: base.isEmpty ? spool.mounted : "\(spool.mounted)/\(base)")
        try Self.checkServer(server, name, writing: temporaryDirectory != nil)
        if let temporaryDirectory {
            Staging.clean(in: Staging.spool(in: temporaryDirectory))
            do { try recover() } catch let error as SystemError {
                throw RepositoryError(
                    .refused, "what was left of an earlier run on \(server) can't be cleaned up: \(error)")
            }
        }
        _ = try waitForMount()
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f, 0x2b, 0x40, 0x7e: true
        default: false
        }
    }

    /// What the server's settings say.
    private static func setting(_ name: String, of server: String) -> String? {
        let path = "\(configuration(of: server))/server.conf"
        let text = String(decoding: (try? Files.read(path, limit: 1 << 20)) ?? [], as: UTF8.self)
        let line = text.split(separator: "\n").last { $0.hasPrefix("\(name)=") }
        return line.map { String($0.dropFirst(name.utf8.count + 1).filter { $0 != "\"" && $0 != "'" }) }
    }

    /// - Parameter writing: whether it is to be published, for which its web server has to answer.
    private static func checkServer(_ server: String, _ name: String, writing: Bool) throws {
        let text = try listing(of: server, name)
        guard !text.contains("(stratum1 ") else {
            throw RepositoryError(
                .noSuchRepository,
                "\(server) is a replica here (stratum1): images are published on its stratum 0")
        }
        // Each transaction would fail, some minutes after all was downloaded.
        for (state, advice) in [
            ("whitelist unreachable", "is the web server running that serves it?"),
            ("whitelist expired", "cvmfs_server resign \(server) renews it"),
        ] where writing && text.contains("- \(state)") {
            throw RepositoryError(
                .refused, "\(server) can't be published: \(state) (cvmfs_server list): \(advice)")
        }
    }

    /// How often the servers' list is asked for a repository that this node has.
    private static let listings = 5

    /// What `cvmfs_server list` says of a repository.
    private static func listing(of server: String, _ name: String) throws -> Substring {
        var answer: ServerAnswer
        for _ in 0..<listings {
            do { answer = try ServerCommand.run(["list"], isInterruptible: true) } catch {
                try Interruption.check()
                throw RepositoryError(
                    .noSuchRepository,
                    "there is no repository \(name): \(error); a directory's name begins with /, ./ or ../, for instance "
                        + "./\(name)")
            }
            // `NAME (stratum0 / local)`: the name is the first column, and exactly that.
            let lines = answer.output.split(separator: "\n")
            if let text = lines.first(where: { $0.split(separator: " ").first.map(String.init) == server }) {
                return text
            }
            // The list ends where another repository is removed just then.
            guard answer.isDone, try Files.mode(of: configuration(of: server)) == nil else {
                try Interruption.sleep(milliseconds: 200)
                continue
            }
            throw RepositoryError(
                .noSuchRepository,
                "there is no repository \(server) on this node: cvmfs_server list has it not")
        }
        throw RepositoryError(
            .refused,
            "cvmfs_server list does not name \(server), which \(configuration(of: server)) configures")
    }

    private static func configuration(of server: String) -> String { "/etc/cvmfs/repositories.d/\(server)" }

    /// How often one revision after the other may come while something is read.
    private static let readings = 50

    package func reading<Result>(_ body: (RepositoryContent) throws -> Result) throws -> Result {
        for _ in 0..<Self.readings {
            let mount = try waitForMount()
            let result = Swift.Result { try body(content) }
            // Else a server mounted another revision meanwhile: then nothing seems to be there, or a part.
            if spool.mount == mount { return try result.get() }
        }
        throw RepositoryError(.refused, "\(server) is published faster than it can be read: try again later")
    }

    /// Waits until a revision is mounted: where none is, nothing would seem to be published.
    ///
    /// - Throws: `RepositoryError`, `Interrupted`.
    func waitForMount() throws -> ServerSpool.Mount {
        let limit = MonotonicClock.nanoseconds() + Self.timeout
        while true {
            if let mount = spool.mount { return mount }
            // While somebody publishes it is about to be mounted again. After a reboot, or where a server was killed just
            // then, it is mounted on request.
            let isPublishing = spool.isPublishing
            if !isPublishing, spool.mount == nil {
                _ = try? ServerCommand.run(["mount", server], isInterruptible: true)
                try Interruption.check()
            }
            if let mount = spool.mount { return mount }
            guard isPublishing || spool.isPublishing, MonotonicClock.nanoseconds() < limit else {
                throw RepositoryError(
                    .refused,
                    "\(server) is not mounted at \(spool.mounted): cvmfs_server mount \(server) does that")
            }
            try Interruption.sleep(milliseconds: 20)
        }
    }

    /// A path in this repository, as one of the server's.
    func pathInServer(_ path: String) -> String { base.isEmpty ? path : "\(base)/\(path)" }

    /// What paths in an archive begin with. A gateway gives a lease on the directory that an archive is for; else that is
    /// the root, for the directories above it would belong to nobody.
    var archivePrefix: String { isBehindGateway ? "" : pathInServer("") }
    /// What an archive is for.
    var archiveBase: String { isBehindGateway && !base.isEmpty ? base : "/" }

    package func record(_ publicPath: String) throws -> ImageRecord? {
        guard var record = try reading({ try $0.record(publicPath) }) else { return nil }
        if let untold = try spool.untold(publicPath, published: record.published) {
            record.unannounced = untold
        }
        return record
    }

    package var clientPath: String? { name }

    package func note(_ unannounced: ImageRecord.Unannounced?, of publicPath: String) throws {
        guard let unannounced else { return spool.forgetUntold(publicPath) }
        guard let record = try record(publicPath) else { return }
        try spool.note(
            ServerSpool.Untold(published: record.published, unannounced: unannounced), of: publicPath,
            over: nil)
    }

    package func begin(_ plan: PublicationPlan) throws -> any Publication {
        guard let temporaryDirectory else {
            throw RepositoryError(.refused, "\(name) was opened to be read")
        }
        return try CernVMPublication(self, plan, in: temporaryDirectory)
    }
}
