/// What a verified stream consists of.
public struct VerificationSummary: Sendable, Equatable, CustomStringConvertible {
    /// How many files were read.
    public internal(set) var files = 0
    /// How many events there are, in runs and unchained.
    public internal(set) var events = 0
    /// How many runs they belong to.
    public internal(set) var runs = 0
    /// How many of them are lines of the original DUCC, which have nothing to prove themselves with.
    public internal(set) var unchained = 0
    /// How many events their writers declared lost.
    public internal(set) var declaredLost: UInt64 = 0
    /// How many runs began in a file that rotation has removed since, as far as one can tell.
    public internal(set) var begunEarlier = 0
    /// How many findings there were.
    public internal(set) var findings = 0
    /// How many bytes were read, after decompression.
    public internal(set) var bytes: Int64 = 0

    /// One line without the stream's name: `3 files, 1200 events of 4 runs: nothing is wrong`.
    public var description: String {
        var parts = [
            Self.count(files, "file"), "\(Self.count(events, "event")) of \(Self.count(runs, "run"))",
        ]
        if unchained > 0 { parts.append("\(unchained) unchained") }
        if declaredLost > 0 { parts.append("\(declaredLost) declared lost") }
        if begunEarlier > 0 {
            parts.append("\(Self.count(begunEarlier, "run")) begun before the oldest file")
        }
        let result = findings == 0 ? "nothing is wrong" : Self.count(findings, "finding")
        return "\(parts.joined(separator: ", ")): \(result)"
    }

    private static func count(_ number: Int, _ noun: String) -> String {
        "\(number) \(noun)\(number == 1 ? "" : "s")"
    }
}
