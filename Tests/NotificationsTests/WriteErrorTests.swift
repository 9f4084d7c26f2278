// A disk that fails: write and read errors at chosen events, and what stands in the file afterwards.

import Glibc
import Notifications
import Platform
import Support
import Testing

struct WriteErrorTests {
    let directory: TemporaryDirectory
    let path: String

    init() throws {
        directory = try TemporaryDirectory()
        path = directory.path("notifications.log")
    }

    /// A writer whose n-th `write` to the file, from 1, is done by `body`: C that returns, or goes on as usual.
    private func writer(_ body: String) throws -> WriterProcess {
        let interposed = try Interposed(
            """
            static ssize_t (*next)(int, const void *, size_t);
            static int fails(int error) { errno = error; return -1; }
            ssize_t write(int descriptor, const void *bytes, size_t count) {
                static int n;
                next = dlsym(RTLD_NEXT, "write");
                if (!isStream(descriptor)) return next(descriptor, bytes, count);
                n++;
                \(body)
                return next(descriptor, bytes, count);
            }
            """, stream: path, in: directory)
        return try WriterProcess(path, in: directory, prefix: interposed.prefix)
    }

    private func verify() throws -> CommandResult { try run(Programs.follow, ["verify", path]) }

    @Test("events that a disk error takes are printed, counted, declared and skipped by prev")
    func inputOutputError() throws {
        // Event 3; its declaration twice, each time before an event that must not come before it.
        let writer = try writer("if (n >= 3 && n <= 5) return fails(EIO);")
        for text in ["a", "b", "c", "d", "e", "f", "g"] { try writer.emit(text) }
        let read = try events(of: path)
        // 3 is lost; 4 and 6 are failed declarations, 5 and 7 the events that were not tried; 8 says so.
        try #require(read.map { $0[.sequence] } == ["1", "2", "8", "9", "10"])
        #expect(read.map { $0[.text] } == ["a", "b", nil, "f", "g"])
        let notice = read[2]
        #expect(notice.action == .notificationWriteFailed)
        #expect(notice[.lostFirst] == "3" && notice[.lostLast] == "7")
        #expect(notice[.error] == "Input/output error")
        for (earlier, later) in zip(read, read.dropFirst()) { #expect(later[.previous] == earlier[.check]) }
        let reports = try writer.reports(3)
        #expect(reports.count == 3)
        for (report, text) in zip(reports, ["c", "d", "e"]) {
            let parts = report.split(separator: ": {", maxSplits: 1)
            #expect(parts.first == "notification lost (\(path): Input/output error)")
            let lost = try Event(line: Array("{\(parts.last ?? "")".utf8))
            #expect(lost[.text] == text && lost.isProven == true)
        }
        let result = try verify()
        #expect(result.output == "\(path): 1 file, 5 events of 1 run, 5 declared lost: nothing is wrong\n")
        #expect(result.code == 0)
    }

    @Test("how many were lost is what the writer counts and declares, failed declarations included")
    func counted() throws {
        let interposed = try Interposed(
            """
            ssize_t write(int descriptor, const void *bytes, size_t count) {
                static int n;
                ssize_t (*next)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
                if (isStream(descriptor) && ++n < 90 && (n % 3 == 0 || n % 7 == 0)) { errno = EIO; return -1; }
                return next(descriptor, bytes, count);
            }
            """, stream: path, in: directory)
        let count = 100
        let result = try run(
            Programs.emitter, [path, "--count", "\(count)"], environment: interposed.environment)
        let read = try events(of: path)
        let reported = result.errors.split(separator: "\n").count
        let declarations = read.filter { $0.action == .notificationWriteFailed }
        #expect(result.code == 1 && reported > 10)
        #expect(read.count - declarations.count + reported == count)
        let declared = try declarations.map { notice in
            let first = try #require(Int(notice[.lostFirst] ?? ""))
            return try #require(Int(notice[.lostLast] ?? "")) - first + 1
        }
        let lost = declared.reduce(0, +)
        #expect(lost > reported, "no declaration failed")
        #expect(result.output.hasPrefix("lost \(lost)\n"))
        let summary = try verify().output
        #expect(summary.hasSuffix("of 1 run, \(lost) declared lost: nothing is wrong\n"), "\(summary)")
    }

    @Test(
        "where the last byte of a newly opened file can't be read, the event's own write begins with a line feed"
    )
    func unreadableEnd() throws {
        try directory.write("notifications.log", "{\"action\":\"x\"}\n")
        let interposed = try Interposed(
            """
            ssize_t pread(int descriptor, void *bytes, size_t count, off_t offset) {
                errno = EIO;
                return -1;
            }
            ssize_t pread64(int descriptor, void *bytes, size_t count, off64_t offset) {
                errno = EIO;
                return -1;
            }
            """, stream: path, in: directory)
        let writer = try WriterProcess(path, in: directory, prefix: interposed.prefix)
        for text in ["a", "b"] { try writer.emit(text) }
        let content = try text(of: path)
        #expect(content.hasPrefix("{\"action\":\"x\"}\n\n{\"time\""))
        // Once, not before every event.
        #expect(content.split(separator: "\n", omittingEmptySubsequences: false).count == 5)
        #expect(writer.command.errorsSoFar == "")
        #expect(try verify().output.hasSuffix("3 events of 1 run, 1 unchained: nothing is wrong\n"))
    }

    @Test("half a line and then no space: the fragment stands alone, the event is lost and declared")
    func shortThenFull() throws {
        let writer = try writer(
            "if (n == 2) return next(descriptor, bytes, count / 2);\nif (n == 3) return fails(ENOSPC);")
        for text in ["a", "b", "c"] { try writer.emit(text) }
        let found = try lines(of: path)
        try #require(found.count == 4)
        #expect((try? Event(line: Array(found[1].utf8))) == nil)
        let read = try [0, 2, 3].map { try Event(line: Array(found[$0].utf8)) }
        try #require(read.map { $0[.sequence] } == ["1", "3", "4"])
        #expect(read[1][.lostFirst] == "2" && read[1][.lostLast] == "2")
        #expect(read[1][.error] == "No space left on device" && read[1][.previous] == read[0][.check])
        let reports = try writer.reports(1)
        #expect(reports.count == 1 && reports[0].contains("\"text\":\"b\""))
        // No empty line: what the next event begins with is what ends the fragment.
        #expect(!(try text(of: path).contains("\n\n")))
        let result = try verify()
        #expect(
            result.code == 1 && result.output.hasSuffix("1 declared lost: 1 finding\n"), "\(result.output)")
        #expect(result.output.hasPrefix("\(path):2: the line is no event"))
    }

    @Test("two short writes in a row leave two fragments, each on a line of its own, and one lost event")
    func twoShortWrites() throws {
        let writer = try writer("if (n == 2 || n == 3) return next(descriptor, bytes, count / 2);")
        for text in ["a", "b", "c"] { try writer.emit(text) }
        let found = try lines(of: path)
        try #require(found.count == 5)
        #expect(found[2].hasPrefix(found[1]) || found[1].hasPrefix(found[2]))
        let read = try [0, 3, 4].map { try Event(line: Array(found[$0].utf8)) }
        try #require(read.map { $0[.sequence] } == ["1", "3", "4"])
        #expect(read[2][.text] == "c")
        #expect(read[1][.lostFirst] == "2" && read[1][.lostLast] == "2")
        let result = try verify()
        #expect(
            result.code == 1 && result.output.hasSuffix("1 declared lost: 2 findings\n"), "\(result.output)")
    }
}
