// What we publish has exact modes whatever the umask of whoever started us, so the process works with none; the one
// it came with still counts for files that are the user's own, such as the notification file.

import Glibc

/// The process's umask.
public enum FileCreationMask {
    /// The umask that the process was started with. Reading it first clears the mask, for the whole process.
    public static let original: mode_t = umask(0)

    /// Clears the mask: `open(2)` and `mkdir(2)` give exactly the mode they are told from here on.
    public static func clear() { _ = original }
}
