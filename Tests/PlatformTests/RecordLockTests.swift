import Glibc
import Platform
import Support
import Testing

@Suite("Waiting for a record lock")
struct RecordLockTests {
    private let directory: TemporaryDirectory
    private let path: String
    private let descriptor: SharedDescriptor

    init() throws {
        directory = try TemporaryDirectory()
        path = try directory.write("lock", "")
        descriptor = SharedDescriptor(try OwnedDescriptor(opening: path, O_RDWR))
        try directory.write(
            "hold.py",
            """
            import fcntl, sys
            lock = open(sys.argv[1], "r+")
            fcntl.lockf(lock, fcntl.LOCK_EX)
            print("held", flush=True)
            sys.stdin.read()
            """)
    }

    /// Whether another process can have the lock.
    private func isFree() throws -> Bool {
        try run(
            "python3",
            [
                "-c", "import fcntl,sys; fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)",
                path,
            ]
        ).code == 0
    }

    /// Runs `body` while another process has the lock.
    private func holding(_ body: (RunningCommand) throws -> Void) throws {
        let input = directory.path("input")
        guard mkfifo(input, 0o600) == 0 else { throw SystemError("make", input) }
        let held = SharedDescriptor(try OwnedDescriptor(opening: input, O_RDWR))
        let holder = try RunningCommand("python3", [directory.path("hold.py"), path], input: input)
        defer { holder.signal(SIGKILL) }
        try waitUntil("it is held") { holder.outputSoFar == "held\n" }
        try body(holder)
        withExtendedLifetime(held) {}
    }

    @Test("ends at its limit, and the next wait gets the lock")
    func limit() throws {
        try holding { holder in
            for _ in 0..<2 {
                let error = #expect(throws: SystemError.self) {
                    try FileLock.waitForRecordLock(descriptor.raw, path: path, limit: 20) { _ in }
                }
                #expect(error?.code == ETIMEDOUT)
            }
            holder.signal(SIGKILL)
            _ = try holder.wait()
            try FileLock.waitForRecordLock(descriptor.raw, path: path, limit: 60_000) { _ in }
            #expect(try !isFree())
            FileLock.unlockRecord(descriptor.raw)
            #expect(try isFree())
        }
    }

    @Test("that ended at its limit gives a lock back that comes afterwards")
    func givenBack() throws {
        try holding { holder in
            _ = try? FileLock.waitForRecordLock(descriptor.raw, path: path, limit: 20) { _ in }
            holder.signal(SIGKILL)
            _ = try holder.wait()
            try waitUntil("the lock is free") { try isFree() }
            // And no thread takes away what is locked from now on.
            try FileLock.waitForRecordLock(descriptor.raw, path: path, limit: 60_000) { _ in }
            #expect(try !isFree())
            FileLock.unlockRecord(descriptor.raw)
        }
    }
}
