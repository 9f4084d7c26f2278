// Owners, modes, times and extended attributes: what an archive's entry has besides its content.

import Archive
import CLinux
import Glibc
import Platform

/// What of an entry could not be kept because the file system, or this process, may not.
package struct LostAttributes: Sendable, Equatable {
    /// What was lost, for people, and on how many entries.
    package private(set) var counts: [String: Int] = [:]

    package init() {}

    /// Whether everything was kept.
    package var isEmpty: Bool { counts.isEmpty }

    /// Notes one loss.
    mutating func note(_ what: String) { counts[what, default: 0] += 1 }

    /// Adds another layer's losses.
    package mutating func add(_ other: LostAttributes) { counts.merge(other.counts, uniquingKeysWith: +) }

    /// One phrase for each kind of loss, sorted: "security.capability (3)".
    package var phrases: [String] { counts.sorted { $0.key < $1.key }.map { "\($0.key) (\($0.value))" } }
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

    init(privileged: Bool = geteuid() == 0) {
        self.privileged = privileged
        user = geteuid()
        group = getegid()
    }

    /// Gives an open file or directory the entry's owner, extended attributes, mode and time, in that order: a change
    /// of owner clears set-uid bits and capabilities, so those come after it.
    ///
    /// - Parameter createdMode: the permission bits it was created with.
    /// - Throws: `SystemError`.
    mutating func apply(
        _ entry: TarEntry, to descriptor: CInt, createdMode: mode_t, isDirectory: Bool
    ) throws(SystemError) {
        if privileged {
            if owner(of: entry) != (user, group) {
                let (uid, gid) = owner(of: entry)
                guard fchown(descriptor, uid, gid) == 0 else { throw SystemError("set the owner") }
            }
        } else {
            recordOwner(entry, on: "/proc/self/fd/\(descriptor)")
        }
        try writeExtendedAttributes(entry) { name, value in
            fsetxattr(descriptor, name, value.baseAddress, value.count, 0)
        }
        let mode = permissions(entry, isDirectory: isDirectory)
        if mode != createdMode {
            guard fchmod(descriptor, mode) == 0 else { throw SystemError("set the mode") }
        }
        if !isDirectory { try setTime(entry.modified, of: descriptor) }
    }

    /// Gives a link, device or FIFO the entry's owner, extended attributes, mode and time.
    ///
    /// - Throws: `SystemError`.
    mutating func apply(
        _ entry: TarEntry, toSpecial base: [CChar], at parent: CInt, isLink: Bool
    ) throws(SystemError) {
        let name = String(decodingCString: base)
        if privileged, owner(of: entry) != (user, group) {
            let (uid, gid) = owner(of: entry)
            guard fchownat(parent, base, uid, gid, AT_SYMLINK_NOFOLLOW) == 0 else {
                throw SystemError("set the owner of", name)
            }
        }
        // There is no lsetxattrat; the parent's descriptor in /proc names the entry without following it.
        let path = "/proc/self/fd/\(parent)/".utf8CString.dropLast() + base
        try path.withUnsafeBufferPointer { (path) throws(SystemError) in
            guard let path = path.baseAddress else { return }
            try writeExtendedAttributes(entry) { attribute, value in
                lsetxattr(path, attribute, value.baseAddress, value.count, 0)
            }
        }
        if !isLink, fchmodat(parent, base, entry.permissions, 0) != 0 {
            throw SystemError("set the mode of", name)
        }
        var times = Self.times(entry.modified)
        guard utimensat(parent, base, &times, AT_SYMLINK_NOFOLLOW) == 0 else {
            throw SystemError("set the time of", name)
        }
    }

    /// The permission bits an entry gets. Without root, its owner may always read it, and enter and empty a directory:
    /// what we published we must be able to serve and to remove.
    func permissions(_ entry: TarEntry, isDirectory: Bool) -> mode_t {
        if privileged { return entry.permissions }
        return entry.permissions | (isDirectory ? 0o700 : 0o400)
    }

    /// Notes something that could not be kept.
    mutating func noteLost(_ what: String) { lost.note(what) }

    /// Sets when the content last changed; the time of access follows it.
    ///
    /// - Throws: `SystemError`.
    func setTime(_ time: timespec, of descriptor: CInt) throws(SystemError) {
        var times = Self.times(time)
        guard futimens(descriptor, &times) == 0 else { throw SystemError("set the time") }
    }

    private static func times(_ time: timespec) -> [timespec] { [time, time] }

    private func owner(of entry: TarEntry) -> (uid_t, gid_t) {
        (uid_t(truncatingIfNeeded: entry.user), gid_t(truncatingIfNeeded: entry.group))
    }

    private mutating func writeExtendedAttributes(
        _ entry: TarEntry, _ write: (UnsafePointer<CChar>, UnsafeRawBufferPointer) -> CInt
    ) throws(SystemError) {
        var refused: [String] = []
        try entry.forEachAttribute { (name, value) throws(SystemError) in
            let text = String(cString: name)
            // An image that brings overlayfs' own marks would redirect lookups on every node that mounts it.
            if text.hasPrefix("trusted.overlay.") || text.hasPrefix("user.overlay.")
                || text == Self.rootlessAttribute
            {
                refused.append("\(text), which images may not set")
                return
            }
            if write(name, value) == 0 { return }
            switch errno {
            case ENOTSUP, EPERM, EACCES, ENOSPC, E2BIG, ERANGE, EINVAL:
                refused.append("extended attribute \(text): \(SystemError.reason(errno))")
            default: throw SystemError("set extended attribute \(text)")
            }
        }
        for what in refused { lost.note(what) }
    }

    private mutating func recordOwner(_ entry: TarEntry, on path: String) {
        let (uid, gid) = owner(of: entry)
        if uid == 0, gid == 0 { return }
        var message: [UInt8] = []
        for (field, value) in [(UInt8(0x08), uid), (0x10, gid)] where value != 0 {
            message.append(field)
            var rest = value
            while rest >= 0x80 {
                message.append(UInt8(rest & 0x7f) | 0x80)
                rest >>= 7
            }
            message.append(UInt8(rest))
        }
        if setxattr(path, Self.rootlessAttribute, message, message.count, 0) != 0 {
            lost.note("owner: \(SystemError.reason(errno))")
        }
    }
}
