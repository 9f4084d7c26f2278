// Where a reader is, in a form that survives rotation, restart and reboot.

/// How far a stream was read.
public struct Cursor: Codable, Equatable, Sendable {
    /// How far one file was read.
    public struct File: Codable, Equatable, Sendable {
        /// The file's first line as a hash: the file is found by it under any name. Empty where no line was complete.
        public var fingerprint: String
        /// Picks among files that begin with the same line.
        public var inode: UInt64
        /// Behind the last line that was done.
        public var offset: Int64
        /// The file's name when it was opened, for people.
        public var name: String
        /// The ends of events behind the offset that were done before those between; nil where there are none.
        public var done: [Int64]?
        /// What the file has before the offset; nil where that isn't known.
        public var marks: Marks?

        enum CodingKeys: String, CodingKey {
            case fingerprint, inode, offset, name, done, marks
        }

        /// Whether the file is done with, as far as it was read: then it is one of those that are old.
        package var isFinished = false

        /// A position in a file.
        public init(fingerprint: String, inode: UInt64, offset: Int64, name: String) {
            self.fingerprint = fingerprint
            self.inode = inode
            self.offset = offset
            self.name = name
        }
    }

    /// The form of this value in its file.
    public var version = 1
    /// The files that may still have something to read, oldest first.
    public var files: [File] = []
    /// The newest file that is done with: what is old is known by it, should none of the others be found again.
    public var finished: File?
    /// The last event that was done.
    public var lastEventIdentifier: String?

    /// A cursor at the beginning of everything that will come.
    public init() {}

    enum CodingKeys: String, CodingKey {
        case version, files, finished
        case lastEventIdentifier = "last_event_id"
    }
}
