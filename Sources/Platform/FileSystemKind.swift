// What kind of file system something lies on: on some, what other hosts or a user's program do goes by unseen.

import CLinux
import Glibc

/// Kinds of file systems.
public enum FileSystemKind {
    /// `f_type` of statfs(2): NFS, SMB, CIFS, SMB2, FUSE, 9P, Ceph, AFS.
    private static let withoutEvents: Set<UInt32> = [
        0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x6573_5546, 0x0102_1997, 0x00c3_6400, 0x5346_414f,
    ]

    /// Whether inotify may miss changes below a path.
    public static func mayMissEvents(at path: String) -> Bool {
        var information = statfs()
        guard statfs(path, &information) == 0 else { return false }
        return withoutEvents.contains(UInt32(truncatingIfNeeded: information.f_type))
    }
}
