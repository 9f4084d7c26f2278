// What is not yet done of a file that is read no more, while a newer one is.

import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("Cursors beyond one file")
struct OldFileTests {
    @Test(
        "killed, a hook gets again what it had not acknowledged of a file that is read no more, and of the newer one"
    )
    func oldFile() throws {
        let follow = try Follow()
        _ = try follow.script(
            "exec", "while [ ! -e go ]; do sleep 0.02; done; echo $DUCC_LAYER >> exec.out\n")
        try follow.pipeHook(
            "pipe", "while not os.path.exists(\"go\"): __import__(\"time\").sleep(0.02)")
        let hooks =
            "  - {name: exec, exec: [./exec], from: start}\n  - {name: pipe, pipe: [./pipe], from: start}\n"
        try follow.emit(0..<3)
        let running = try follow.daemon(hooks)
        rename(follow.path, follow.path + ".1")
        try follow.emit(3..<6)
        try waitUntil("the old file is closed, and both cursors know both files") {
            try !running.openFiles().contains { $0.path == follow.path + ".1" }
                && ["exec", "pipe"].allSatisfy { hook in
                    ((try? text(of: follow.directory.path("state/cursors/\(hook).json"))) ?? "")
                        .split(separator: "\"fingerprint\"").count == 3
                }
        }
        let hooksLeft = try running.children()
        running.signal(SIGKILL)
        _ = try running.wait()
        // They may note something, which nobody hears.
        try follow.directory.write("go", "")
        try waitUntil("its hooks have ended") { hooksLeft.allSatisfy { kill($0, 0) != 0 } }
        let again = try follow.daemon()
        let expected = (0..<6).map(String.init)
        let names = ["exec.out", "pipe.out"]
        try waitUntil("all has come") { names.allSatisfy { follow.lines($0).suffix(6) == expected } }
        #expect(try follow.stop(again).code == 0)
    }
}
