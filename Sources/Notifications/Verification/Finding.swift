// What the verifier has to say about one place of a stream, in values for programs and in words for people.

/// Something that is wrong with a stream.
public struct Finding: Sendable, Equatable, CustomStringConvertible {
    /// What is wrong.
    public enum Kind: Sendable, Equatable {
        /// A line is no event: torn by a crash, or foreign. Whole events in it were recovered.
        case unreadableLine(LineProblem, excerpt: String)
        /// The file ends in the middle of a line although no more is to come.
        case cutOff(excerpt: String)
        /// The line is not as it was written: its `check` doesn't fit.
        case wrongCheck
        /// The line has an `event_id` or a `check`, but not all that a run's line has.
        case malformed
        /// `prev` isn't the `check` of the run's line before.
        case wrongPrevious(sequence: UInt64)
        /// Events that nobody declared lost are in no file.
        case gap(ClosedRange<UInt64>, GapPlace)
        /// The event was there already.
        case duplicate(sequence: UInt64)
        /// The event stands behind a later one of its run.
        case outOfOrder(sequence: UInt64, after: UInt64)
        /// The run has a `start_ducc` and no `end_ducc`; this is its last event.
        case unfinishedRun
        /// By the names of the others, a rotated file is missing before this one.
        case missingFile(String)
        /// The file can't be read, from this line on.
        case unreadableFile(String)
    }

    /// Where events are missing, which says how they came to be.
    public enum GapPlace: Sendable, Equatable {
        /// Between two lines of one file: they were deleted.
        case insideFile
        /// The run's first events, where no older file could have had them.
        case beginning
        /// Between the end of one file and the beginning of a later one: `copytruncate` loses what is written
        /// between its copy and its truncation.
        case fileBoundary(previous: String)
        /// Where a whole file is missing.
        case missingFile(String)
    }

    /// What is wrong.
    public let kind: Kind
    /// The file, as it was named to the verifier.
    public let file: String
    /// The line in the file, from 1; 0 where it is the whole file.
    public let line: Int
    /// The run's `run_id`, where it is known.
    public let run: String?

    /// A finding at a place.
    public init(kind: Kind, file: String, line: Int, run: String? = nil) {
        self.kind = kind
        self.file = file
        self.line = line
        self.run = run
    }

    /// `notifications.log.1:17: run 6f1c…: seq 5 is missing …`, one line.
    public var description: String {
        let place = line > 0 ? "\(file):\(line)" : file
        return "\(place): \(run.map { "run \($0): " } ?? "")\(kind)"
    }
}

extension Finding.Kind: CustomStringConvertible {
    /// What is wrong, as a phrase.
    public var description: String {
        switch self {
        case .unreadableLine(let problem, let excerpt): "the line is no event, it \(problem): \(excerpt)"
        case .cutOff(let excerpt): "the file ends in the middle of its last line: \(excerpt)"
        case .wrongCheck: "the line was changed after it was written: its check does not fit"
        case .malformed: "the line lacks a run_id, seq, prev or check of the right form"
        case .wrongPrevious(let sequence): "seq \(sequence) does not refer to the line before it: wrong prev"
        case .gap(let range, let place):
            (range.count == 1
                ? "seq \(range.lowerBound) is missing"
                : "seq \(range.lowerBound) to \(range.upperBound) are missing")
                + "\(place), and not declared lost"
        case .duplicate(let sequence): "seq \(sequence) is there more than once"
        case .outOfOrder(let sequence, let after): "seq \(sequence) stands behind seq \(after)"
        case .unfinishedRun: "the run is unfinished: it has no end_ducc; this is its last event"
        case .missingFile(let name): "\(name), which comes before it, is missing"
        case .unreadableFile(let reason): "the file cannot be read on: \(reason)"
        }
    }
}

extension Finding.GapPlace: CustomStringConvertible {
    /// What the place says, as the end of a sentence.
    public var description: String {
        switch self {
        case .insideFile: " before this line"
        case .beginning: " before this line, the run's first"
        case .fileBoundary(let previous):
            " at the change from \(previous) (copytruncate leaves such gaps between its copy and its truncation;"
                + " else lines or a file were removed there)"
        case .missingFile(let name): " where \(name) is missing"
        }
    }
}
