import Delivery
import Following
import Notifications
import Support
import Testing

@Suite("One hook's way through the stream")
struct LaneTests {
    private static let file = Cursor.File(fingerprint: "f", inode: 7, offset: 0, name: "log")

    /// An event whose place is ten bytes long.
    private static func event(_ number: Int, image: String = "i") throws -> Event {
        try Event(line: Array(#"{"action":"tick","event_id":"e:\#(number)","image":"\#(image)"}"#.utf8))
    }

    private func offer(_ lane: inout Lane, _ numbers: Range<Int>, key: (Int) -> String? = { _ in nil }) throws
    {
        for number in numbers {
            let place = StreamPlace(file: 0, begin: Int64(number * 10), end: Int64(number * 10 + 10))
            lane.offer(try Self.event(number), at: place, key: key(number)) { Self.file }
        }
    }

    private func begin(_ lane: inout Lane, now: UInt64) throws -> Assignment {
        let begun = lane.begin(now: now)
        return try #require(begun)
    }

    private func cursor(_ lane: inout Lane, read: Int64 = 1000) -> Cursor.File? {
        var position = Self.file
        position.offset = read
        return lane.cursor(reading: [(0, position)]).files.first
    }

    @Test("one at a time: each is begun after the end of the one before, a retry included")
    func ordered() throws {
        var lane = Lane(concurrency: 1)
        try offer(&lane, 0..<3)
        let first = try begin(&lane, now: 0)
        #expect(first.event.identifier == "e:0" && lane.begin(now: 0) == nil)
        lane.again(first.number, at: 100, after: FailedAttempt(time: "t", outcome: "no"))
        #expect(lane.begin(now: 99) == nil && lane.deadline == 100)
        let again = try begin(&lane, now: 100)
        #expect(again.number == first.number && again.attempt == 2 && again.failures.count == 1)
        #expect(cursor(&lane)?.offset == 0)
        lane.finish(again.number)
        #expect(cursor(&lane)?.offset == 10)
        #expect(lane.begin(now: 100)?.event.identifier == "e:1")
    }

    @Test("several at a time: what was finished ahead of the oldest one is in the cursor, and not done again")
    func ahead() throws {
        var lane = Lane(concurrency: 3)
        try offer(&lane, 0..<5)
        let begun = (0..<3).compactMap { _ in lane.begin(now: 0) }
        #expect(begun.count == 3 && lane.begin(now: 0) == nil)
        lane.finish(begun[1].number)
        lane.finish(begun[2].number)
        #expect(cursor(&lane)?.offset == 0 && cursor(&lane)?.done == [20, 30])
        // After a restart.
        var next = Lane(concurrency: 1)
        next.skip([20, 30], in: 0)
        #expect(cursor(&next, read: 0)?.done == [20, 30])
        try offer(&next, 0..<5)
        #expect(cursor(&next)?.offset == 0 && cursor(&next)?.done == [20, 30], "a restart follows soon")
        var order: [String] = []
        while let assignment = next.begin(now: 0) {
            order.append(assignment.event.identifier)
            next.finish(assignment.number)
        }
        #expect(order == ["e:0", "e:3", "e:4"])
        #expect(cursor(&next)?.offset == 1000 && cursor(&next)?.done == nil && next.isIdle)
    }

    @Test("what an earlier run did beyond its cursor stays in the cursor until that has passed it")
    func aheadTwice() throws {
        var lane = Lane(concurrency: 1)
        lane.skip([20, 30], in: 0)
        try offer(&lane, 0..<5)
        let first = try begin(&lane, now: 0)
        #expect(cursor(&lane)?.offset == 0 && cursor(&lane)?.done == [20, 30])
        lane.finish(first.number)
        #expect(cursor(&lane)?.offset == 30 && cursor(&lane)?.done == nil)
    }

    @Test("events of one key stay in order, those of others overtake them")
    func keys() throws {
        var lane = Lane(concurrency: 4)
        try offer(&lane, 0..<6) { $0 % 2 == 0 ? "even" : "odd" }
        let begun = (0..<4).compactMap { _ in lane.begin(now: 0) }
        #expect(begun.map(\.event.identifier) == ["e:0", "e:1"])
        lane.finish(begun[1].number)
        #expect(lane.begin(now: 0)?.event.identifier == "e:3")
        lane.again(begun[0].number, at: 50, after: FailedAttempt(time: "", outcome: ""))
        #expect(lane.begin(now: 0) == nil, "the even ones wait for the first of them")
        #expect(lane.deadline == 50)
    }

    @Test("what was taken back comes again as the same attempt")
    func takenBack() throws {
        var lane = Lane(concurrency: 1)
        try offer(&lane, 0..<1)
        let first = try begin(&lane, now: 0)
        lane.takeBack(first.number)
        #expect(lane.begin(now: 0)?.attempt == 1)
    }

    @Test("a file that isn't read any more stays in the cursor as long as something of it is not done")
    func oldFile() throws {
        var lane = Lane(concurrency: 1)
        try offer(&lane, 3..<4)
        #expect(lane.cursor(reading: []).files.map(\.offset) == [30])
        let first = try begin(&lane, now: 0)
        lane.finish(first.number)
        let cursor = lane.cursor(reading: [])
        #expect(cursor.files.isEmpty && cursor.lastEventIdentifier == "e:3")
    }
}
