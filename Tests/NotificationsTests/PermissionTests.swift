// What an unprivileged writer may and may not: it is started by root, who may everything.

import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite(.enabled(if: geteuid() == 0, "only root can start a program as somebody else"))
struct PermissionTests {
    let directory: TemporaryDirectory
    let path: String
    /// Copies, where anybody may start them.
    private let emitter: String
    private let ducc: String

    init() throws {
        directory = try TemporaryDirectory()
        path = directory.path("notifications.log")
        emitter = directory.path("test-emitter")
        ducc = directory.path("cvmfs_ducc")
        for (program, copy) in [(Programs.emitter, emitter), (Programs.ducc, ducc)] {
            try runSuccessfully("install", ["-m", "755", program, copy])
        }
        chmod(directory.path, 0o755)
    }

    private let unprivileged = ["--reuid=65534", "--regid=65534", "--clear-groups"]

    @Test("a file that may be written but not read gets its events, the first behind a line feed")
    func onlyWritable() throws {
        for before in ["{\"action\":\"torn", "{\"action\":\"x\"}\n"] {
            try directory.write("notifications.log", before, mode: 0o222)
            let result = try run("setpriv", unprivileged + [emitter, path, "--count", "3"])
            #expect(result.code == 0 && result.errors == "", "\(result.errors)")
            let content = try text(of: path)
            #expect(content.hasPrefix(before + "\n{\"time\""))
            #expect(content.components(of: "\n{").count == 4)
            let read = try lines(of: path).dropFirst().map { try Event(line: Array($0.utf8)) }
            #expect(read.map { $0[.sequence] } == ["1", "2", "3"])
        }
    }

    @Test("where neither writing nor creating is allowed it is one line and exit code 105")
    func denied() throws {
        for mode: mode_t? in [nil, 0o444, 0o600] {
            if let mode { try directory.write("notifications.log", "", mode: mode) }
            let result = try run("setpriv", unprivileged + [ducc, "notify", "-n", path, "--action", "x"])
            #expect(result.code == 105, "\(result.code) \(result.errors)")
            #expect(result.errors.split(separator: "\n").count == 1)
            #expect(result.errors.contains(path) && result.errors.contains("Permission denied"))
            #expect((try? text(of: path)) == (mode == nil ? nil : ""))
        }
    }

    @Test(
        "a rotated file that the writer may not open costs nothing: events go on into the one that was open")
    func deniedAfterRotation() throws {
        try directory.write("notifications.log", "", mode: 0o666)
        let writer = try WriterProcess(
            path, in: directory, prefix: ["setpriv"] + unprivileged, program: emitter)
        try writer.emit("a")
        rename(path, path + ".1")
        try directory.write("notifications.log", "", mode: 0o600)
        for text in ["b", "c"] { try writer.emit(text) }
        #expect(try events(of: path + ".1").map { $0[.text] } == ["a", "b", "c"])
        // Said once, not for every event.
        let said = try writer.reports(1)
        #expect(said.count == 1 && said[0].contains("Permission denied"))
        chmod(path, 0o666)
        try writer.emit("d")
        #expect(try events(of: path).map { $0[.sequence] } == ["4"])
    }
}

extension String {
    /// The text's parts between the separators.
    fileprivate func components(of separator: String) -> [Substring] {
        split(separator: separator, omittingEmptySubsequences: false)
    }
}
