// A run's events are counted: what is passed over is told, what merely was there before the reading began is not.

import Following
import Notifications
import Support
import Testing

@Suite("Gaps")
struct GapTests {
    let stream: Stream
    init() throws { stream = try Stream() }

    private static func line(_ run: Int, _ number: Int, _ further: String = "") -> String {
        let run = "00000000-0000-4000-8000-00000000000\(run)"
        return "{\"action\":\"\(further.isEmpty ? "publish_layer" : "notification_write_failed")\","
            + "\"event_id\":\"\(run):\(number)\"\(further),\"layer\":\"\(run.suffix(1))\(number)\"}\n"
    }

    private func told(_ follower: StreamFollower) throws -> [String] {
        var told: [String] = []
        while let followed = try follower.next() {
            switch followed {
            case .event(let event): told.append(event[.layer] ?? "")
            case .gap(let gap):
                told.append("\(gap.run.suffix(1)): \(gap.missing)\(gap.isDeclared ? " declared" : "")")
            case .notice(let text), .unreadable(_, excerpt: let text, file: _): told.append(text)
            case .passedOver: break
            }
        }
        return told
    }

    @Test("numbers that a run passed over are told before the event that shows it, whoever writes in between")
    func gaps() throws {
        for (run, number) in [(1, 7), (2, 1), (1, 8), (2, 3), (1, 11), (2, 4), (2, 6)] {
            try stream.append(Self.line(run, number))
        }
        #expect(
            try told(stream.follower()) == [
                "17", "21", "18", "2: 2...2", "23", "1: 9...10", "111", "24", "2: 5...5", "26",
            ])
    }

    @Test("a gap that its writer declares is told as declared; a larger one is not")
    func declared() throws {
        try stream.append(Self.line(1, 1) + Self.line(1, 4, ",\"lost_first\":\"2\",\"lost_last\":\"3\""))
        try stream.append(Self.line(1, 9, ",\"lost_first\":\"7\",\"lost_last\":\"8\""))
        #expect(
            try told(stream.follower()) == ["11", "1: 2...3 declared", "14", "1: 5...8", "19"])
    }

    @Test("begun in the middle, what came before counts, and isn't told")
    func begun() throws {
        try stream.append(Self.line(1, 1) + Self.line(2, 5) + Self.line(1, 2))
        var follower = try stream.follower(.end)
        #expect(try told(follower).isEmpty)
        try stream.append(Self.line(3, 8) + Self.line(2, 6) + Self.line(1, 4))
        #expect(try told(follower) == ["38", "26", "1: 3...3", "14"])
        follower = try stream.follower(.cursor(follower.cursor))
        try stream.append(Self.line(3, 9) + Self.line(2, 8))
        #expect(try told(follower) == ["39", "2: 7...7", "28"])
    }

    @Test("between a gap and the event behind it a cursor stands before both")
    func cursor() throws {
        try stream.append(Self.line(1, 1) + Self.line(1, 3))
        let follower = try stream.follower()
        _ = try follower.next()
        guard case .gap = try follower.next() else { return #expect(Bool(false), "no gap") }
        let place = try #require(follower.place)
        #expect(place.begin < place.end && follower.cursor.files.map(\.offset) == [place.begin])
        #expect(try told(stream.follower(.cursor(follower.cursor))) == ["1: 2...2", "13"])
        #expect(try told(follower) == ["13"])
    }

    @Test("what copytruncate loses is told, with the first event behind it")
    func copytruncate() throws {
        let writer = try NotificationWriter(path: stream.path, sync: .none)
        writer.emit(.publishTest, [(.layer, "1")])
        let follower = try stream.follower()
        #expect(try told(follower).count == 1)
        writer.emit(.publishTest, [(.layer, "2")])
        try runSuccessfully("truncate", ["--size", "0", stream.path])
        writer.emit(.publishTest, [(.layer, "3")])
        let told = try told(follower)
        #expect(
            told.count == 3 && told[0].contains("truncated") && told[1].hasSuffix(": 2...2") && told[2] == "3"
        )
    }
}
