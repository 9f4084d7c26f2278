/// Why a line is not an event: it was torn by a crash, or somebody else wrote it.
public struct LineProblem: Error, Sendable, Equatable, CustomStringConvertible {
    /// What is wrong, as a phrase: "ends in the middle of a text".
    public let reason: String
    /// Which byte of the line, from 0.
    public let position: Int

    /// "ends in the middle of a text, at byte 17".
    public var description: String { "\(reason), at byte \(position)" }
}
