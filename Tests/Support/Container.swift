// Ways to run a program in a root directory: what an administrator has, from the bare system call to podman.

import FoundationEssentials
import Platform

/// A way to run a program in a published image, which is seen through a mount that can't be written to.
package enum Container: String, CaseIterable, Sendable {
    case chroot, runc, crun, podmanRootfs, podmanStore

    /// A user without privileges.
    private static let user = 1000

    /// Runs a program as somebody without privileges.
    ///
    /// - Parameters:
    ///   - image: the image's name in podman's store.
    ///   - root: the path of its flat image in the repository.
    package func run(
        _ program: [String], image: String, root: String, in repository: String
    ) throws -> CommandResult {
        let podman = try Podman(over: repository)
        // Neither runc nor podman takes a link.
        let flat = try runSuccessfully("realpath", ["\(podman.mounted)/\(root)"]).dropLast()
        let root = String(flat)
        let common = ["run", "--rm", "--network", "none", "--user", "\(Self.user)"]
        switch self {
        case .chroot:
            return try Support.run("chroot", ["--userspec=\(Self.user):\(Self.user)", root] + program)
        case .runc, .crun: return try Self.run(program, in: root, by: rawValue)
        case .podmanRootfs: return try podman(common + ["--rootfs", "\(root):O"] + program)
        case .podmanStore: return try podman(common + ["--pull", "never", image] + program)
        }
    }

    /// Whether this machine lets us: on a virtual machine with old control groups crun refuses.
    package var isPossible: Bool {
        guard Podman.isPossible else { return false }
        guard self == .crun else { return true }
        guard let directory = try? TemporaryDirectory(),
            (try? Files.makeDirectories(directory.path("bin"))) != nil,
            (try? Support.run("cp", ["/bin/busybox", directory.path("bin/busybox")]))?.code == 0
        else { return false }
        return (try? Self.run(["/bin/busybox", "true"], in: directory.path, by: "crun"))?.code == 0
    }

    /// Runs a bundle whose root is the directory (runtime-spec, config.md).
    private static func run(_ program: [String], in root: String, by runtime: String) throws -> CommandResult
    {
        let bundle = try TemporaryDirectory()
        try runSuccessfully(runtime, ["spec", "--bundle", bundle.path])
        let edit = """
            .root = {path: $root, readonly: true} | .process.terminal = false | .process.args = $ARGS.positional
            | .process.user = {uid: \(user), gid: \(user)} | .process.noNewPrivileges = false
            | .process.capabilities.bounding += ["CAP_DAC_OVERRIDE", "CAP_SETUID"]
            """
        let configuration = try runSuccessfully(
            "jq", ["--arg", "root", root, edit, bundle.path("config.json"), "--args", "--"] + program)
        try bundle.write("config.json", configuration)
        return try Support.run(
            runtime,
            [
                "--root", bundle.path("state"), "run", "--bundle", bundle.path,
                "ducc-test-\(RandomIdentifier.hex(8))",
            ])
    }
}
