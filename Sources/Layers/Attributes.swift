// Owners, modes, times and extended attributes: what an archive's entry has besides its content.

import Archive
import CLinux
import Glibc
import Platform

/// What of an entry could not be kept because the file system, or this process, may not.
package struct LostAttributes: Sendable, Equatable {
    /// What was lost, for people, and on how many entries. The keys are our own words: an archive can't make them many.
    package private(set) var counts: [String: Int] = [:]

    package init() {}

    /// Notes losses.
    mutating func note(_ what: String, _ count: Int = 1) {
        if count > 0 { counts[what, default: 0] += count }
    }

    /// Notes the attributes that a server does not keep of an inode.
    mutating func note(unsupportedBits bits: UInt16) {
        if bits == 0 { return }
        for (index, phrase) in AttributeWriter.phrases.enumerated() where bits & 1 << UInt16(index) != 0 {
            note(phrase)
        }
    }

    /// Notes that the marks of opaque directories are kept for flat images only.
    package mutating func noteOpaqueDirectories(_ count: Int) {
        note(
            "marks of opaque directories, which count where an image puts the layer over others than this one's",
            count)
    }

    /// Notes that names show through an opaque directory whose mark is lost.
    package mutating func noteUncovered(_ count: Int) {
        note(
            "what opaque directories of layers that were there before hide (it is hidden in the flat image only)",
            count)
    }

    /// Adds another layer's losses.
    package mutating func add(_ other: LostAttributes) { counts.merge(other.counts, uniquingKeysWith: +) }

    /// One phrase for each kind of loss, sorted: "security.capability (3)".
    package var phrases: [String] { counts.sorted { $0.key < $1.key }.map { "\($0.key) (\($0.value))" } }
}

/// What a directory gets only when everything in it is made.
struct DirectoryAttributes {
    let mode: mode_t
    let modified: timespec
    /// `system.posix_acl_default`, which would otherwise decide the modes of what is made in it.
    let defaultACL: [UInt8]?
}

/// Gives entries their attributes.
struct AttributeWriter {
    /// Whether this process may give files away and make any device.
    let privileged: Bool
    private let user: uid_t
    private let group: gid_t
    private(set) var lost = LostAttributes()

    /// Where an unprivileged unpacker notes the owner that a file should have, as umoci does
    /// (github.com/rootless-containers/proto: a protobuf of `uint32 uid = 1; uint32 gid = 2`).
    private static let rootlessAttribute = "user.rootlesscontainers"
    private static let defaultACLAttribute = "system.posix_acl_default"
    /// Attributes that a loss is told of by name; others by their namespace.
    private static let known: Set<String> = [
        "security.capability", "security.selinux", "security.ima", "system.posix_acl_access",
        defaultACLAttribute,
    ]

    init(privileged: Bool = geteuid() == 0) {
        self.privileged = privileged
        user = geteuid()
        group = getegid()
    }

    /// Whether the entry's owner is one that Linux can have: 32 bits, without the "nobody changed it" of `chown(2)`.
    static func canOwn(_ entry: TarEntry) -> Bool {
        let numbers = 0..<Int64(UInt32.max)
        return numbers.contains(entry.user) && numbers.contains(entry.group)
    }

    /// Gives an open file the entry's owner, extended attributes, mode and time, in that order: a change of owner
    /// clears set-uid bits and capabilities, so those come after it.
    ///
    /// - Parameter createdMode: the permission bits it was created with.
    /// - Throws: `SystemError`.
    mutating func apply(_ entry: TarEntry, toFile descriptor: CInt, createdMode: mode_t) throws(SystemError) {
        try setOwner(entry, descriptor)
        _ = try writeExtendedAttributes(entry) { name, value in
            fsetxattr(descriptor, name, value.baseAddress, value.count, 0)
        }
        let mode = permissions(entry, isDirectory: false)
        if mode != createdMode, fchmod(descriptor, mode) != 0 { throw SystemError("set the mode") }
        try setTime(entry.modified, of: descriptor)
    }

