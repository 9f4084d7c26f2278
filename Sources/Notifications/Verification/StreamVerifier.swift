// Proves a stream across all its files: each line by its check, each run by its numbers and its chain. Bytes come in,
// findings go out; nothing here opens a file.

import Glibc
import Platform

/// Verifies a stream whose files are given to it oldest first.
///
/// ```swift
/// var verifier = try StreamVerifier()
/// verifier.begin(file: "notifications.log.1")
/// verifier.feed(bytes) { print($0) }
/// verifier.endFile { print($0) }
/// verifier.finish { print($0) }
/// ```
///
/// Memory: about 200 bytes for each run, 40 for each file, and a reader's, however many events there are. Missing
/// events are reported by `finish`, because they may stand further behind, and then are only out of order (of the
/// gaps of a run no more than 8 are kept open for that); everything else at once.
///
/// It is evidence against accident, not against a forger, who can compute checks too. And events at the beginning
/// of a stream may have gone with a file that rotation removed: a run that begins in the middle, in the oldest of
/// several files, is counted (``VerificationSummary/begunEarlier``) and no finding.
public struct StreamVerifier: ~Copyable {
    /// What was verified so far.
    public private(set) var summary = VerificationSummary()

    private let examiner: LineExaminer
    private var files: [(name: String, missingBefore: String?)] = []
    private var reader = NotificationReader()
    private var runs: [RunState] = []
    private var indices: [UInt128: Int] = [:]
    /// The run of the last line, which is the next one's too more often than not.
    private var recent = -1

    /// A verifier that has seen nothing.
    ///
    /// - Throws: `SystemError` (`ENOMEM`) where libcrypto gives no SHA-256.
    public init() throws(SystemError) {
        guard let examiner = LineExaminer() else { throw SystemError("start a SHA-256", code: ENOMEM) }
        self.examiner = examiner
    }

    /// The next file begins.
    ///
    /// - Parameters:
    ///   - name: how findings name it.
    ///   - missing: the name of a file that, by the names of the others, should be between it and the one before.
    public mutating func begin(
        file name: String, missingBefore missing: String? = nil, report: (Finding) -> Void = { _ in }
    ) {
        files.append((name, missing))
        summary.files += 1
        reader.move(to: 0, fileFingerprint: "")
        if let missing {
            tell(.missingFile(missing), at: RunState.Place(file: files.count - 1, line: 0), report)
        }
    }

    /// The file's next bytes, in pieces of any length.
    public mutating func feed(_ bytes: UnsafeRawBufferPointer, report: (Finding) -> Void) {
        summary.bytes += Int64(bytes.count)
        var rest = bytes
        while !rest.isEmpty {
            rest = UnsafeRawBufferPointer(rebasing: rest[reader.feed(rest)...])
            takeRecords(report)
        }
    }

    /// The file was read to its end.
    ///
    /// - Parameter isLive: whether it is still written to. A last line without a line feed is then not yet one.
    public mutating func endFile(isLive: Bool = false, report: (Finding) -> Void) {
        guard !isLive else { return }
        if let excerpt = reader.finish() {
            tell(.cutOff(excerpt: excerpt), at: here(reader.lineNumber), report)
        }
        takeRecords(report)
    }

    /// The file can't be read on.
    public mutating func failFile(_ reason: String, report: (Finding) -> Void) {
        tell(.unreadableFile(reason), at: here(reader.lineNumber), report)
    }

    /// All files were read: reports what is missing and which runs are unfinished.
    public mutating func finish(report: (Finding) -> Void) {
        for index in runs.indices {
            var remarks: [RunState.Remark] = []
            runs[index].finish { remarks.append($0) }
            for remark in remarks { tell(remark, of: index, nil, at: runs[index].lastPlace, report) }
            if runs[index].isUnfinished {
                tell(.unfinishedRun, of: index, at: runs[index].lastPlace, report)
            }
        }
    }

