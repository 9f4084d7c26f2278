// The consumers that ship, run as the daemon runs them: what matters is what is different in the world afterwards.

import CLinux
import Glibc
import Notifications
import Platform
import Support
import Testing

/// `consumers/prefetch`: that files are really read. inotify tells which were, the kernel's page cache how much of them.
@Suite("prefetch")
struct PrefetchTests {
    private static let hook = "\(Programs.root)/consumers/prefetch/hook"
    let directory: TemporaryDirectory
    private let repository: String
    private static let image = ".flat/1f/1f1f"
    private static let name = "registry.example.org/atlas/athena:25.0.1"

    init() throws {
        directory = try TemporaryDirectory()
        repository = directory.path("repository")
        try directory.write("repository/\(Self.image)/etc/motd", "hello\n")
        try Files.makeDirectories(directory.path("repository/registry.example.org/atlas"))
        #expect(symlink("../../\(Self.image)", directory.path("repository/\(Self.name)")) == 0)
    }

    /// Adds a file to the image.
    @discardableResult
    private func add(_ path: String, _ bytes: [UInt8], mode: mode_t = 0o644) throws -> String {
        try directory.write("repository/\(Self.image)/\(path)", bytes, mode: mode)
    }

    private func prefetch(_ options: [String] = []) throws -> CommandResult {
        try run(Self.hook, options + [repository, Self.name])
    }

    @Test("each regular file is read once, also one with two names, and nothing that a link leads to")
    func reads() throws {
        let outside = try directory.write("outside/secret", "secret")
        for number in 0..<40 { try add("usr/share/\(number)", [1, 2, 3]) }
        try add("deep/\(String(repeating: "d/", count: 60))file", [1])
        try add("empty", [])
        let once = try add("once", [UInt8](repeating: 7, count: 5000))
        let top = directory.path("repository/\(Self.image)")
        #expect(link(once, "\(top)/again") == 0)
        for (target, name) in [
            (outside, "link"), (directory.path("outside"), "etc/linked"), ("..", "up"), ("/", "root"),
        ] {
            #expect(symlink(target, "\(top)/\(name)") == 0)
        }
        #expect(mkfifo("\(top)/fifo", 0o600) == 0)

        let watch = try AccessWatch(directory.path)
        let result = try prefetch()
        #expect(result.code == 0 && result.errors.isEmpty, "\(result.errors)")
        #expect(result.output.hasPrefix("prefetch: \(Self.name): 44 files, 0.0 MB in "))
        #expect(result.output.split(separator: "\n").count == 1)
        let read = try watch.accessed().filter { $0.hasPrefix("repository/") || $0.hasPrefix("outside/") }
        var expected = Set((0..<40).map { "repository/\(Self.image)/usr/share/\($0)" })
        expected.formUnion(["repository/\(Self.image)/etc/motd"])
        expected.formUnion(["repository/\(Self.image)/deep/\(String(repeating: "d/", count: 60))file"])
        let two = read.intersection(["repository/\(Self.image)/once", "repository/\(Self.image)/again"])
        #expect(two.count == 1 && read.subtracting(two) == expected, "\(read.symmetricDifference(expected))")
    }

    @Test("a whole file is in the page cache afterwards, and a hole costs nothing")
    func warms() throws {
        let bytes = (0..<(9 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let file = try add("big", bytes)
        let sparse = try add("sparse", [1])
        #expect(truncate(sparse, 1 << 40) == 0)
        // A file system in memory has nothing to drop: there only the count can be looked at.
        let couldDrop = try PageCache.drop(file) == 0
        let begin = MonotonicClock.nanoseconds()
        let result = try prefetch(["--jobs", "1"])
        #expect(result.code == 0 && result.output.contains(": 3 files, 9.4 MB in "), "\(result.output)")
        #expect(MonotonicClock.nanoseconds() - begin < 30_000_000_000)
        let resident = try PageCache.resident(file)
        #expect(!couldDrop || resident == bytes.count / Int(getpagesize()))
    }

    @Test("what can't be read is counted and named, and the rest is read", .enabled(if: geteuid() == 0))
    func skips() throws {
        try add("etc/shadow\n\u{1b}[1m", [1], mode: 0o600)
        try add("closed/file", [1])
        #expect(chmod(directory.path("repository/\(Self.image)/closed"), 0o700) == 0)
        chmod(directory.path, 0o755)
        let output = try OwnedDescriptor(opening: directory.path("out"), O_WRONLY | O_CREAT, mode: 0o600)
        let child = try ChildProcess.start(
            "/usr/bin/python3", ["-", repository, Self.name], environment: ["PATH=/usr/bin:/bin"],
            input: OwnedDescriptor(opening: Self.hook, O_RDONLY).release(), output: output.raw,
            user: SystemUser(named: "nobody"))
        #expect(child.wait() == .exited(0))
        let said = try text(of: directory.path("out"))
        #expect(
            said.contains(": 1 files, 0.0 MB in ") && said.contains(", 2 skipped (the first: /"), "\(said)")
        #expect(said.hasSuffix(": Permission denied)\n") && said.split(separator: "\n").count == 1)
    }

    @Test("SIGTERM ends it soon, with a line that says so")
    func stops() throws {
        for number in 0..<4000 { try add("many/\(number % 40)/\(number)", [UInt8](repeating: 1, count: 100)) }
        let stopped = try (0..<20).contains { _ in
            let watch = try AccessWatch(directory.path("repository/\(Self.image)/many"))
            let running = try RunningCommand(Self.hook, ["--jobs", "1", repository, Self.name])
            try waitUntil("it reads") { try !watch.accessed().isEmpty }
            running.signal(SIGTERM)
            let result = try running.wait(seconds: 10)
            // It may have been done already.
            if result.code == 0 { return false }
            #expect(result.code == 143 && result.output.hasPrefix("prefetch: stopped: \(Self.name): "))
            return true
        }
        #expect(stopped)
    }

    @Test("an image that isn't there is for later: 75")
    func later() throws {
        unlink(directory.path("repository/\(Self.name)"))
        #expect(try prefetch().code == 75)
        #expect(symlink("../../.flat/2f/2f2f", directory.path("repository/\(Self.name)")) == 0)
        let result = try prefetch()
        #expect(
            result.code == 75 && result.output.isEmpty
                && result.errors.hasSuffix("No such file or directory\n"))
        #expect(try run(Self.hook, ["nonesuch.example.org", "a"]).code == 75)
    }

