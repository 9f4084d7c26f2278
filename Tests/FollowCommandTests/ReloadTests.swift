// SIGHUP: the configuration is read again while hooks run.

import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("The daemon, reloaded")
struct ReloadTests {
    let follow: Follow
    init() throws { follow = try Follow() }

    @Test(
        "hooks that are new, changed and gone: none loses or repeats an event, the same ones go on undisturbed"
    )
    func changes() throws {
        for name in ["same", "changed", "gone", "new"] {
            _ = try follow.script(name, "echo $DUCC_LAYER$SUFFIX >> \(name).out\n")
        }
        try follow.pipeHook(
            "pipe", "if len(sys.argv) > 1: open(\"pipe.arguments\", \"a\").write(sys.argv[1])")
        let common = "  - {name: same, exec: [./same], from: start}\n"
        let running = try follow.daemon(
            common + """
                  - {name: changed, exec: [./changed], from: start, concurrency: 2}
                  - {name: gone, exec: [./gone], from: start}
                  - {name: pipe, pipe: [./pipe], from: start}

                """)
        try follow.emit(0..<5)
        let names = ["same", "changed", "gone", "pipe"]
        try waitUntil("all have all") { names.allSatisfy { follow.lines("\($0).out").count == 5 } }
        try follow.configure(
            common + """
                  - {name: changed, exec: [./changed], env: {SUFFIX: x}}
                  - {name: new, exec: [./new]}
                  - {name: pipe, pipe: [./pipe, again]}

                """)
        try follow.reload(running)
        try follow.emit(5..<8)
        try waitUntil("all have all") {
            ["same", "changed", "pipe"].allSatisfy { follow.lines("\($0).out").count == 8 }
                && follow.lines("new.out").count == 3
        }
        try follow.configure(common + "  - {name: gone, exec: [./gone]}\n")
        try follow.reload(running, count: 2)
        try waitUntil("what was gone goes on where it was") { follow.lines("gone.out").count == 8 }
        let result = try follow.stop(running)
        #expect(result.code == 0 && result.errors.contains("reloaded: 2 hooks"), "\(result.errors)")
        #expect(follow.lines("same.out") == (0..<8).map(String.init))
        #expect(follow.lines("gone.out") == (0..<8).map(String.init))
        #expect(Set(follow.lines("changed.out")) == Set((0..<5).map(String.init) + (5..<8).map { "\($0)x" }))
        #expect(follow.lines("changed.out").count == 8)
        #expect(follow.lines("new.out") == (5..<8).map(String.init))
        #expect(follow.lines("pipe.out") == (0..<8).map(String.init))
        #expect(follow.lines("pipe.arguments") == ["againagainagain"])
    }

    @Test("a delivery that runs is let end, once, and its hook goes on behind it as it is configured now")
    func runningDelivery() throws {
        _ = try follow.script(
            "hook",
            "echo begin $DUCC_LAYER >> out; while [ ! -e go ]; do sleep 0.02; done; echo end $DUCC_LAYER$SUFFIX >> out\n"
        )
        try follow.emit(0..<2)
        let running = try follow.daemon(
            "  - {name: a, exec: [./hook], from: start}\n  - {name: b, exec: [./hook], action: nothing}\n")
        try waitUntil("it runs") { follow.lines("out") == ["begin 0"] }
        try follow.configure("  - {name: a, exec: [./hook], env: {SUFFIX: x}}\n")
        running.signal(SIGHUP)
        try waitUntil("it was told") { running.errorsSoFar.contains("reloading") }
        try follow.directory.write("go", "")
        try waitUntil("the second is done") { follow.lines("out").last == "end 1x" }
        #expect(follow.lines("out") == ["begin 0", "end 0", "begin 1", "end 1x"])
        #expect(try follow.stop(running).code == 0)
    }

    @Test(
        "a configuration that is wrong, or of another state directory, is refused, and all goes on as it was")
    func refused() throws {
        _ = try follow.script("hook", "echo $DUCC_LAYER >> out\n")
        let hooks = "  - {name: a, exec: [./hook], from: start}\n"
        let running = try follow.daemon(hooks)
        let wrong = [
            "  - {name: a, exce: [./hook]}\n":
                "follow.yaml:5:15: the key 'exce' is unknown, did you mean exec?",
            "  - {name: a, exec: [./gone]}\n": "hook a: cannot run",
        ]
        var count = 0
        for (hooks, words) in wrong {
            try follow.configure(hooks)
            count += 1
            try follow.reload(running, count: count)
            #expect(running.errorsSoFar.contains(words), "\(running.errorsSoFar)")
        }
        try follow.directory.write("follow.yaml", "stream: notifications.log\nstate: other\nhooks:\n" + hooks)
        try follow.reload(running, count: count + 1)
        #expect(running.errorsSoFar.contains("restart it"), "\(running.errorsSoFar)")
        try follow.emit(0..<2)
        try waitUntil("it goes on") { follow.lines("out") == ["0", "1"] }
        #expect(!running.errorsSoFar.contains("follow: reloaded"))
        #expect(try follow.stop(running).code == 0)
    }

    @Test("another stream is followed from then on")
    func otherStream() throws {
        _ = try follow.script("hook", "echo $DUCC_LAYER >> out\n")
        try follow.emit(0..<2)
        let hooks = "  - {name: a, exec: [./hook], from: start}\n"
        let running = try follow.daemon(hooks)
        try waitUntil("the first one is read") { follow.lines("out").count == 2 }
        try Files.makeDirectories(follow.directory.path("elsewhere"), mode: 0o755)
        #expect(rename(follow.path, follow.directory.path("elsewhere/notifications.log")) == 0)
        try follow.directory.write(
            "follow.yaml", "stream: elsewhere/notifications.log\nstate: state\nhooks:\n" + hooks)
        try follow.reload(running)
        let writer = try NotificationWriter(
            path: follow.directory.path("elsewhere/notifications.log"), sync: .none)
        writer.emit(.publishTest, [(.layer, "2")])
        try waitUntil("the event there is delivered") { follow.lines("out") == ["0", "1", "2"] }
        #expect(try follow.stop(running).code == 0)
    }
}
