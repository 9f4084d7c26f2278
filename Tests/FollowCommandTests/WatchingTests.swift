// How the program learns that something happened, and what it may learn of writers, on systems that don't tell.

import Glibc
import Notifications
import Platform
import Support
import Testing

struct WatchingTests {
    let follow: Follow
    init() throws { follow = try Follow() }

    /// Whether the program has the renamed file open.
    private func holdsRenamed(_ running: RunningCommand) throws -> Bool {
        try follow.isOpen("notifications.log.1", in: running)
    }

    private func emit(_ number: Int) throws {
        try follow.writer().emit(.publishTest, [(.layer, "\(number)")])
    }

    private func waitFor(_ numbers: ClosedRange<Int>, _ running: RunningCommand) throws {
        try waitUntil("events \(numbers)") { try layers(running.outputSoFar) == numbers.map { "\($0)" } }
    }

    /// Rotates while a writer has the file.
    private func rotateUnderWriter(_ running: RunningCommand) throws -> SharedDescriptor {
        try waitFor(1...1, running)
        let writer = SharedDescriptor(try OwnedDescriptor(opening: follow.path, O_WRONLY | O_APPEND))
        rename(follow.path, follow.path + ".1")
        try emit(2)
        try waitFor(1...2, running)
        return writer
    }

    @Test("a writer that closes a renamed file is noticed, although nothing else happens")
    func writerCloses() throws {
        try emit(1)
        let running = try follow.start(["--lines", "10"])
        var writer: SharedDescriptor? = try rotateUnderWriter(running)
        #expect(try holdsRenamed(running))
        withExtendedLifetime(writer) {}
        writer = nil
        try waitUntil("the renamed file is finished") { try !holdsRenamed(running) }
    }

    @Test(
        "who may ask for no lease waits until a renamed file was quiet, whoever has it",
        .enabled(if: geteuid() == 0))
    func noLease() throws {
        try emit(1)
        #expect(chown(follow.path, 65534, 65534) == 0)
        let running = try RunningCommand(
            "setpriv",
            ["--bounding-set=-lease", Programs.follow, follow.path, "--lines", "10"],
            environment: ["XDG_STATE_HOME": follow.directory.path("state")])
        let writer = try rotateUnderWriter(running)
        #expect(chown(follow.path + ".1", 65534, 65534) == 0)
        #expect(try holdsRenamed(running))
        try waitUntil("the renamed file is finished") { try !holdsRenamed(running) }
        withExtendedLifetime(writer) {}
    }

    @Test("on FUSE, NFS and CIFS it looks from time to time", arguments: [0x6573_5546, 0x6969, 0xff53_4d42])
    func withoutEvents(kind: Int) throws {
        try emit(1)
        let interposed = try Interposed(
            """
            #include <stdint.h>
            #include <sys/vfs.h>
            int statfs(const char *path, struct statfs *found) {
                int (*next)(const char *, struct statfs *) = dlsym(RTLD_NEXT, "statfs");
                int result = next(path, found);
                found->f_type = \(kind);
                return result;
            }
            int inotify_add_watch(int descriptor, const char *path, uint32_t mask) {
                note("watch");
                errno = ENOSPC;
                return -1;
            }
            """, in: follow.directory)
        let running = try follow.start(["--lines", "10"], environment: interposed.environment)
        try waitFor(1...1, running)
        try emit(2)
        try waitFor(1...2, running)
        #expect(try interposed.calls().isEmpty)
    }

    @Test(
        "where the system has no more watches or instances it looks from time to time",
        arguments: ["int inotify_add_watch(int d, const char *p, uint32_t m)", "int inotify_init(void)"])
    func limits(function: String) throws {
        try emit(1)
        let interposed = try Interposed(
            "#include <stdint.h>\n\(function) { note(\"asked\"); errno = ENOSPC; return -1; }",
            in: follow.directory)
        let running = try follow.start(["--lines", "10"], environment: interposed.environment)
        try waitFor(1...1, running)
        rename(follow.path, follow.path + ".1")
        try emit(2)
        try waitFor(1...2, running)
        #expect(try !interposed.calls().isEmpty)
    }

    @Test("more happened than the system's queue holds: nothing is missed")
    func overflow() throws {
        try emit(1)
        let running = try follow.start(["--lines", "10"])
        try waitFor(1...1, running)
        running.signal(SIGSTOP)
        let limit = Int(try text(of: "/proc/sys/fs/inotify/max_queued_events").dropLast()) ?? 16384
        // Each is an event or more.
        for _ in 0...limit / 2 {
            close(open(follow.path + ".x.tmp", O_CREAT | O_WRONLY, 0o600))
            unlink(follow.path + ".x.tmp")
        }
        for number in 2...4 {
            rename(follow.path, follow.path + ".\(5 - number)")
            try emit(number)
        }
        running.signal(SIGCONT)
        try waitFor(1...4, running)
        try emit(5)
        try waitFor(1...5, running)
    }

    @Test("a symbolic link that leads elsewhere from now on is followed there")
    func repointed() throws {
        let directory = follow.directory
        for name in ["one", "other"] { try Files.makeDirectories(directory.path(name)) }
        func emit(_ number: Int, _ name: String) throws {
            try NotificationWriter(path: directory.path(name)).emit(.publishTest, [(.layer, "\(number)")])
        }
        try emit(1, "one/notifications.log")
        symlink("one/notifications.log", follow.path)
        let running = try follow.start(["--lines", "10"])
        try waitFor(1...1, running)
        try emit(2, "one/notifications.log")
        try emit(3, "other/notifications.log")
        symlink("other/notifications.log", directory.path("next"))
        rename(directory.path("next"), follow.path)
        try waitFor(1...3, running)
        try emit(4, "other/notifications.log")
        try waitFor(1...4, running)
    }
}
