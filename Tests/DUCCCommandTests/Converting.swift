import Glibc
import Notifications
import Platform
import Support
import Testing

/// A directory with a repository, a layout and a notification file, and the program that fills them.
///
/// At its end each line of the notification file is validated against the schema.
final class Converting: Sendable {
    let directory: TemporaryDirectory
    /// The repository's name, as the program is given it.
    let repository: String
    /// Where its content can be read.
    let root: String
    /// The repository's server, where it is one of CernVM-FS.
    let server: CernVMServer?
    let layout: String
    let log: String

    /// - Parameters:
    ///   - repository: where it is, if not in the directory.
    ///   - server: publishes it; nil: it is a directory.
    init(
        _ directory: TemporaryDirectory? = nil, repository: String? = nil, server: CernVMServer? = nil
    ) throws {
        self.directory = try directory ?? TemporaryDirectory()
        let directory = self.directory
        let isServer = BothRepositories.isServer && repository == nil
        let server = try server ?? (isServer ? CernVMServer() : nil)
        self.server = server
        self.repository = repository ?? server?.name ?? directory.path("repository")
        root = server?.mounted ?? self.repository
        layout = directory.path("layout")
        log = directory.path("notifications.log")
        if server != nil { try Files.makeDirectories(temporary) }
    }

    /// Where images are put together that go to a server.
    private var temporary: String { directory.path("temporary") }

    deinit { validate() }

    /// Every line that was emitted is as the schema says.
    func validate() {
        guard Files.exists(log) else { return }
        do {
            let problems = try SchemaValidation.problems(in: log)
            #expect(problems.isEmpty, "\(problems.joined(separator: "\n"))")
        } catch { Issue.record(error) }
    }

    /// The lock is one's own, so that tests side by side don't wait for each other.
    var environment: [String: String] {
        let own = ["DUCC_LOCK_FILE": directory.path("lock"), "TZ": "UTC"]
        if server == nil { return own }
        return own.merging(["DUCC_TMP_DIR": temporary]) { $1 }.merging(CernVMServer.environment) { $1 }
    }

    /// Runs the program with the notification file.
    @discardableResult
    func ducc(_ arguments: String...) throws -> CommandResult { try ducc(arguments) }

    @discardableResult
    func ducc(_ arguments: [String], notifying: Bool = true) throws -> CommandResult {
        try start(arguments, notifying: notifying).wait()
    }

    /// Starts the program.
    func start(
        _ arguments: [String], notifying: Bool = true, environment further: [String: String] = [:]
    ) throws -> RunningCommand {
        try RunningCommand(
            Programs.ducc, arguments + (notifying ? ["-n", log] : []),
            environment: environment.merging(further) { $1 })
    }

    /// Converts one image.
    @discardableResult
    func convert(_ image: String, _ options: String...) throws -> CommandResult {
        try ducc(["convert-single-image", image, repository] + options)
    }

    /// Changes what is in the repository, as an administrator does by hand.
    ///
    /// - Parameter change: is given the path at which it can be written.
    func edit(_ change: (String) throws -> Void) throws {
        guard let server else { return try change(repository) }
        try #require(try server.command("transaction", server.name).code == 0)
        try change("/cvmfs/\(server.name)")
        try #require(try server.command("publish", server.name).code == 0)
    }

    /// A path in the repository.
    func path(_ relative: String) -> String { "\(root)/\(relative)" }

    /// All events so far.
    func events() throws -> [Event] {
        try Files.read(log, limit: 1 << 28).split(separator: UInt8(ascii: "\n")).map {
            try Event(line: Array($0))
        }
    }

    /// The actions of all events so far.
    func actions() throws -> [String] { try events().map(\.action.rawValue) }

    /// The last event of an action.
    func last(_ action: Action) throws -> Event? { try events().last { $0.action == action } }

    /// Everything in the repository with its times and inode numbers: equal only where nothing was touched.
    func snapshot() throws -> String {
        try runSuccessfully("find", [root, "-printf", "%p %i %T@ %C@ %s %l\n"])
    }

    /// What is left in staging, but for the lock.
    func staged() throws -> [String] {
        let directory =
            server == nil ? "\(repository)/.ducc-staging" : "\(temporary)/.ducc-spool-\(geteuid())"
        return try DirectoryEntry.names(in: directory).filter { $0 != "repository-lock" }
    }
}
