// Debian's real podman with storage of its own, and a repository's store beside it, read-only as clients have it.

import Glibc
import Platform

/// A podman that finds its images in a repository.
package final class Podman: Sendable {
    private let directory: TemporaryDirectory
    /// Where the repository is seen.
    package let mounted: String
    private let environment: [String: String]

    /// Whether this machine lets us mount and run containers.
    package static let isPossible = geteuid() == 0

    /// The runtime that works here: on a virtual machine with old control groups crun refuses.
    package static let runtime: String? = isPossible ? ["crun", "runc"].first(where: works) : nil

    /// - Parameters:
    ///   - repository: a directory; it is seen through a mount that can't be written to.
    ///   - store: where the store is in it; nil: it is one.
    ///   - usesMetacopy: whether overlay mounts have `metacopy=on`, as README has it for those who build.
    package init(
        over repository: String, store: String? = "podmanStore", usesMetacopy: Bool = true
    ) throws {
        guard let runtime = Self.runtime else {
            throw SupportError("neither crun nor runc runs a container here")
        }
        directory = try TemporaryDirectory()
        mounted = directory.path("repository")
        try Files.makeDirectories(mounted)
        try runSuccessfully("mount", ["--bind", repository, mounted])
        try runSuccessfully("mount", ["-o", "remount,bind,ro", mounted])
        environment = try Self.environment(
            in: directory, store: mounted + (store.map { "/\($0)" } ?? ""), runtime: runtime,
            usesMetacopy: usesMetacopy)
    }

    deinit {
        Self.tearDown(directory, environment)
        _ = try? run("umount", ["--recursive", "--quiet", mounted])
    }

    /// Ends what podman left running, and its mounts. Behind each container a process of its own clears up, which mounts
    /// again what it needs: it comes first.
    private static func tearDown(_ directory: TemporaryDirectory, _ environment: [String: String]) {
        _ = try? run("podman", ["rm", "--all", "--force", "--time", "0"], environment: environment)
        try? waitUntil("no process of podman's is left") {
            try run("pgrep", ["-f", directory.path]).code != 0
        }
        for path in [directory.path("graph/overlay"), directory.path("run")] {
            _ = try? run("umount", ["--recursive", "--quiet", path])
        }
    }

    /// Runs podman.
    @discardableResult
    package func callAsFunction(_ arguments: String...) throws -> CommandResult {
        try callAsFunction(arguments)
    }

    @discardableResult
    package func callAsFunction(_ arguments: [String]) throws -> CommandResult {
        try Support.run("podman", arguments, environment: environment, directory: directory.path)
    }

    /// Runs a command in an image, and gives what it prints.
    package func output(of image: String, _ command: String...) throws -> String {
        let result = try callAsFunction(
            ["run", "--rm", "--network", "none", "--pull", "never", image] + command)
        guard result.code == 0 else { throw SupportError("podman run \(image): \(result.errors)") }
        return result.output
    }

    /// The images' names, sorted.
    package func names() throws -> [String] {
        let result = try callAsFunction("images", "--format", "{{.Repository}}:{{.Tag}}")
        guard result.code == 0 else { throw SupportError("podman images: \(result.errors)") }
        return result.output.split(separator: "\n").map(String.init).sorted()
    }

    /// A podman that stays and answers others.
    package struct Service {
        let socket: String
        private let process: RunningCommand

        init(_ process: RunningCommand, socket: String) {
            self.process = process
            self.socket = socket
        }
    }

    /// Starts a podman that stays, as `podman.service` does.
    package func service() throws -> Service {
        let socket = directory.path("socket")
        let process = try RunningCommand(
            "podman", ["system", "service", "--time", "0", "unix://\(socket)"], environment: environment)
        try waitUntil("podman's service listens") { Files.exists(socket) }
        return Service(process, socket: socket)
    }

    /// The images' names as a podman that stays knows them, sorted.
    package func names(by service: Service) throws -> [String] {
        let result = try callAsFunction(
            "--remote", "--url", "unix://\(service.socket)", "images", "--format", "{{.Repository}}:{{.Tag}}")
        guard result.code == 0 else { throw SupportError("podman --remote images: \(result.errors)") }
        return result.output.split(separator: "\n").map(String.init).sorted()
    }

    /// Makes an image out of a Containerfile.
    package func build(_ name: String, _ file: String) throws -> CommandResult {
        try directory.write("context/Containerfile", file)
        return try callAsFunction(
            "build", "--isolation", "chroot", "--pull=never", "--tag", name, directory.path("context"))
    }

    /// How much was written into podman's own storage for layers.
    package func ownLayers() throws -> [String] {
        try DirectoryEntry.names(in: directory.path("graph/overlay")).filter { $0.utf8.count == 64 }
    }

    private static func environment(
        in directory: TemporaryDirectory, store: String?, runtime: String, usesMetacopy: Bool = true
    ) throws -> [String: String] {
        // What README tells a client's administrator to write.
        let storage = try directory.write(
            "storage.conf",
            """
            [storage]
            driver = "overlay"
            runroot = "\(directory.path("run"))"
            graphroot = "\(directory.path("graph"))"
            [storage.options]
            additionalimagestores = [\(store.map { "\"\($0)\"" } ?? "")]
            [storage.options.overlay]
            mountopt = "nodev\(usesMetacopy ? ",metacopy=on" : "")"
            """)
        // A machine's fixed limits and old control groups are no matter of the images'.
        let engine = try directory.write(
            "containers.conf",
            """
            [containers]
            default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
            [engine]
            runtime = "\(runtime)"
            cgroup_manager = "cgroupfs"
            events_logger = "none"
            lock_type = "file"
            tmp_dir = "\(directory.path("libpod"))"
            """)
        return ["CONTAINERS_STORAGE_CONF": storage, "CONTAINERS_CONF": engine]
    }

    private static func works(_ runtime: String) -> Bool {
        guard let directory = try? TemporaryDirectory(),
            let environment = try? environment(in: directory, store: nil, runtime: runtime),
            (try? Files.makeDirectories(directory.path("root/bin"))) != nil,
            (try? run("cp", ["/bin/busybox", directory.path("root/bin/busybox")]))?.code == 0
        else { return false }
        let result = try? run(
            "podman",
            ["run", "--rm", "--network", "none", "--rootfs", directory.path("root"), "/bin/busybox", "true"],
            environment: environment)
        tearDown(directory, environment)
        return result?.code == 0
    }
}
