// A file that is not what it was: truncated in place (copytruncate), or shorter than what was read of it before a
// power failure.

/// What has become of a file between two looks.
package enum Truncation: Equatable {
    /// It only grew.
    case none
    /// It holds something else now: read it from its beginning.
    case startOver
    /// The same file lost its end: what is missing was on no disk. Go on where it ends.
    case lostItsEnd

    /// - Parameters:
    ///   - size: the file's size now.
    ///   - consumed: how much of it was read.
    ///   - hasSameFirstLine: whether it begins as it did; nil where no first line is known yet.
    package static func judge(size: Int64, consumed: Int64, hasSameFirstLine: Bool?) -> Truncation {
        switch hasSameFirstLine {
        case .some(true): size < consumed ? .lostItsEnd : .none
        case .some(false): .startOver
        case .none: size < consumed ? .startOver : .none
        }
    }
}
