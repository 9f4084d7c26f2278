// inotify through libinotifytools, held as that library must be: initialised once and first of all (it uses `select`,
// and a descriptor of 1024 or more ends the process), used on one thread, never cleaned up. Its descriptor is hidden;
// it is found among this process's own, so that it can be polled together with others.

import CInotifyTools
import Glibc
import Platform

/// Tells when something changes in directories.
///
/// The library has one global state: make one watcher a process, first thing in `main`, and use it on that thread.
public final class DirectoryWatcher {
    private static let mask: CInt =
        CInt(IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_MODIFY | IN_CLOSE_WRITE)
        | CInt(IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

    /// Readable when something happened; nil where inotify can't be had, and the caller has to look from time to time.
    public let descriptor: CInt?
    /// Which directory is watched under which path: another one may come to be there without any event, as long as
    /// an open file keeps a removed one alive.
    private var watched: [String: FileKey] = [:]

    /// Initialises the library.
    public init() {
        let before = Self.inotifyDescriptors()
        guard inotifytools_initialize() != 0,
            let found = Self.inotifyDescriptors().subtracting(before).first
        else {
            descriptor = nil
            return
        }
        // Hooks are started from here: they must not inherit it.
        _ = fcntl(found, F_SETFD, FD_CLOEXEC)
        descriptor = found
    }

    /// Watches a directory unless it is watched already: each repetition would leak in the library.
    ///
    /// - Parameter directory: a resolved path; the same directory under two names would be watched twice.
    /// - Returns: whether it is watched now; not where it is absent, the system has no more watches, or others change it
    ///   unseen (NFS, CIFS, FUSE).
    public func watch(_ directory: String) -> Bool {
        guard descriptor != nil else { return false }
        guard let key = FileKey(at: directory) else { return false }
        if watched[directory] == key { return true }
        if FileSystemKind.mayMissEvents(at: directory) { return false }
        guard inotifytools_watch_file(directory, Self.mask) != 0 else { return false }
        watched[directory] = key
        return true
    }

    /// Takes what happened off the queue. What it was doesn't matter, an overflow included: whoever is told looks at
    /// everything.
    ///
    /// - Returns: whether anything happened.
    public func drain() -> Bool {
        guard descriptor != nil else { return false }
        var happened = false
        while let event = inotifytools_next_events(0, 1) {
            happened = true
            // A directory is gone, or has another name: what is at its path now must be watched anew. Which one it
            // was only the library knows; that the others are watched once more costs a few bytes, very rarely.
            if event.pointee.mask & UInt32(IN_IGNORED | IN_MOVE_SELF) != 0 { watched = [:] }
        }
        return inotifytools_error() != 0 || happened
    }

    private static func inotifyDescriptors() -> Set<CInt> {
        let names = (try? DirectoryEntry.names(in: "/proc/self/fd")) ?? []
        return Set(
            names.compactMap { CInt($0) }.filter {
                Files.linkTarget("/proc/self/fd/\($0)") == "anon_inode:inotify"
            })
    }
}
