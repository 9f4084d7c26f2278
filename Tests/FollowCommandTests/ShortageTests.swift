// A process that may open no file for a while, which says nothing about the files that it then can't open.

import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("Where no more files can be opened for a while")
struct ShortageTests {
    let follow: Follow
    init() throws { follow = try Follow() }

    /// Two rotations: event 2 is in a file that was never at the path when anybody looked.
    private func rotateTwice() throws {
        for number in [1, 2] {
            rename(follow.path, follow.path + ".\(3 - number)")
            try follow.emit(number..<number + 1)
        }
    }

    @Test("no rotated file is passed over, nor taken for older than it is", arguments: ["EMFILE", "ENFILE"])
    func looks(error: String) throws {
        try follow.emit(0..<1)
        // Where it makes no event: nothing tells when the shortage is over.
        let elsewhere = try TemporaryDirectory()
        let interposed = try Interposed(
            """
            #include <stdarg.h>
            int openat(int directory, const char *path, int flags, ...) {
                int (*next)(int, const char *, int, mode_t) = dlsym(RTLD_NEXT, "openat");
                va_list rest;
                va_start(rest, flags);
                mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
                va_end(rest);
                if (strstr(path, "notifications.log.") && access(getenv("SHORTAGE"), F_OK) == 0) {
                    note("failed");
                    errno = \(error);
                    return -1;
                }
                return next(directory, path, flags, mode);
            }
            """, in: elsewhere)
        let shortage = elsewhere.path("shortage")
        let running = try follow.start(
            ["--lines", "10"], environment: interposed.environment.merging(["SHORTAGE": shortage]) { $1 })
        try waitUntil("event 0") { try layers(running.outputSoFar) == ["0"] }
        try elsewhere.write("shortage", "")
        try rotateTwice()
        // Also at what it was told of last.
        try waitUntil("it has looked, and rests") { try interposed.calls().count >= 2 && running.rests() }
        unlink(shortage)
        try waitUntil("all events, in order") { try layers(running.outputSoFar).count == 3 }
        #expect(try layers(running.outputSoFar) == ["0", "1", "2"])
        #expect(running.errorsSoFar.split(separator: "\n").count == 1, "\(running.errorsSoFar)")
    }

    @Test("a daemon delivers everything once it can open some again")
    func limit() throws {
        _ = try follow.script("hook", "echo $DUCC_LAYER >> out\n")
        try follow.emit(0..<1)
        let running = try follow.daemon(
            Follow.hook("exec", ["./hook"], "retry: {attempts: 100, delay: 100ms, max_delay: 100ms}"))
        try waitUntil("event 0") { follow.lines("out") == ["0"] }
        let process = "\(running.process.identifier)"
        func limit(_ count: String) throws {
            try runSuccessfully("prlimit", ["--pid", process, "--nofile=\(count):"])
        }
        try waitUntil("nothing runs") {
            let before = try running.descriptorCount()
            return try text(of: "/proc/\(process)/task/\(process)/children").isEmpty
                && running.descriptorCount() == before
        }
        let soft = try runSuccessfully(
            "prlimit", ["--pid", process, "--nofile", "-o", "SOFT", "--noheadings"])
        try limit("3")
        try rotateTwice()
        try waitUntil("it is said") { running.errorsSoFar.contains("Too many open files") }
        try limit(String(soft.filter { $0.isNumber }))
        try waitUntil("all are done") { follow.lines("out").count == 3 }
        #expect(follow.lines("out") == ["0", "1", "2"])
        #expect(try follow.stop(running).code == 0)
    }

    @Test("a pipe hook that can't be started for want of descriptors has failed at nothing")
    func pipe() throws {
        try follow.pipeHook("hook")
        try follow.emit(0..<1, .test)
        let running = try follow.daemon(
            Follow.hook("pipe", ["./hook"], "action: publish_test, retry: {attempts: 1}"))
        try waitUntil("it has the stream open") { try running.rests() }
        let process = "\(running.process.identifier)"
        let soft = try runSuccessfully(
            "prlimit", ["--pid", process, "--nofile", "-o", "SOFT", "--noheadings"])
        try runSuccessfully("prlimit", ["--pid", process, "--nofile=3:"])
        try follow.emit(1..<2)
        try waitUntil("it is said") { running.errorsSoFar.contains("events wait for it") }
        try runSuccessfully("prlimit", ["--pid", process, "--nofile=\(soft.filter { $0.isNumber }):"])
        try waitUntil("it is done") { follow.lines("hook.out") == ["1"] }
        #expect(try follow.stop(running).code == 0)
        #expect(try follow.deadLetters().isEmpty)
    }
}
