// What a follower gives out, and where that lies.

import Notifications

/// What a follower has to tell.
public enum Followed: Sendable {
    /// An event.
    case event(Event)
    /// Something in the named file that is no event.
    case unreadable(LineProblem, excerpt: String, file: String)
    /// Events are missing before the one that comes next.
    case gap(StreamGap)
    /// Nothing but events that aren't wanted, for now: there may be more.
    case passedOver
    /// Something a person should know about the stream itself.
    case notice(String)
}

/// Where in a stream something lies.
public struct StreamPlace: Equatable, Sendable {
    /// The file, by a number that a follower gives to each one that it opens.
    public let file: Int
    /// Where to read on so that it comes again.
    public let begin: Int64
    /// Behind it.
    public let end: Int64

    /// The place of what is missing before the event that begins here: inside its line, where no event ends.
    package static func gap(file: Int, begin: Int64) -> StreamPlace {
        StreamPlace(file: file, begin: begin, end: begin + 1)
    }

    /// Whether it is such a place.
    package var isGap: Bool { end == begin + 1 }

    /// A place in a file that somebody else numbers.
    public init(file: Int, begin: Int64, end: Int64) {
        self.file = file
        self.begin = begin
        self.end = end
    }
}

/// A file of a cursor as it was found again.
package struct ResumedFile {
    /// As the cursor has it.
    package let saved: Cursor.File
    /// With the inode that it has now: another one where it was compressed or copied since.
    package let position: Cursor.File
    /// Up to where it is still what it was; what the cursor says of anything behind that was lost. Unknown, and as far as
    /// can be, where it is compressed.
    package let end: Int64
}
