// Who a program may be started as: looked up before, so that a started child needs nothing but system calls.

import CLinux
import Glibc

/// A user of this machine, with all groups.
public struct SystemUser: Sendable, Equatable {
    /// The user's name.
    public let name: String
    /// The user's number.
    public let identifier: uid_t
    /// The number of the user's own group.
    public let group: gid_t
    /// All groups, the user's own among them.
    public let groups: [gid_t]
    /// The home directory.
    public let home: String

    /// Looks a user up by name.
    ///
    /// - Throws: `SystemError`, with `ENOENT` where there is no such user.
    public init(named name: String) throws(SystemError) {
        var record = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 1 << 10)
        while true {
            // One of `ENOENT`, `ESRCH` and 0 where there is none: C libraries differ, and so do directory services.
            let code = getpwnam_r(name, &record, &buffer, buffer.count, &found)
            if code == EINTR { continue }
            if code == ERANGE, buffer.count < 1 << 24 {
                buffer = [CChar](repeating: 0, count: buffer.count * 2)
                continue
            }
            guard found != nil else {
                let isUnknown = code == 0 || code == ESRCH
                throw SystemError("find user", name, code: isUnknown ? ENOENT : code)
            }
            break
        }
        self.name = name
        identifier = record.pw_uid
        group = record.pw_gid
        // It points into the buffer, which is still there.
        home = withExtendedLifetime(buffer) { record.pw_dir.map { String(cString: $0) } ?? "/" }
        groups = try Self.groups(of: name, group: record.pw_gid)
    }

    /// Whether this process is that user, whatever it could become.
    public var isCurrent: Bool { getuid() == identifier && geteuid() == identifier }

    private static func groups(of name: String, group: gid_t) throws(SystemError) -> [gid_t] {
        var groups = [gid_t](repeating: 0, count: 64)
        while true {
            var count = CInt(groups.count)
            if getgrouplist(name, group, &groups, &count) >= 0 { return Array(groups.prefix(Int(count))) }
            // A list that grows each time it is asked for isn't trusted for ever.
            guard groups.count < 1 << 17 else { throw SystemError("find the groups of", name, code: E2BIG) }
            groups = [gid_t](repeating: 0, count: max(Int(count), groups.count * 2))
        }
    }
}
