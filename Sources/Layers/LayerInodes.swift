// What a layer's names lead to, without any file on disk: owners, modes, times, links' texts, and which entry of the
// archive has a file's data. Names of one hard-link group lead to one inode, as in a file system.

import CLinux
import Glibc
import Platform

/// The inodes of one layer. An inode is an index.
struct LayerInodes: Sendable {
    /// One file, directory, link, device or FIFO: 40 bytes, for a layer may have many.
    struct Inode: Sendable {
        /// Type and permission bits.
        var mode: mode_t
        var user: UInt32
        var group: UInt32
        /// Seconds since 1970, rounded down: all that a CernVM-FS server keeps.
        var modified: Int64
        /// A file's length; a device's number; where a link's text begins.
        var value: Int64 = 0
        /// A regular file's data: the entry of the archive, or of `contents`; the length of a link's text; -1: none.
        var extent: Int32 = -1
        /// Extended attributes that a CernVM-FS server does not keep, as bits (`AttributeWriter.phrases`).
        var unsupported: UInt16 = 0
        var flags: Flags = []

        var type: mode_t { mode & S_IFMT }
        var permissions: mode_t { mode & 0o7777 }

        /// A directory as it is where no entry names it.
        static func impliedDirectory(modified: Int64) -> Inode {
            Inode(mode: S_IFDIR | 0o755, user: 0, group: 0, modified: modified, flags: .implied)
        }
    }

    /// What is noted of a directory.
    struct Flags: OptionSet, Sendable {
        let rawValue: UInt8
        /// No entry named it.
        static let implied = Flags(rawValue: 1)
        /// It hides everything that lower layers have in it.
        static let opaque = Flags(rawValue: 2)
        /// It stands in the place of something of the lower layers' that this layer removed.
        static let replacing = Flags(rawValue: 4)
    }

    var inodes: [Inode] = []
    /// Links' texts, one after the other.
    private var texts: [UInt8] = []
    /// The data of files that come from no archive.
    var contents: [[UInt8]] = []

    subscript(_ inode: Int32) -> Inode {
        get { inodes[Int(inode)] }
        set { inodes[Int(inode)] = newValue }
    }

    /// Adds an inode.
    mutating func append(_ inode: Inode) -> Int32 {
        inodes.append(inode)
        return Int32(inodes.count - 1)
    }

    /// Adds a symbolic link.
    mutating func append(_ inode: Inode, text: UnsafeBufferPointer<UInt8>) -> Int32 {
        var inode = inode
        inode.value = Int64(texts.count)
        inode.extent = Int32(text.count)
        texts.append(contentsOf: text)
        return append(inode)
    }

    /// A symbolic link's text; nil where the inode is none.
    func linkText(_ inode: Int32) -> [UInt8]? {
        let inode = self[inode]
        guard inode.type == S_IFLNK else { return nil }
        return Array(texts[Int(inode.value)..<Int(inode.value) + Int(inode.extent)])
    }
}
