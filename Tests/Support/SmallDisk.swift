// A small file system that can be filled: in memory, and in a mount namespace of its own, so that it is gone with the
// process that holds it, whatever becomes of the test.

import Glibc
import Platform

/// A mounted tmpfs.
package final class SmallDisk: Sendable {
    /// Its top, as any process reaches it: through the process that has it mounted.
    package let path: String
    /// Its top in its own namespace.
    private let point: String
    private let directory: TemporaryDirectory
    private let holder: RunningCommand
    /// The holder lives until the last writer of its standard input is gone.
    private let input: SharedDescriptor

    /// Whether this machine lets us mount one: as root, or as root of a user namespace.
    package static let isPossible = (try? SmallDisk(kilobytes: 64).write("probe", "x")) != nil

    /// - Parameters:
    ///   - isReadOnly: nothing can be written to it, but there is an empty `notifications.log`.
    ///   - inodes: how many it has; nil: enough.
    package init(kilobytes: Int, isReadOnly: Bool = false, inodes: Int? = nil) throws {
        directory = try TemporaryDirectory()
        point = directory.path("disk")
        try Files.makeDirectories(point)
        let feed = directory.path("feed")
        guard mkfifo(feed, 0o600) == 0 else { throw SystemError("make", feed) }
        input = SharedDescriptor(try OwnedDescriptor(opening: feed, O_RDWR))
        var script =
            "mount -t tmpfs -o size=\(kilobytes)k\(inodes.map { ",nr_inodes=\($0)" } ?? "") none \"$0\""
        if isReadOnly { script += " && : > \"$0/notifications.log\" && mount -o remount,ro \"$0\"" }
        holder = try RunningCommand(
            "unshare",
            [geteuid() == 0 ? "-m" : "-rm", "sh", "-c", script + " && echo mounted && exec cat", point],
            input: feed)
        path = "/proc/\(holder.process.identifier)/root\(point)"
        let end = try holder.process.endDescriptor()
        try waitUntil("the file system is mounted") {
            var descriptor = pollfd(fd: end.raw, events: Int16(POLLIN), revents: 0)
            if poll(&descriptor, 1, 0) == 1 { throw SupportError(try holder.wait().errors) }
            return holder.outputSoFar == "mounted\n"
        }
    }

    /// The path of something on it.
    package func path(_ name: String) -> String { "\(path)/\(name)" }

    @discardableResult
    package func write(_ name: String, _ text: String) throws -> String {
        try Files.replace(path(name), with: Array(text.utf8), sync: false)
        return path(name)
    }

    /// Takes all the space that is left.
    package func fill() throws {
        let file = try OwnedDescriptor(
            opening: path("filler"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, mode: 0o600)
        for size in [64 << 10, 4 << 10] {
            let block = [UInt8](repeating: 0, count: size)
            while Glibc.write(file.raw, block, size) > 0 {}
        }
        guard errno == ENOSPC else { throw SystemError("fill", path) }
    }

    /// Nothing can be written to it any more.
    package func makeReadOnly() throws {
        let namespaces = geteuid() == 0 ? ["-m"] : ["-U", "-m", "--preserve-credentials"]
        try runSuccessfully(
            "nsenter",
            ["-t", "\(holder.process.identifier)"] + namespaces + ["mount", "-o", "remount,ro", point])
    }

    /// Takes or gives back inodes until so many are free.
    package func leaveInodes(_ count: Int) throws {
        try Files.makeDirectories(path("inodes"))
        var information = statvfs()
        guard statvfs(path, &information) == 0 else { throw SystemError("look at", path) }
        let free = Int(information.f_ffree)
        for _ in count..<max(count, free) {
            _ = try OwnedDescriptor(
                opening: path("inodes/\(RandomIdentifier.hex(8))"), O_WRONLY | O_CREAT, mode: 0o600)
        }
        for name in try DirectoryEntry.names(in: path("inodes")).prefix(max(0, count - free)) {
            unlink(path("inodes/\(name)"))
        }
    }

    /// Gives back so much of what `fill` took.
    package func free(kilobytes: Int) throws {
        var information = stat()
        guard stat(path("filler"), &information) == 0,
            truncate(path("filler"), max(0, Int(information.st_size) - (kilobytes << 10))) == 0
        else { throw SystemError("shorten", path("filler")) }
    }

    /// Gives back what `fill` took.
    package func free() { unlink(path("filler")) }
}