    @Test(
        "arguments that make no sense are for never: 65",
        arguments: [
            [], ["/r"], ["/r", ""], ["", "a"], ["/r", "a", "b"], ["/r", "../a"], ["/r", "a/../../b"],
            ["/r", "/etc"], ["a/b", "c"], ["..", "etc"], ["--jobs", "0", "/r", "a"],
            ["--jobs", "x", "/r", "a"],
            ["--jobs"],
        ])
    func nonsense(arguments: [String]) throws {
        let result = try run(Self.hook, arguments)
        #expect(result.code == 65 && result.output.isEmpty && result.errors.split(separator: "\n").count == 1)
    }

    @Test("a public name that leads out of the repository is for never, and nothing there is read")
    func escapes() throws {
        try directory.write("outside/secret", "secret")
        unlink(directory.path("repository/\(Self.name)"))
        #expect(symlink(directory.path("outside"), directory.path("repository/\(Self.name)")) == 0)
        let watch = try AccessWatch(directory.path("outside"))
        #expect(try prefetch().code == 65)
        #expect(try watch.accessed().isEmpty)
    }

    @Test("as a hook it gets its arguments from the event")
    func asHook() throws {
        let follow = try Follow()
        try follow.writer().emit(
            .publishFlatImage,
            fields(ofFlatImage: Self.name).map { $0.0 == .repository ? ($0.0, repository) : $0 })
        let watch = try AccessWatch(repository)
        let result = try follow.run([
            "--no-follow", "--action", "publish_flat_image", "--exec", Self.hook, "{repository}",
            "{public_path}",
        ])
        #expect(result.code == 0 && result.output.hasPrefix("prefetch: \(Self.name): 1 files"))
        #expect(try watch.accessed() == ["\(Self.image)/etc/motd"])
    }
}

/// Which files of a tree are read: the kernel says so (inotify), whatever the file system's mount options.
private final class AccessWatch {
    private let descriptor: OwnedDescriptor
    private var names: [CInt: String] = [:]
    private var found: Set<String> = []

    init(_ top: String) throws {
        descriptor = OwnedDescriptor(raw: inotify_init1(CInt(IN_CLOEXEC | IN_NONBLOCK)))
        var pending = [""]
        while let path = pending.popLast() {
            let place = top + "/" + path
            let watch = inotify_add_watch(descriptor.raw, place, UInt32(IN_ACCESS))
            guard watch >= 0 else { throw SystemError("watch", place) }
            names[watch] = path
            for name in try DirectoryEntry.names(in: place) {
                var information = stat()
                guard lstat("\(place)/\(name)", &information) == 0 else { continue }
                if information.st_mode & S_IFMT == S_IFDIR { pending.append(path + name + "/") }
            }
        }
    }

    /// The paths of all files that were read so far.
    func accessed() throws -> Set<String> {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = read(descriptor.raw, &buffer, buffer.count), count > 0 {
            var offset = 0
            buffer.withUnsafeBytes { bytes in
                while offset < count {
                    let event = bytes.loadUnaligned(fromByteOffset: offset, as: inotify_event.self)
                    let begin = offset + MemoryLayout<inotify_event>.size
                    let name = bytes[begin..<(begin + Int(event.len))].prefix { $0 != 0 }
                    offset = begin + Int(event.len)
                    // A directory that is listed is read too.
                    if event.mask & UInt32(IN_ISDIR) == 0, !name.isEmpty {
                        found.insert((names[event.wd] ?? "?") + String(decoding: name, as: UTF8.self))
                    }
                }
            }
        }
        return found
    }
}

/// What the kernel holds of a file.
private enum PageCache {
    /// Asks the kernel to forget a file.
    ///
    /// - Returns: how many of its pages are still held.
    static func drop(_ path: String) throws -> Int {
        let file = try OwnedDescriptor(opening: path, O_RDONLY)
        guard fsync(file.raw) == 0 else { throw SystemError("sync", path) }
        posix_fadvise(file.raw, 0, 0, POSIX_FADV_DONTNEED)
        return try resident(path)
    }

    /// How many pages of a file are held.
    static func resident(_ path: String) throws -> Int {
        let file = try OwnedDescriptor(opening: path, O_RDONLY)
        let size = Int(lseek(file.raw, 0, SEEK_END))
        guard let memory = mmap(nil, size, PROT_READ, MAP_SHARED, file.raw, 0), memory != MAP_FAILED else {
            throw SystemError("map", path)
        }
        defer { munmap(memory, size) }
        var pages = [UInt8](repeating: 0, count: (size + Int(getpagesize()) - 1) / Int(getpagesize()))
        guard mincore(memory, size, &pages) == 0 else { throw SystemError("look at the pages of", path) }
        return pages.count { $0 & 1 == 1 }
    }
}