    /// Gives an open directory the entry's owner and extended attributes.
    ///
    /// - Parameter isNew: whether it was made for this entry; one that an earlier entry named loses what that gave it.
    /// - Returns: what it gets at the end.
    /// - Throws: `SystemError`.
    mutating func apply(
        _ entry: TarEntry, toDirectory descriptor: CInt, isNew: Bool
    ) throws(SystemError) -> DirectoryAttributes {
        if !isNew { try clear(descriptor) }
        try setOwner(entry, descriptor)
        let defaultACL = try writeExtendedAttributes(entry) { name, value in
            fsetxattr(descriptor, name, value.baseAddress, value.count, 0)
        }
        return DirectoryAttributes(
            mode: permissions(entry, isDirectory: true), modified: entry.modified, defaultACL: defaultACL)
    }

    /// Gives a directory the owner that a new one has, and takes its extended attributes, but for overlayfs' marks.
    private func clear(_ descriptor: CInt) throws(SystemError) {
        if privileged, fchown(descriptor, user, group) != 0 { throw SystemError("set the owner") }
        for attribute in try OverlayMarks.otherAttributes(of: descriptor) {
            // What the file system itself adds (security.selinux …) may not be ours to remove.
            guard
                fremovexattr(descriptor, attribute) == 0 || errno == EPERM || errno == EACCES
                    || errno == ENOTSUP
            else { throw SystemError("remove an extended attribute") }
        }
    }

    /// Gives a directory, once everything in it is made, what had to wait.
    ///
    /// - Throws: `SystemError`.
    mutating func finish(_ noted: DirectoryAttributes, of descriptor: CInt) throws(SystemError) {
        if let acl = noted.defaultACL, fsetxattr(descriptor, Self.defaultACLAttribute, acl, acl.count, 0) != 0
        {
            lost.note(Self.defaultACLAttribute)
        }
        guard fchmod(descriptor, noted.mode) == 0 else { throw SystemError("set the mode of a directory") }
        try setTime(noted.modified, of: descriptor)
    }

    /// Gives a link, device or FIFO the entry's owner, extended attributes, mode and time.
    ///
    /// - Throws: `SystemError`.
    mutating func apply(
        _ entry: TarEntry, toSpecial base: [CChar], at parent: CInt, isLink: Bool
    ) throws(SystemError) {
        let (uid, gid) = owner(of: entry)
        if privileged, (uid, gid) != (user, group), fchownat(parent, base, uid, gid, AT_SYMLINK_NOFOLLOW) != 0
        {
            guard errno == EINVAL || errno == EPERM else { throw SystemError("set the owner") }
            lost.note("owners")
        } else if !privileged, (uid, gid) != (0, 0) {
            lost.note("owners of links and special files")
        }
        // There is no lsetxattrat; the parent's descriptor in /proc names the entry without following it.
        let path = "/proc/self/fd/\(parent)/".utf8CString.dropLast() + base
        try path.withUnsafeBufferPointer { (path) throws(SystemError) in
            guard let path = path.baseAddress else { return }
            _ = try writeExtendedAttributes(entry) { attribute, value in
                lsetxattr(path, attribute, value.baseAddress, value.count, 0)
            }
        }
        if !isLink, fchmodat(parent, base, entry.permissions, 0) != 0 { throw SystemError("set the mode") }
        var times = [entry.modified, entry.modified]
        guard utimensat(parent, base, &times, AT_SYMLINK_NOFOLLOW) == 0 else {
            throw SystemError("set the time")
        }
    }

    /// Notes something that could not be kept.
    mutating func noteLost(_ what: String) { lost.note(what) }

    /// Sets when the content last changed; the time of access follows it.
    ///
    /// - Throws: `SystemError`.
    func setTime(_ time: timespec, of descriptor: CInt) throws(SystemError) {
        var times = [time, time]
        guard futimens(descriptor, &times) == 0 else { throw SystemError("set the time") }
    }

