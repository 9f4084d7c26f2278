// Random histories of a stream: whatever happens in whatever order, each event comes once, and each run's in order.
// The model knows nothing of how following works: it is the list of what was written.

import Following
import Glibc
import Platform
import Support
import Testing

struct RandomTests {
    /// One history and what a follower made of it.
    private final class History {
        let stream: Stream
        /// A history can be repeated: the seed is in the failure's message.
        private var random: SplitMix
        private var follower: StreamFollower
        private var cursor: Cursor
        private var written: [String: Int] = [:]
        private(set) var delivered: [String] = []
        private(set) var steps: [String] = []
        private(set) var notices: [String] = []
        private var partial = ""
        private var late: SharedDescriptor?

        init(seed: UInt64) throws {
            stream = try Stream()
            random = SplitMix(state: seed)
            follower = try stream.follower(.end, rotateWait: 1000)
            cursor = follower.cursor
        }

        /// Every run's events, in their order.
        var expected: [String: [String]] {
            written.reduce(into: [:]) { $0[$1.key] = (1...$1.value).map { number in "\(number)" } }
        }

        private func line(_ run: String) -> String {
            written[run, default: 0] += 1
            return "{\"action\":\"publish_layer\",\"event_id\":\"\(run):\(written[run, default: 0])\"}\n"
        }

        private func write(_ run: String) throws {
            // The rest of a line comes before anything else of the file's.
            try stream.append(partial)
            partial = ""
            try stream.append(line(run))
        }

        /// Takes what comes, up to so many events; where it stops the cursor may stand in the middle of a batch.
        private func read(_ limit: Int) throws {
            var left = limit
            while left > 0, let followed = try follower.next() {
                switch followed {
                case .event(let event):
                    delivered.append(event.identifier)
                    follower.lastEventIdentifier = event.identifier
                    left -= 1
                case .notice(let text): notices.append(text)
                case .passedOver: break
                case .gap(let gap): notices.append("\(gap)")
                case .unreadable(let problem, _, let file): notices.append("\(file): \(problem)")
                }
            }
            cursor = follower.cursor
        }

        private func restart() throws {
            follower = try stream.follower(.cursor(cursor), rotateWait: 1000)
        }

        func step() throws {
            let kind = Int.random(in: 0..<100, using: &random)
            steps.append("\(kind)")
            switch kind {
            case 0..<35: for _ in 0...Int.random(in: 0..<5, using: &random) { try write("a") }
            case 35..<45:
                // A part of a line now, the rest with the next event.
                guard partial.isEmpty else { return }
                let whole = line("a")
                let length = Int.random(in: 1..<whole.utf8.count, using: &random)
                try stream.append(String(whole.prefix(length)))
                partial = String(whole.dropFirst(length))
            case 45..<58: try rotate(create: true)
            case 58..<62: try rotate(create: false)
            case 62..<68:
                // A writer that was suspended during a rotation, however many there were since.
                if let late {
                    try Files.writeAll(Array(line("late").utf8), to: late.raw, path: stream.path)
                    if Bool.random(using: &random) { self.late = nil }
                }
            case 68..<90: try read(Int.random(in: 0..<2, using: &random) == 0 ? 3 : 1000)
            case 90..<98: try restart()
            default:
                try read(100_000)
                late = nil
                // What is older than what was read goes, as logrotate removes it: the oldest as well.
                for number in 3...60 { unlink(stream.path + ".\(number)") }
            }
        }

        private func rotate(create: Bool) throws {
            guard Files.exists(stream.path) else { return }
            if !partial.isEmpty { try write("a") }
            if late == nil, Bool.random(using: &random) { late = try stream.holdingWriter() }
            try stream.rotate(create: create)
        }

        func finish() throws {
            if !partial.isEmpty { try write("a") }
            try write("a")
            try read(1_000_000)
        }
    }

    @Test("random histories: every event once, each run's in order")
    func histories() throws {
        for seed in 1...UInt64(TestScale.count(400, long: 2000)) {
            let history = try History(seed: seed)
            for _ in 0..<60 { try history.step() }
            try history.finish()
            var runs: [String: [String]] = [:]
            for identifier in history.delivered {
                let parts = identifier.split(separator: ":")
                runs[String(parts[0]), default: []].append(String(parts[1]))
            }
            // A file of which everything was read may be gone at a restart; nothing else is worth a notice.
            let notices = history.notices.filter { !$0.contains("is gone") }
            guard runs != history.expected || !notices.isEmpty else { continue }
            Issue.record(
                "seed \(seed): \(history.steps.joined(separator: " ")); \(history.notices); got \(runs), wrote \(history.expected.mapValues(\.count))"
            )
            return
        }
    }
}
