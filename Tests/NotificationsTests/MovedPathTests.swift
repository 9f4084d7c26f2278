// Paths that lead elsewhere, or nowhere: directories that are deleted and symbolic links that change.

import Glibc
import Notifications
import Platform
import Support
import Testing

struct MovedPathTests {
    let directory: TemporaryDirectory
    let path: String

    init() throws {
        directory = try TemporaryDirectory()
        path = directory.path("notifications.log")
    }

    @Test(
        "a deleted directory costs the events until it is back; the next one creates the file and declares them"
    )
    func deletedDirectory() throws {
        let parent = directory.path("parent")
        let path = "\(parent)/notifications.log"
        try Files.makeDirectories(parent)
        let writer = try WriterProcess(path, in: directory)
        try writer.emit("a")
        try Files.removeTree(parent)
        for text in ["b", "c"] { try writer.emit(text) }
        let reports = try writer.reports(2)
        #expect(reports.count == 2)
        for (report, text) in zip(reports, ["b", "c"]) {
            #expect(report.hasPrefix("notification lost (\(path): No such file or directory): {\"time\""))
            #expect(report.contains("\"text\":\"\(text)\""))
        }
        try Files.makeDirectories(parent)
        try writer.emit("d")
        let read = try events(of: path)
        // 3 is the declaration that failed before c.
        try #require(read.map { $0[.sequence] } == ["5", "6"])
        #expect(read[1][.text] == "d")
        #expect(read[0].action == .notificationWriteFailed)
        #expect(read[0][.lostFirst] == "2" && read[0][.lostLast] == "4")
        #expect(read[0][.error] == "No such file or directory")
        #expect(writer.command.errorsSoFar.split(separator: "\n").count == 2)
    }

    @Test("a directory that is renamed with the file in it keeps getting its events")
    func renamedDirectory() throws {
        let parent = directory.path("parent")
        try Files.makeDirectories(parent)
        let writer = try NotificationWriter(path: "\(parent)/notifications.log")
        writer.emit(.test)
        #expect(rename(parent, directory.path("moved")) == 0)
        writer.emit(.test)
        #expect(writer.lostCount == 0)
        #expect(
            try events(of: directory.path("moved/notifications.log")).map { $0[.sequence] } == ["1", "2"])
    }

    @Test("a symbolic link that is pointed at another file takes the events there")
    func repointedLink() throws {
        try directory.write("one", "")
        try directory.write("other", "{\"action\":\"x\"")
        symlink("one", path)
        let writer = try NotificationWriter(path: path)
        writer.emit(.test)
        symlink("other", path + ".new")
        #expect(rename(path + ".new", path) == 0)
        writer.emit(.test)
        #expect(try events(of: directory.path("one")).map { $0[.sequence] } == ["1"])
        // Newly opened: what it ends with is looked at.
        #expect(try text(of: directory.path("other")).hasPrefix("{\"action\":\"x\"\n{\"time\""))
        // And back, to a file that is known.
        symlink("one", path + ".new")
        #expect(rename(path + ".new", path) == 0)
        writer.emit(.test)
        let read = try events(of: directory.path("one"))
        #expect(read.map { $0[.sequence] } == ["1", "3"] && writer.lostCount == 0)
    }

    @Test("a symbolic link to a file that is not there yet creates that file")
    func danglingLink() throws {
        try Files.makeDirectories(directory.path("elsewhere"))
        symlink("elsewhere/target", path)
        try NotificationWriter(path: path, fileMode: 0o600).emit(.test)
        #expect(try events(of: directory.path("elsewhere/target")).count == 1)
        #expect(Files.linkTarget(path) == "elsewhere/target")
    }

    @Test("a symbolic link to itself, or into no directory, is one clear line at the start")
    func uselessLink() throws {
        for (target, reason) in [
            ("notifications.log", "Too many levels of symbolic links"),
            ("no/such", "No such file or directory"),
        ] {
            symlink(target, path)
            let error = #expect(throws: NotificationFileError.self) { try NotificationWriter(path: path) }
            #expect(error?.description.contains(reason) == true)
            unlink(path)
        }
    }
}
