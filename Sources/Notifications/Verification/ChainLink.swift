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
    func examine(_ line: UnsafeRawBufferPointer, _ spans: [FieldSpan]) -> Result {
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
            case 3 where Self.equal(name, "seq"): sequence = Self.number(value)
            case 4 where Self.equal(name, "prev"): previous = Self.hexadecimal(value)
            case 5 where Self.equal(name, "check"): check = span.value
            case 6 where Self.equal(name, "run_id"): run = Self.hexadecimal(value, dashes: true)
            case 6 where Self.equal(name, "action"): action = value
            case 8 where Self.equal(name, "event_id"): isOurs = true
            case 9 where Self.equal(name, "timestamp"): isOurs = true
            case 9 where Self.equal(name, "lost_last"): lostLast = Self.number(value)
            case 10 where Self.equal(name, "lost_first"): lostFirst = Self.number(value)
            default: break
            }
        }
        if check == nil && !isOurs { return .unchained }
        guard let run, let sequence, sequence > 0, let previous, let check else { return .malformed }
        var role = ChainLink.Role.other
        if let action {
            if Self.equal(action, "start_ducc") { role = .start }
            if Self.equal(action, "end_ducc") { role = .end }
            if Self.equal(action, "notification_write_failed"), let lostFirst, let lostLast,
                lostFirst <= lostLast, lostLast < sequence
            {
                role = .declaration(lostFirst...lostLast)
            }
        }
        return .link(
            ChainLink(
                run: run, sequence: sequence, previous: previous,
                check: Self.hexadecimal(UnsafeRawBufferPointer(rebasing: line[check])) ?? 0,
                isProven: hash.proves(line, spans), role: role))
    }

    private static func equal(_ bytes: UnsafeRawBufferPointer, _ text: StaticString) -> Bool {
        guard bytes.count == text.utf8CodeUnitCount, let base = bytes.baseAddress else { return false }
        return memcmp(base, text.utf8Start, bytes.count) == 0
    }

    private static func number(_ bytes: UnsafeRawBufferPointer) -> UInt64? {
        guard (1...19).contains(bytes.count) else { return nil }
        var value: UInt64 = 0
        for byte in bytes {
            guard (0x30...0x39).contains(byte) else { return nil }
            value = value * 10 + UInt64(byte - 0x30)
        }
        return value
    }

    /// 32 hexadecimal digits, or a UUID.
    private static func hexadecimal(_ bytes: UnsafeRawBufferPointer, dashes: Bool = false) -> UInt128? {
        guard bytes.count == (dashes ? 36 : 32) else { return nil }
        var high: UInt64 = 0
        var low: UInt64 = 0
        var count = 0
        for (index, byte) in bytes.enumerated() {
            let digit: UInt64
            switch byte {
            case 0x30...0x39: digit = UInt64(byte - 0x30)
            case 0x61...0x66: digit = UInt64(byte - 0x61 + 10)
            case UInt8(ascii: "-") where dashes && [8, 13, 18, 23].contains(index): continue
            default: return nil
            }
            if count < 16 { high = high << 4 | digit } else { low = low << 4 | digit }
            count += 1
        }
        return count == 32 ? UInt128(high) << 64 | UInt128(low) : nil
    }
}
