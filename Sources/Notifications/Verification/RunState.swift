// One run as far as it was seen: a machine that takes its links in the order of the files and says what is wrong.
// It is small and stays small, whatever the run's length.

/// What is known of one run.
struct RunState {
    /// A line of a file, by the file's place among the files.
    struct Place: Equatable {
        let file: Int
        let line: Int
    }

    /// Numbers that were passed over and may still come, or be declared.
    struct Gap {
        let range: ClosedRange<UInt64>
        let before: Place?
        let after: Place
        /// Whether they are the run's first ones, which an older file may have had.
        var isBeginning: Bool { before == nil }
    }

    /// What a link brings to light.
    enum Remark {
        case wrongCheck
        case wrongPrevious(sequence: UInt64, Place)
        case gap(Gap)
        case duplicate
        case outOfOrder(after: UInt64)
        case declared(UInt64)
    }

    /// The most gaps that are kept open; beyond, the oldest one is final.
    private static let mostGaps = 8

    let identifier: UInt128
    private(set) var lastPlace: Place
    private(set) var gaps: [Gap] = []
    private var hasStarted = false
    private var hasEnded = false
    /// Whether any line proves that there is such a run.
    private var isProven = false
    private var last: UInt64 = 0
    /// The check of the last line, which the next one's `prev` must be.
    private var check: UInt128 = 0
    /// The last line's own `prev`: the next one's too where its writer takes the last line for lost.
    private var anchor: UInt128 = 0
    private var isTrusted = true
    /// A line that doesn't count the one before it, which a declaration must explain.
    private var suspect: (sequence: UInt64, place: Place)?

    init(identifier: UInt128, place: Place) {
        self.identifier = identifier
        lastPlace = place
    }

    /// Whether it has a beginning and no end.
    var isUnfinished: Bool { isProven && hasStarted && !hasEnded }

    /// The run's next line.
    mutating func take(_ link: ChainLink, at place: Place, remark: (Remark) -> Void) {
        if !link.isProven {
            remark(.wrongCheck)
            // What it says of itself is believed only where it fits.
            guard link.sequence == last + 1 else { return }
        } else if link.sequence <= last {
            takeLate(link, remark)
            return
        }
        let isFirst = last == 0
        var missing = link.sequence > last + 1 ? [last + 1...link.sequence - 1] : []
        if case .declaration(let lost) = link.role, link.isProven {
            missing = accept(lost, missing, remark)
        }
        if missing.isEmpty {
            checkPrevious(link, at: place, remark)
        } else {
            for range in missing {
                gaps.append(Gap(range: range, before: isFirst ? nil : lastPlace, after: place))
            }
        }
        settleOldGaps(remark)
        if link.role == .start && link.sequence == 1 { hasStarted = true }
        if link.role == .end { hasEnded = true }
        last = link.sequence
        lastPlace = place
        check = link.check
        anchor = link.previous
        isTrusted = link.isProven
        isProven = isProven || link.isProven
    }

    /// Everything was read.
    mutating func finish(remark: (Remark) -> Void) {
        settleSuspect(remark)
        for gap in gaps { remark(.gap(gap)) }
        gaps = []
    }

    /// A number that was passed already: it fills a gap, or is there for the second time.
    private mutating func takeLate(_ link: ChainLink, _ remark: (Remark) -> Void) {
        let number = link.sequence
        guard let index = gaps.firstIndex(where: { $0.range.contains(number) }) else {
            remark(.duplicate)
            return
        }
        let gap = gaps.remove(at: index)
        let rest = Self.subtract(number...number, from: gap.range)
        gaps.insert(
            contentsOf: rest.map { Gap(range: $0, before: gap.before, after: gap.after) }, at: index)
        if link.role == .start && number == 1 { hasStarted = true }
        if link.role == .end { hasEnded = true }
        remark(.outOfOrder(after: last))
        settleOldGaps(remark)
    }

    /// What fills the middle of a gap, or declares it, makes two of one.
    private mutating func settleOldGaps(_ remark: (Remark) -> Void) {
        while gaps.count > Self.mostGaps { remark(.gap(gaps.removeFirst())) }
    }

    /// The writer declares events lost. A line of the range that is there nevertheless is fine.
    ///
    /// - Returns: what is missing all the same.
    private mutating func accept(
        _ lost: ClosedRange<UInt64>, _ missing: [ClosedRange<UInt64>], _ remark: (Remark) -> Void
    ) -> [ClosedRange<UInt64>] {
        let open = gaps.map(\.range) + missing
        gaps = gaps.flatMap { gap in
            Self.subtract(lost, from: gap.range).map {
                Gap(range: $0, before: gap.before, after: gap.after)
            }
        }
        let rest = missing.flatMap { Self.subtract(lost, from: $0) }
        let declared = Self.count(open) - Self.count(gaps.map(\.range) + rest)
        if declared > 0 { remark(.declared(declared)) }
        if let suspect, lost.contains(suspect.sequence) { self.suspect = nil }
        return rest
    }

    private mutating func checkPrevious(_ link: ChainLink, at place: Place, _ remark: (Remark) -> Void) {
        guard link.isProven, isTrusted else { return }
        if link.previous == check {
            settleSuspect(remark)
        } else if link.previous == anchor && last > 0 {
            if case .declaration(let lost) = link.role, lost.contains(last) { return }
            if suspect == nil { suspect = (link.sequence, place) }
        } else {
            remark(.wrongPrevious(sequence: link.sequence, place))
        }
    }

    private mutating func settleSuspect(_ remark: (Remark) -> Void) {
        guard let suspect else { return }
        remark(.wrongPrevious(sequence: suspect.sequence, suspect.place))
        self.suspect = nil
    }

    private static func subtract(
        _ part: ClosedRange<UInt64>, from range: ClosedRange<UInt64>
    ) -> [ClosedRange<UInt64>] {
        guard part.overlaps(range) else { return [range] }
        var rest: [ClosedRange<UInt64>] = []
        if range.lowerBound < part.lowerBound { rest.append(range.lowerBound...part.lowerBound - 1) }
        if range.upperBound > part.upperBound { rest.append(part.upperBound + 1...range.upperBound) }
        return rest
    }

    private static func count(_ ranges: [ClosedRange<UInt64>]) -> UInt64 {
        ranges.reduce(0) { $0 + ($1.upperBound - $1.lowerBound + 1) }
    }
}
