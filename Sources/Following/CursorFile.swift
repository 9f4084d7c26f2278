// A cursor on disk: replaced in one step, so that it is never half a cursor, whenever the process dies.

import FoundationEssentials
import Glibc
import Platform

/// A cursor that can't be kept or read.
public struct CursorError: Error, Sendable, CustomStringConvertible {
    /// One line: what, where, what to do.
    public let description: String
    /// Whether another process has the cursor.
    public let isInUse: Bool
}

/// One named cursor in a state directory.
public final class CursorFile {
    /// Where it is.
    public let path: String
    private let lock: SharedDescriptor
    private var lastForced: UInt64 = 0

    private static let forceEvery: UInt64 = 200_000_000

    /// Opens the cursor of this name, for this process alone.
    ///
    /// - Parameters:
    ///   - name: letters, digits, `.`, `_` and `-`, not beginning with a dot.
    ///   - state: the state directory; created if absent.
    /// - Throws: ``CursorError``.
    public init(name: String, state: String) throws(CursorError) {
        let directory = state + "/cursors"
        path = "\(directory)/\(name).json"
        let lockPath = "\(directory)/\(name).lock"
        let locked: Bool
        do throws(SystemError) {
            try Files.makeDirectories(directory, mode: 0o700)
            lock = SharedDescriptor(try OwnedDescriptor(opening: lockPath, O_RDWR | O_CREAT, mode: 0o600))
            locked = try FileLock.tryDescriptorLock(lock.raw, path: lockPath)
        } catch {
            throw CursorError(description: "\(error); name another directory with --state", isInUse: false)
        }
        guard locked else {
            throw CursorError(
                description:
                    "the cursor \(name) in \(state) is in use by another process; choose another name",
                isInUse: true)
        }
        removeLeftovers(of: name, in: directory)
    }

    /// What a process left that was killed while it replaced the cursor. Nobody else is at it now: the lock is ours.
    private func removeLeftovers(of name: String, in directory: String) {
        for entry in (try? DirectoryEntry.names(in: directory)) ?? [] {
            guard entry.hasPrefix("\(name).json."), entry.hasSuffix(".tmp") else { continue }
            let middle = entry.dropFirst(name.utf8.count + 6).dropLast(4)
            // Another cursor's name may begin so.
            if middle.allSatisfy(\.isHexDigit) { unlink("\(directory)/\(entry)") }
        }
    }

    /// Whether a name can be a cursor's.
    public static func isValid(name: String) -> Bool {
        guard let first = name.utf8.first, first != UInt8(ascii: "."), name.utf8.count <= 200 else {
            return false
        }
        return name.utf8.allSatisfy {
            switch $0 {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f: true
            default: false
            }
        }
    }

    /// What was saved, or nil where nothing was yet.
    ///
    /// - Throws: ``CursorError`` where the file is there but is no cursor.
    public func load() throws(CursorError) -> Cursor? { try Self.read(path) }

    /// What was saved under a name, whoever has it; nil where nothing was.
    ///
    /// - Throws: ``CursorError`` as `load`.
    public static func look(name: String, state: String) throws(CursorError) -> Cursor? {
        try read("\(state)/cursors/\(name).json")
    }

    private static func read(_ path: String) throws(CursorError) -> Cursor? {
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try Files.read(path)
        } catch {
            if error.code == ENOENT { return nil }
            throw CursorError(description: "\(error)", isInUse: false)
        }
        guard let cursor = try? JSONDecoder().decode(Cursor.self, from: Data(bytes)), cursor.version == 1
        else {
            throw CursorError(
                description: "\(path) is not a cursor this version can read; remove it to begin anew",
                isInUse: false)
        }
        return cursor
    }

    /// Forgets what was saved, as if it never had been.
    ///
    /// - Throws: ``CursorError``.
    public func remove() throws(CursorError) {
        guard unlink(path) != 0, errno != ENOENT else { return }
        throw CursorError(description: "\(SystemError("remove", path))", isInUse: false)
    }

    /// Replaces what is saved.
    ///
    /// A process that is killed afterwards finds this cursor. Against power failure it is forced to disk at most
    /// every 200 ms: a repeated event is allowed, half a cursor is not.
    /// - Parameter force: to disk in any case, for the last one of a run.
    /// - Throws: ``CursorError``; what was saved before is still there.
    public func save(_ cursor: Cursor, force: Bool = false) throws(CursorError) {
        let now = MonotonicClock.nanoseconds()
        let isForced = force || now - lastForced >= Self.forceEvery
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        guard let data = try? encoder.encode(cursor) else {
            throw CursorError(description: "cannot encode the cursor \(path)", isInUse: false)
        }
        do throws(SystemError) {
            try Files.replace(path, with: Array(data) + [UInt8(ascii: "\n")], mode: 0o600, sync: isForced)
        } catch {
            throw CursorError(description: "\(error)", isInUse: false)
        }
        if isForced { lastForced = now }
    }
}
