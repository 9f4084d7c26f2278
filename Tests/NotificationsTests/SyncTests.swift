// When an event is forced to disk, as the C library sees it: each `fdatasync` of the file is noted down, and can be made
// slow or fail.

import Glibc
import Notifications
import Platform
import Support
import Testing

struct SyncTests {
    let directory: TemporaryDirectory
    let path: String

    init() throws {
        directory = try TemporaryDirectory()
        path = directory.path("notifications.log")
    }

    /// Notes events and syncs of the file; a sync takes so long and ends so.
    ///
    /// - Parameter writes: how many events there are before the first sync ends, however long they take.
    private func noting(
        milliseconds: Int = 0, onlyFirst: Bool = false, writes: Int = 0, error: String = "0"
    ) throws -> Interposed {
        try Interposed(
            """
            static int writes;
            ssize_t write(int descriptor, const void *bytes, size_t count) {
                ssize_t (*next)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
                ssize_t written = next(descriptor, bytes, count);
                if (isStream(descriptor)) noteAction(bytes, count);
                if (isStream(descriptor)) __atomic_add_fetch(&writes, 1, __ATOMIC_SEQ_CST);
                return written;
            }
            int fdatasync(int descriptor) {
                int (*next)(int) = dlsym(RTLD_NEXT, "fdatasync");
                if (!isStream(descriptor)) return next(descriptor);
                note("sync");
                static int n;
                if (n++ == 0 || !\(onlyFirst ? 1 : 0)) usleep(\(milliseconds * 1000));
                for (int turn = 0; turn < 30000 && __atomic_load_n(&writes, __ATOMIC_SEQ_CST) < \(writes); turn++) usleep(1000);
                int result = next(descriptor);
                note("synced");
                if (\(error)) { errno = \(error); return -1; }
                return result;
            }
            """, stream: path, in: directory)
    }

    private func emit(_ arguments: [String], _ noted: Interposed) throws -> CommandResult {
        try run(Programs.emitter, [path] + arguments, environment: noted.environment)
    }

    @Test("the policy says which events are forced to disk, each of them once and right behind it")
    func policies() throws {
        let synced = ["sync", "synced"]
        for (sync, flags, expected) in [
            ("none", ["--publish"], ["write publish_layer"]), ("none", [], ["write end_layer_conversion"]),
            ("publish", ["--publish"], ["write publish_layer"] + synced),
            ("publish", [], ["write end_layer_conversion"]),
            ("every", ["--publish"], ["write publish_layer"] + synced),
            ("every", [], ["write end_layer_conversion"] + synced),
        ] {
            let noted = try noting()
            #expect(try emit(["--count", "3", "--sync", sync] + flags, noted).code == 0)
            let all = Array(repeating: expected, count: 3).flatMap { $0 }
            #expect(try noted.calls().map(\.what) == all, "\(sync) \(flags)")
        }
    }

    @Test("without --notification-sync it is each publish_*, each delete_* and end_ducc, and nothing else")
    func durableActions() throws {
        let durable = ["publish_", "publish_x", "delete_", "delete_x", "end_ducc"]
        let others = [
            "start_ducc", "end_x", "publisher", "deleted", "end_ducc_x", "x_publish_x",
        ]
        let noted = try noting()
        for action in durable + others {
            let fields = action == "end_ducc" ? ["time_elapsed_s=0.000001"] : []
            let result = try run(
                Programs.ducc, ["notify", "-n", path, "--action", action] + fields,
                environment: noted.environment)
            #expect(result.code == 0, "\(result.errors)")
        }
        #expect(
            try noted.calls().map(\.what)
                == durable.flatMap { ["write \($0)", "sync", "synced"] } + others.map { "write \($0)" })
    }

    @Test("threads share a sync, and each event's emit returns only when one that began behind it has ended")
    func shared() throws {
        let threads = 8
        let count = TestScale.count(20, long: 200)
        let noted = try noting(milliseconds: 20)
        let result = try emit(
            ["--count", "\(count)", "--threads", "\(threads)", "--publish", "--sync", "publish"], noted)
        #expect(result.code == 0)
        let calls = try noted.calls()
        let syncs = calls.count { $0.what == "sync" }
        #expect(calls.count { $0.what == "synced" } == syncs)
        #expect(syncs >= count && syncs < threads * count / 3, "\(syncs) syncs")
        // Of each thread's event: a sync that begins behind it ends before the thread's next.
        var waiting: [String: (at: Int, isCovered: Bool)] = [:]
        var began = 0
        var early = 0
        for (index, call) in calls.enumerated() {
            switch call.what {
            case "sync": began = index
            case "synced":
                for thread in waiting.keys where waiting[thread].map({ $0.at < began }) == true {
                    waiting[thread]?.isCovered = true
                }
            default:
                if waiting[call.thread]?.isCovered == false { early += 1 }
                waiting[call.thread] = (index, false)
            }
        }
        #expect(waiting.count == threads && waiting.values.allSatisfy { $0.isCovered })
        #expect(early == 0, "\(early) of \(threads * count) did not wait")
    }

    @Test("a running sync holds up no event that need not be durable")
    func notHeldUp() throws {
        let noted = try noting(milliseconds: 300, onlyFirst: true)
        let result = try emit(
            ["--count", "60", "--threads", "2", "--publish", "--publishers", "1", "--sync", "publish"]
                + ["--rate", "400"], noted)
        #expect(result.code == 0)
        let calls = try noted.calls().map(\.what)
        let first = try #require(calls.firstIndex(of: "sync"))
        let end = try #require(calls.firstIndex(of: "synced"))
        let meanwhile = calls[first..<end].count { $0 == "write end_layer_conversion" }
        #expect(meanwhile > 10, "\(meanwhile) events while a sync ran")
    }

    @Test("a sync that fails has failed for each event it was for: the system tells it only once")
    func sharedFailure() throws {
        // While the first sync runs, the other threads' events come to wait for the second, which fails.
        let noted = try noting(onlyFirst: true, writes: 8, error: "n == 2 ? EIO : 0")
        let result = try emit(
            ["--count", "2", "--threads", "8", "--publish", "--sync", "publish"], noted)
        #expect(result.code == 0)
        let calls = try noted.calls().map(\.what)
        let syncs = calls.indices.filter { calls[$0] == "sync" }
        try #require(syncs.count > 2)
        // The last of them may have been written when that sync had just begun.
        let waiting = calls[syncs[0]..<syncs[1]].count { $0.hasPrefix("write ") }
        let said = result.errors.split(separator: "\n")
        #expect(
            waiting > 4 && said.count <= waiting && said.count >= waiting - 2, "\(said.count) of \(waiting)")
        #expect(said.allSatisfy { $0.hasSuffix(": Input/output error") })
    }

    @Test("a sync that fails is one line, and costs no event")
    func failing() throws {
        let noted = try noting(error: "EIO")
        let result = try emit(["--count", "3", "--publish", "--sync", "publish"], noted)
        #expect(result.code == 0 && result.output.hasPrefix("lost 0\n"))
        let line = "cannot sync the notification file \(path): Input/output error"
        #expect(result.errors.split(separator: "\n").map(String.init) == [line, line, line])
        #expect(try events(of: path).map { $0[.sequence] } == ["1", "2", "3"])
        // A file system that has no such thing as forcing to disk is no error at all.
        let without = try noting(error: "EINVAL")
        #expect(try emit(["--publish", "--sync", "publish"], without).errors == "")
    }
}
