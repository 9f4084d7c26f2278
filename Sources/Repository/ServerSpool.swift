// What a publisher node keeps of one repository, and whose an open transaction is.
//
// A server's transaction has no owner: there is a flag file, which outlives processes and reboots, and whoever runs
// `abort` discards whatever anybody has done. So we note what we do, in a directory of our own in the spool directory:
// before an operation that it begins, and with it the flag's inode and time as soon as that is there. A flag that is not
// the noted one is somebody else's, whatever else the note says, and is never touched.

import CLinux
import FoundationEssentials
import Glibc
import Images
import Platform

/// A repository's spool directory.
struct ServerSpool: Sendable {
    /// The spool directory.
    let path: String

    /// The mounted revision, read-only.
    var mounted: String { "\(path)/rdonly" }
    /// There as long as a transaction is open.
    private var flag: String { "\(path)/in_transaction.lock" }
    private var publishing: String { "\(path)/is_publishing.lock" }
    private var own: String { "\(path)/ducc" }
    private var note: String { "\(own)/operation.json" }
    private var untold: String { "\(own)/untold" }

    /// What we are doing, or were when we were killed.
    struct Operation: Codable {
        /// The boot it was begun in.
        let boot: String
        /// The process that began it.
        let process: pid_t
        /// The server's process group; 0 before it runs.
        var group: pid_t
        /// The flag of the transaction that it opened; nil as long as it wasn't seen.
        var flag: Flag?
    }

    /// A flag file, as one of many that there are one after the other. It is empty, so that it is written when it is made:
    /// not the time of its last change, for the server gives it to the repository's owner after that.
    struct Flag: Codable, Equatable {
        let inode: UInt64
        let seconds: Int
        let nanoseconds: Int
    }

    // MARK: - The mounted revision

    /// A revision's mount, as one of many that there are one after the other.
    struct Mount: Equatable {
        /// Its lines in the table of mounts: its number there may be used again.
        fileprivate let lines: [Substring]
        /// What the file system says of itself (`attr -g revision`).
        fileprivate let revision: [UInt8]
    }

    /// What is mounted; nil where nothing is.
    var mount: Mount? {
        let table = (try? Files.read("/proc/self/mountinfo", limit: 16 << 20)) ?? []
        // ID, parent, device, root, mount point (proc_pid_mountinfo(5)).
        let lines = String(decoding: table, as: UTF8.self).split(separator: "\n").filter { line in
            line.split(separator: " ", maxSplits: 5).dropFirst(4).first.map(String.init) == mounted
        }
        if lines.isEmpty { return nil }
        var revision = [UInt8](repeating: 0, count: 32)
        let count = getxattr(mounted, "user.revision", &revision, revision.count)
        // Its file system has died.
        if count < 0, [ENOTCONN, EIO, ESTALE].contains(errno) { return nil }
        return Mount(lines: lines, revision: Array(revision.prefix(max(0, count))))
    }

    // MARK: - Transactions

    /// The flag of the transaction that is open; nil where none is.
    var openTransaction: Flag? {
        var information = stat()
        guard lstat(flag, &information) == 0 else { return nil }
        return Flag(
            inode: UInt64(information.st_ino), seconds: information.st_mtim.tv_sec,
            nanoseconds: information.st_mtim.tv_nsec)
    }

    /// What was noted of an operation that ended without saying so.
    ///
    /// - Throws: `SystemError` where it can't be read.
    func operation() throws(SystemError) -> Operation? {
        try Files.readIfPresent(note, limit: 1 << 16).flatMap {
            RepositoryJSON.decode(Operation.self, from: $0)
        }
    }

    /// Makes the directory again that the union of an open transaction writes to, where a server was killed after it had
    /// moved the old one away.
    ///
    /// - Throws: `SystemError`.
    func restoreScratch() throws(SystemError) {
        let scratch = "\(path)/scratch/current"
        guard try Files.mode(of: scratch) == nil else { return }
        try Files.makeDirectories(scratch)
        var information = stat()
        guard stat(path, &information) == 0 else { throw SystemError("look at", path) }
        // As root: it is the repository owner's.
        if information.st_uid != geteuid(), chown(scratch, information.st_uid, information.st_gid) != 0 {
            throw SystemError("set the owner of", scratch)
        }
    }

    /// Notes an operation.
    ///
    /// - Throws: `SystemError`, `EncodingError`.
    func write(_ operation: Operation) throws {
        try Files.makeDirectories(own)
        try Files.replace(note, with: try RepositoryJSON.encode(operation), sync: operation.group == 0)
    }

    /// The operation has ended.
    func forgetOperation() {
        unlink(note)
        // Whoever notes something has the lock that our caller has: these are of processes that were killed at it.
        for directory in [own, untold] { Files.removeTemporaries(in: directory) }
    }

    /// Whether a process publishes just now: it has the lock of that (`flock`), which `/proc/locks` tells without taking it.
    var isPublishing: Bool {
        var information = stat()
        guard stat(publishing, &information) == 0,
            let bytes = try? Files.read("/proc/locks", limit: 16 << 20)
        else { return false }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").contains { line in
            line.contains(" FLOCK ") && line.contains(":\(information.st_ino) ")
        }
    }

    static var boot: String {
        let bytes = (try? Files.read("/proc/sys/kernel/random/boot_id", limit: 100)) ?? []
        return String(decoding: bytes.filter { $0 > 0x20 }, as: UTF8.self)
    }

    // MARK: - What nobody was told of

    /// A publication that somebody has yet to be told of.
    struct Untold: Codable {
        /// When the image was published, as its record has it: of that publication and of no other.
        let published: String
        let unannounced: ImageRecord.Unannounced
    }

    private func untoldPath(_ publicPath: String) -> String {
        "\(untold)/\(SHA256.hex(of: Array(publicPath.utf8)).prefix(32)).json"
    }

    private func untoldNotes(_ publicPath: String) throws(SystemError) -> [Untold] {
        try Files.readIfPresent(untoldPath(publicPath), limit: 1 << 20)
            .flatMap { RepositoryJSON.decode([Untold].self, from: $0) } ?? []
    }

    /// What nobody was told of the image at a path.
    ///
    /// - Parameter published: when it was published, as its record has it.
    ///
    /// - Throws: `SystemError`.
    func untold(_ publicPath: String, published: String) throws(SystemError) -> ImageRecord.Unannounced? {
        try untoldNotes(publicPath).first { $0.published == published }?.unannounced
    }

    /// Notes what somebody has to be told of, before it becomes visible. What is visible until then stays noted: its
    /// successor may fail.
    ///
    /// - Parameter visible: when the image was published that is visible; nil: there is none.
    /// - Throws: `SystemError`, `EncodingError`.
    func note(_ untold: Untold, of publicPath: String, over visible: String?) throws {
        try Files.makeDirectories(self.untold)
        let notes = try untoldNotes(publicPath).filter { $0.published == visible } + [untold]
        try Files.replace(untoldPath(publicPath), with: try RepositoryJSON.encode(notes))
    }

    /// It was told.
    func forgetUntold(_ publicPath: String) { unlink(untoldPath(publicPath)) }
}