    /// The permission bits an entry gets. Without root, its owner may always read it, and enter and empty a directory:
    /// what we published we must be able to serve and to remove.
    private func permissions(_ entry: TarEntry, isDirectory: Bool) -> mode_t {
        if privileged { return entry.permissions }
        return entry.permissions | (isDirectory ? 0o700 : 0o400)
    }

    private func owner(of entry: TarEntry) -> (uid_t, gid_t) {
        (uid_t(truncatingIfNeeded: entry.user), gid_t(truncatingIfNeeded: entry.group))
    }

    /// Root in a user namespace can give files only to the users that it has: the others are noted, as without root.
    private mutating func setOwner(_ entry: TarEntry, _ descriptor: CInt) throws(SystemError) {
        let (uid, gid) = owner(of: entry)
        if privileged {
            if (uid, gid) == (user, group) || fchown(descriptor, uid, gid) == 0 { return }
            guard errno == EINVAL || errno == EPERM else { throw SystemError("set the owner") }
            lost.note("owners")
        }
        if (uid, gid) == (0, 0) { return }
        let message = Self.rootlessMessage(uid, gid)
        if fsetxattr(descriptor, Self.rootlessAttribute, message, message.count, 0) != 0 {
            lost.note("owners")
        }
    }

    /// A number of 0 is the unpacker itself, which the protocol writes as "not changed": 4294967295.
    private static func rootlessMessage(_ uid: uid_t, _ gid: gid_t) -> [UInt8] {
        var message: [UInt8] = []
        for (field, value) in [(UInt8(0x08), uid), (0x10, gid)] {
            message.append(field)
            var rest = value == 0 ? uid_t.max : value
            while rest >= 0x80 {
                message.append(UInt8(rest & 0x7f) | 0x80)
                rest >>= 7
            }
            message.append(UInt8(rest))
        }
        return message
    }

    /// - Returns: a default ACL, which isn't written.
    private mutating func writeExtendedAttributes(
        _ entry: TarEntry, _ write: (UnsafePointer<CChar>, UnsafeRawBufferPointer) -> CInt
    ) throws(SystemError) -> [UInt8]? {
        var refused: [String] = []
        var defaultACL: [UInt8]?
        try entry.forEachAttribute { (name, value) throws(SystemError) in
            let text = String(cString: name)
            if text == Self.defaultACLAttribute {
                defaultACL = Array(value)
                return
            }
            // An image that brings overlayfs' own marks would redirect lookups on every node that mounts it.
            if Self.isOurs(text) {
                refused.append(Self.marksPhrase)
                return
            }
            if write(name, value) == 0 { return }
            switch errno {
            case ENOTSUP, EPERM, EACCES, ENOSPC, E2BIG, ERANGE, EINVAL: refused.append(Self.phrase(text))
            default: throw SystemError("set extended attribute \(Self.phrase(text))")
            }
        }
        for what in refused { lost.note(what) }
        return defaultACL
    }

    /// Whether an attribute is overlayfs' own, or an unpacker's note.
    static func isOurs(_ name: String) -> Bool {
        name.hasPrefix("trusted.overlay.") || name.hasPrefix("user.overlay.") || name == rootlessAttribute
    }

    private static let marksPhrase = "overlayfs' and unpackers' own attributes, which images may not set"

    /// All phrases for attributes, in the order of their bits in `LayerInodes.Inode.unsupported`.
    static let phrases: [String] =
        known.sorted()
        + (["user.", "trusted.", "security.", "system.", "of unknown kinds, "].map {
            "extended attributes \($0)*"
        })
        + [marksPhrase]

    /// The bit of the phrase for an attribute that is not kept.
    static func bit(ofPhraseFor name: String) -> UInt16 {
        let phrase = isOurs(name) ? marksPhrase : phrase(name)
        return phrases.firstIndex(of: phrase).map { 1 << UInt16($0) } ?? 0
    }

    /// What a lost attribute is called.
    static func phrase(_ name: String) -> String {
        if known.contains(name) { return name }
        let namespaces = ["user.", "trusted.", "security.", "system."]
        return "extended attributes \(namespaces.first { name.hasPrefix($0) } ?? "of unknown kinds, ")*"
    }
}
