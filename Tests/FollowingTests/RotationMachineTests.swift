// The decisions, without any file: looks, growth and time go in.

import Following
import Testing

struct RotationMachineTests {
    private let first = FileKey(device: 1, inode: 1)
    private let second = FileKey(device: 1, inode: 2)
    private let third = FileKey(device: 1, inode: 3)

    private func machine() -> RotationMachine {
        var machine = RotationMachine(rotateWait: 100)
        machine.opened([first], now: 0)
        machine.recognisable(first)
        return machine
    }

    @Test("the same file, or none, at the path changes nothing")
    func unchanged() {
        var machine = machine()
        #expect(machine.looked(at: first, now: 1) == .unchanged)
        #expect(machine.looked(at: nil, now: 2) == .unchanged)
        #expect(machine.order == [first])
    }

    @Test("another file at the path is newer, and the first to be opened where none was")
    func newer() {
        var machine = machine()
        #expect(machine.looked(at: second, now: 1) == .findNewer)
        machine.opened([second], now: 1)
        #expect(machine.looked(at: second, now: 2) == .unchanged)
        #expect(machine.order == [first, second])
        var empty = RotationMachine(rotateWait: 100)
        #expect(empty.looked(at: nil, now: 0) == .unchanged)
        #expect(empty.looked(at: first, now: 0) == .findNewer)
    }

    @Test(
        "where no lease can be had, a renamed file is kept until it was quiet for long, counted from the rotation"
    )
    func quiet() {
        var machine = machine()
        machine.opened([second], now: 1000)
        machine.recognisable(second)
        #expect(machine.unasked == [first])
        machine.answered(first, .unavailable, now: 1000)
        #expect(machine.unasked.isEmpty)
        #expect(machine.finished(now: 1099).isEmpty)
        #expect(machine.deadline == 1100)
        machine.grew(first, now: 1050)
        #expect(machine.finished(now: 1149).isEmpty)
        #expect(machine.finished(now: 1150) == [first])
        #expect(machine.order == [second])
        #expect(machine.deadline == nil)
    }

    @Test("a lease that is granted finishes a renamed file, once it was read to its end after that")
    func granted() {
        var machine = machine()
        machine.opened([second], now: 1000)
        machine.recognisable(second)
        machine.readToEnd(first)
        machine.answered(first, .granted, now: 1000)
        #expect(machine.wantsReading)
        #expect(machine.finished(now: 1 << 40).isEmpty)
        machine.readToEnd(first)
        #expect(!machine.wantsReading)
        #expect(machine.finished(now: 1000) == [first])
    }

    @Test("a lease that is refused keeps a renamed file however long, and is asked for again")
    func refused() {
        var machine = machine()
        machine.opened([second], now: 0)
        machine.recognisable(second)
        machine.answered(first, .refused, now: 5)
        machine.readToEnd(first)
        #expect(machine.finished(now: 1 << 40).isEmpty)
        #expect(machine.unasked == [first])
        #expect(machine.deadline == 1_000_000_005)
        machine.answered(first, .granted, now: 6)
        machine.readToEnd(first)
        #expect(machine.finished(now: 6) == [first])
    }

    @Test("the newest file is never asked about and never finished")
    func newest() {
        var machine = machine()
        #expect(machine.unasked.isEmpty)
        machine.answered(first, .granted, now: 0)
        machine.readToEnd(first)
        #expect(machine.finished(now: 1 << 40).isEmpty)
        #expect(machine.deadline == nil)
    }

    @Test("a renamed file is kept as long as no newer one could be recognised by a cursor")
    func anchor() {
        var machine = machine()
        machine.opened([second], now: 0)
        machine.answered(first, .granted, now: 0)
        machine.readToEnd(first)
        #expect(machine.finished(now: 1000).isEmpty)
        #expect(machine.deadline == nil)
        machine.recognisable(second)
        #expect(machine.finished(now: 1000) == [first])
    }

    @Test("an older file that a writer has keeps no newer one open; one without content needs no newer one")
    func order() {
        var machine = machine()
        machine.opened([second, third], now: 0)
        machine.answered(first, .refused, now: 0)
        machine.answered(second, .granted, now: 0)
        machine.grew(second, now: 0)
        machine.readToEnd(second)
        #expect(machine.finished(now: 600).isEmpty)
        machine.recognisable(third)
        #expect(machine.finished(now: 600) == [second])
        #expect(machine.order == [first, third])
    }

    @Test("a renamed file that is moved back to the path is the newest again")
    func movedBack() {
        var machine = machine()
        machine.opened([second], now: 0)
        #expect(machine.looked(at: first, now: 1) == .movedBack)
        #expect(machine.order == [second, first])
    }

    @Test(
        "truncation is told by size and first line",
        arguments: [
            (10, 5, true, Truncation.none), (5, 10, true, .lostItsEnd), (10, 5, false, .startOver),
            (5, 10, false, .startOver), (10, 5, nil, .none), (5, 10, nil, .startOver), (5, 5, nil, .none),
        ] as [(Int64, Int64, Bool?, Truncation)])
    func truncation(size: Int64, consumed: Int64, same: Bool?, expected: Truncation) {
        #expect(Truncation.judge(size: size, consumed: consumed, hasSameFirstLine: same) == expected)
    }

    @Test("what a rotated file's name says")
    func suffixes() {
        func suffix(_ name: String) -> RotatedFiles.Suffix? { RotatedFiles.suffix(of: name, base: "n.log") }
        #expect(suffix("n.log.1") == .number(1))
        #expect(suffix("n.log.12") == .number(12))
        #expect(suffix("n.log-20261124") == .date([20_261_124]))
        #expect(suffix("n.log-20261124-1795500000") == .date([20_261_124, 1_795_500_000]))
        #expect(suffix("n.log-2026-11-24") == .date([2026, 11, 24]))
        #expect(suffix("n.log.1.backup") == .other)
        for name in [
            "n.log", "n.logs", "n.log1", "m.log.1", "n.log.1.gz", "n.log-20261124.zst", "n.log.x.tmp",
        ] {
            #expect(suffix(name) == nil, "\(name)")
        }
    }
}
