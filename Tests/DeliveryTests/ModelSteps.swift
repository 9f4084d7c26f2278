// What can happen to a stream and to the daemon, one step at a time. Numbers that pick something are taken modulo what
// there is, so that a sequence stays one whatever is left out of it.

import Support

/// One step of the model test.
enum ModelStep: Equatable {
    case write(Int, count: Int, key: Int)
    case writePart(Int, missing: Int, key: Int)
    case complete(Int)
    /// By a writer that was suspended since it looked where the path leads.
    case writeLate(Int, key: Int)
    /// Another process takes a writer's place.
    case endWriter(Int)
    case rotate(create: Bool)
    case create
    case compress(Int, tool: Int, halfway: Bool)
    /// With so many events between the copy and the truncation; the daemon may look before and behind those.
    case copyTruncate(between: Int, looks: Int = 0)
    case delete(Int)
    case deleteLive
    /// A new file at the path gets a removed one's inode.
    case replace(Int)
    /// What a hook's programs do from now on: `s`ucceed, `f`ail, `F`ail once, `h`ang once, `i`gnore SIGTERM once.
    case tell(Int, Character)
    case pause(Int)
    case resume(Int)
    /// Configures a hook in another way, or takes it out, or takes it in again.
    case reload(Int, leaves: Bool)
    case stop
    case kill
    case start
    /// The machine goes off, and the log loses so many bytes; others write so many events before the daemon is back.
    case losePower(bytes: Int, grown: Int)
    /// The daemon does what there is to do, without waiting for any program.
    case turn
    /// It does all there is to do.
    case settle
    /// Likewise, and time goes by.
    case save
}

extension ModelStep: CustomStringConvertible {
    /// As it stands in a test.
    var description: String {
        switch self {
        case .write(let writer, let count, let key): ".write(\(writer), count: \(count), key: \(key))"
        case .writePart(let writer, let missing, let key):
            ".writePart(\(writer), missing: \(missing), key: \(key))"
        case .complete(let writer): ".complete(\(writer))"
        case .writeLate(let writer, let key): ".writeLate(\(writer), key: \(key))"
        case .endWriter(let writer): ".endWriter(\(writer))"
        case .rotate(let creates): ".rotate(create: \(creates))"
        case .create: ".create"
        case .compress(let file, let tool, let halfway):
            ".compress(\(file), tool: \(tool), halfway: \(halfway))"
        case .copyTruncate(let count, let looks): ".copyTruncate(between: \(count), looks: \(looks))"
        case .delete(let file): ".delete(\(file))"
        case .deleteLive: ".deleteLive"
        case .replace(let file): ".replace(\(file))"
        case .tell(let hook, let what): ".tell(\(hook), \"\(what)\")"
        case .pause(let hook): ".pause(\(hook))"
        case .resume(let hook): ".resume(\(hook))"
        case .reload(let hook, let leaves): ".reload(\(hook), leaves: \(leaves))"
        case .stop: ".stop"
        case .kill: ".kill"
        case .start: ".start"
        case .losePower(let bytes, let grown): ".losePower(bytes: \(bytes), grown: \(grown))"
        case .turn: ".turn"
        case .settle: ".settle"
        case .save: ".save"
        }
    }
}

/// Steps by chance; each sequence leaves out some kinds of them, so that the others meet more often.
struct ModelGenerator {
    private var random: SplitMix

    init(seed: UInt64) { random = SplitMix(state: seed) }

    private mutating func number(_ range: Range<Int>) -> Int { Int.random(in: range, using: &random) }

    private typealias Kind = (
        weight: Int, isAlways: Bool, make: @Sendable (inout ModelGenerator) -> [ModelStep]
    )

    /// Kinds of steps, each as likely as its weight says, and those that are in every sequence.
    private static let kinds: [Kind] = [
        (28, true, { [.write($0.number(0..<3), count: $0.number(1..<4), key: $0.number(0..<3))] }),
        (12, true, { _ in [.turn] }),
        (8, true, { _ in [.settle] }),
        (5, false, { [.writePart($0.number(0..<3), missing: $0.number(1..<300), key: $0.number(0..<3))] }),
        (4, false, { [.complete($0.number(0..<3))] }),
        (6, false, { [.writeLate($0.number(0..<3), key: $0.number(0..<3))] }),
        (3, false, { [.endWriter($0.number(0..<3))] }),
        (9, false, { _ in [.rotate(create: true)] }),
        (4, false, { _ in [.rotate(create: false)] }),
        (2, false, { _ in [.rotate(create: true), .rotate(create: true)] }),
        (3, false, { _ in [.create] }),
        (
            6, false,
            { [.compress($0.number(0..<9), tool: $0.number(0..<40), halfway: $0.number(0..<4) == 0)] }
        ),
        (
            4, false,
            { [.copyTruncate(between: max(0, $0.number(0..<5) - 2), looks: max(0, $0.number(0..<5) - 1))] }
        ),
        (2, false, { [.delete($0.number(0..<3))] }),
        (1, false, { _ in [.deleteLive] }),
        (2, false, { [.replace($0.number(0..<4))] }),
        (5, false, { [.tell($0.number(0..<4), ["f", "F", "h", "i"][$0.number(0..<4)])] }),
        (4, false, { [.tell($0.number(0..<4), "s")] }),
        (3, false, { [.pause($0.number(0..<4))] }),
        (3, false, { [.resume($0.number(0..<4))] }),
        (3, false, { [.reload($0.number(0..<4), leaves: $0.number(0..<3) == 0)] }),
        (3, false, { _ in [.stop, .start] }),
        (2, false, { _ in [.stop] }),
        (3, false, { _ in [.kill, .start] }),
        (3, false, { _ in [.kill] }),
        (6, true, { _ in [.start] }),
        // A program is interrupted; events behind one that hangs are done before it, in the next file too.
        (
            2, false,
            {
                [
                    .tell($0.number(0..<4), "h"), .write($0.number(0..<3), count: 1, key: 0), .turn, .turn,
                    $0.number(0..<2) == 0 ? .kill : .stop, .start,
                ]
            }
        ),
        (
            2, false,
            {
                [
                    .tell(1, "h"), .write($0.number(0..<3), count: $0.number(1..<3), key: 0),
                    .rotate(create: true), .write($0.number(0..<3), count: 2, key: 1), .turn, .turn, .turn,
                    $0.number(0..<2) == 0 ? .kill : .stop, .start,
                ]
            }
        ),
        (2, false, { [.losePower(bytes: $0.number(0..<900), grown: max(0, $0.number(0..<6) - 2))] }),
        (3, true, { _ in [.save] }),
    ]

    /// A sequence of 20 to 200 steps.
    mutating func steps() -> [ModelStep] {
        var kinds: [Kind] = []
        for kind in Self.kinds where kind.isAlways || number(0..<10) < 6 { kinds.append(kind) }
        let count = number(20..<201)
        let total = kinds.reduce(0) { $0 + $1.weight }
        var steps: [ModelStep] = []
        while steps.count < count {
            var left = number(0..<total)
            for kind in kinds {
                left -= kind.weight
                guard left < 0 else { continue }
                steps += kind.make(&self)
                break
            }
        }
        return Array(steps.prefix(count))
    }

    /// How rotated files are called, by chance.
    mutating func scheme() -> ModelDisk.Scheme { ModelDisk.Scheme.allCases[number(0..<3)] }
}
