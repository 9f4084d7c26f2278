// Hooks with `gaps: true` are told of events that are missing.

import Glibc
import Notifications
import Support
import Testing

@Suite("Gaps, told to hooks")
struct GapHookTests {
    let follow: Follow
    init() throws { follow = try Follow() }

    /// Ten events, of which two are taken out.
    private func writeGap() throws {
        try follow.emit(0..<10)
        let lines = try text(of: follow.path).split(separator: "\n")
        try follow.directory.write(
            "notifications.log",
            lines.enumerated().filter { ![3, 4].contains($0.offset) }.map { $0.element + "\n" }.joined())
    }

    @Test("exec and pipe hooks that ask for it get an event for a gap, in its place, whatever their filter")
    func told() throws {
        _ = try follow.script(
            "one", "echo $DUCC_ACTION $DUCC_LAYER $DUCC_LOST_FIRST $DUCC_LOST_LAST >> one.out\n")
        _ = try follow.script("none", "echo $DUCC_LAYER >> none.out\n")
        try follow.pipeHook("two", "event.setdefault(\"layer\", event[\"event_id\"][36:])")
        try writeGap()
        let running = try follow.daemon(
            """
              - {name: one, exec: [./one], field: layer=5, gaps: true, from: start}
              - {name: two, pipe: [./two], gaps: true, from: start}
              - {name: none, exec: [./none], field: layer=5, from: start}

            """)
        try waitUntil("all have all") {
            follow.lines("one.out").count == 2 && follow.lines("two.out").count == 9
                && follow.lines("none.out").count == 1
        }
        let result = try follow.stop(running)
        #expect(follow.lines("one.out") == ["notification_gap 4 5", "publish_test 5"])
        #expect(follow.lines("two.out") == ["0", "1", "2", ":4-5", "5", "6", "7", "8", "9"])
        #expect(result.errors.contains("events 4 to 5 of run") && result.code == 0, "\(result.errors)")
    }

    @Test("killed while it tells of a gap, a hook is told of it again, and of the event behind it once")
    func killed() throws {
        _ = try follow.script(
            "hook",
            "echo $DUCC_LAYER$DUCC_LOST_FIRST >> out; [ -e go ] || [ $DUCC_ACTION = publish_test ] || exec sleep 100\n"
        )
        try writeGap()
        let hooks = "  - {name: a, exec: [./hook], gaps: true, from: start, concurrency: 2}\n"
        var running = try follow.daemon(hooks)
        try waitUntil("it hangs at the gap, and has done the rest") { Set(follow.lines("out")).count == 9 }
        try waitUntil("that is in the cursor") {
            // The gap is a place of its own in the line of the event behind it; all others are done.
            ((try? text(of: follow.directory.path("state/cursors/a.json"))) ?? "").contains("done")
        }
        running.signal(SIGKILL)
        _ = try running.wait()
        let before = follow.lines("out")
        try follow.directory.write("go", "")
        running = try follow.daemon(hooks)
        try waitUntil("it is told again") { follow.lines("out").count > before.count }
        #expect(try follow.stop(running).code == 0)
        #expect(follow.lines("out").filter { $0 == "4" }.count == 2)
        #expect(follow.lines("out").count <= 11)
    }
}