    private func here(_ line: Int) -> RunState.Place { RunState.Place(file: files.count - 1, line: line) }

    /// What the reader has found so far.
    private mutating func takeRecords(_ report: (Finding) -> Void) {
        while let step = reader.advance() {
            switch step {
            case .unreadable(let problem, let excerpt):
                tell(.unreadableLine(problem, excerpt: excerpt), at: here(reader.lineNumber), report)
            case .record:
                summary.events += 1
                switch reader.withRecord({ examiner.examine($0, $1) }) {
                case .link(let link): take(link, report)
                case .unchained: summary.unchained += 1
                case .malformed: tell(.malformed, at: here(reader.lineNumber), report)
                }
            }
        }
    }

    private mutating func take(_ link: ChainLink, _ report: (Finding) -> Void) {
        let place = here(reader.lineNumber)
        if recent < 0 || runs[recent].identifier != link.run {
            if let known = indices[link.run] {
                recent = known
            } else if link.isProven || link.sequence == 1 {
                recent = runs.count
                indices[link.run] = recent
                runs.append(RunState(identifier: link.run, place: place))
                summary.runs += 1
            } else {
                // A changed line in the middle of a run that only it knows of.
                recent = -1
                tell(.wrongCheck, at: place, report)
                return
            }
        }
        let index = recent
        // Almost always there is nothing to say: an empty array costs no memory.
        var remarks: [RunState.Remark] = []
        runs[index].take(link, at: place) { remarks.append($0) }
        for remark in remarks { tell(remark, of: index, link.sequence, at: place, report) }
    }

    private mutating func tell(
        _ remark: RunState.Remark, of run: Int, _ sequence: UInt64?, at place: RunState.Place,
        _ report: (Finding) -> Void
    ) {
        switch remark {
        case .wrongCheck: tell(.wrongCheck, of: run, at: place, report)
        case .wrongPrevious(let sequence, let place):
            tell(.wrongPrevious(sequence: sequence), of: run, at: place, report)
        case .duplicate: tell(.duplicate(sequence: sequence ?? 0), of: run, at: place, report)
        case .outOfOrder(let after):
            tell(.outOfOrder(sequence: sequence ?? 0, after: after), of: run, at: place, report)
        case .declared(let count):
            // What a file declares is anybody's number.
            let (sum, isTooMany) = summary.declaredLost.addingReportingOverflow(count)
            summary.declaredLost = isTooMany ? .max : sum
        case .gap(let gap):
            // Rotation removes the oldest files: what a run had there is not lost by accident.
            if gap.isBeginning && gap.after.file == 0 && files.count > 1 {
                summary.begunEarlier += 1
            } else {
                tell(.gap(gap.range, cause(of: gap)), of: run, at: gap.after, report)
            }
        }
    }

    private func cause(of gap: RunState.Gap) -> Finding.GapPlace {
        let from = gap.before?.file ?? -1
        guard from < gap.after.file else { return .insideFile }
        for index in max(from + 1, 0)...gap.after.file {
            if let missing = files[index].missingBefore { return .missingFile(missing) }
        }
        return from < 0 ? .beginning : .fileBoundary(previous: files[from].name)
    }

    private mutating func tell(
        _ kind: Finding.Kind, of run: Int? = nil, at place: RunState.Place, _ report: (Finding) -> Void
    ) {
        summary.findings += 1
        let name = run.map { Self.text(of: runs[$0].identifier) }
        report(Finding(kind: kind, file: files[place.file].name, line: place.line, run: name))
    }

    /// A run's identifier as it stands in the lines.
    private static func text(of identifier: UInt128) -> String {
        var text = ""
        for index in 0..<32 {
            if [8, 12, 16, 20].contains(index) { text += "-" }
            let digit = UInt8(truncatingIfNeeded: identifier >> UInt128(4 * (31 - index))) & 15
            text.unicodeScalars.append(Unicode.Scalar(LineHash.digit(digit)))
        }
        return text
    }
}
