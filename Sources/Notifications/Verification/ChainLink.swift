// A line as a link of its run's chain: who, which number, after what, and whether it proves itself.

import Glibc

/// What the verifier needs of a run's line.
struct ChainLink {
    enum Role: Equatable {
        case start, end, other
        /// `notification_write_failed` with a range that ends before its own number.
        case declaration(ClosedRange<UInt64>)
    }

    let run: UInt128
    let sequence: UInt64
    let previous: UInt128
    let check: UInt128
    let isProven: Bool
    let role: Role
}

/// Takes lines apart and proves them, with one hash for all.
struct LineExaminer: ~Copyable {
    enum Result {
        case link(ChainLink)
        /// A line of the original DUCC.
        case unchained
        case malformed
    }

    private let hash: LineHash

    /// nil where libcrypto gives no SHA-256.
    init?() {
        guard let hash = LineHash() else { return nil }
        self.hash = hash
    }

    /// - Parameter spans: the fields of the line, an object that stands alone in it.
    func examine(_ line: UnsafeRawBufferPointer, _ spans: FieldSpans) -> Result {
        var run: UInt128?
        var sequence: UInt64?
        var previous: UInt128?
        var check: Range<Int>?
        var action: UnsafeRawBufferPointer?
        var lostFirst: UInt64?
        var lostLast: UInt64?
        var isOurs = false
        for span in spans {
            let name = UnsafeRawBufferPointer(rebasing: line[span.name])
            let value = UnsafeRawBufferPointer(rebasing: line[span.value])
            switch name.count {
            case 3 where FieldBytes.equal(name, "seq"): sequence = FieldBytes.number(value)
            case 4 where FieldBytes.equal(name, "prev"): previous = FieldBytes.hexadecimal(value)
            case 5 where FieldBytes.equal(name, "check"): check = span.value
            case 6 where FieldBytes.equal(name, "run_id"): run = FieldBytes.hexadecimal(value, dashes: true)
            case 6 where FieldBytes.equal(name, "action"): action = value
            case 8 where FieldBytes.equal(name, "event_id"): isOurs = true
            case 9 where FieldBytes.equal(name, "timestamp"): isOurs = true
            case 9 where FieldBytes.equal(name, "lost_last"): lostLast = FieldBytes.number(value)
            case 10 where FieldBytes.equal(name, "lost_first"): lostFirst = FieldBytes.number(value)
            default: break
            }
        }
        if check == nil && !isOurs { return .unchained }
        guard let run, let sequence, sequence > 0, let previous, let check else { return .malformed }
        var role = ChainLink.Role.other
        if let action {
            if FieldBytes.equal(action, "start_ducc") { role = .start }
            if FieldBytes.equal(action, "end_ducc") { role = .end }
            if FieldBytes.equal(action, "notification_write_failed"), let lostFirst, let lostLast,
                lostFirst <= lostLast, lostLast < sequence
            {
                role = .declaration(lostFirst...lostLast)
            }
        }
        return .link(
            ChainLink(
                run: run, sequence: sequence, previous: previous,
                check: FieldBytes.hexadecimal(UnsafeRawBufferPointer(rebasing: line[check])) ?? 0,
                isProven: hash.proves(line, spans), role: role))
    }
}
