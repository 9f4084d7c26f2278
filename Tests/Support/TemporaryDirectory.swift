// Directories of a test's own, and text files in them.

import Glibc
import Platform

/// A directory that is removed, with everything in it, when the last reference goes.
package final class TemporaryDirectory: Sendable {
    package let path: String
    private let keepsEvents: Bool

    /// - Parameters:
    ///   - parent: where it is made; nil: `TMPDIR`, or `/tmp`.
    ///   - keepsEvents: whether its notification files are kept for validation.
    package init(in parent: String? = nil, keepsEvents: Bool = true) throws {
        self.keepsEvents = keepsEvents
        let base = parent ?? getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        path = "\(base)/ducc-test-\(RandomIdentifier.hex(8))"
        try Files.makeDirectories(path)
    }

    /// A directory in memory where the machine has one, for tests that make and remove thousands of files: on ext4 that
    /// becomes slower with every file that was removed.
    package static func inMemory(keepsEvents: Bool = true) throws -> TemporaryDirectory {
        try TemporaryDirectory(
            in: access("/dev/shm", W_OK) == 0 ? "/dev/shm" : nil, keepsEvents: keepsEvents)
    }

    deinit {
        if keepsEvents { KeptEvents.keep(from: path) }
        try? Files.removeTree(path)
    }

    /// The path of something in it.
    package func path(_ name: String) -> String { "\(path)/\(name)" }

    /// Writes a file, and its missing parents, and returns its path.
    @discardableResult
    package func write(_ name: String, _ text: String, mode: mode_t = 0o644) throws -> String {
        try write(name, Array(text.utf8), mode: mode)
    }

    /// Writes a file, and its missing parents, and returns its path.
    @discardableResult
    package func write(_ name: String, _ bytes: [UInt8], mode: mode_t = 0o644) throws -> String {
        let file = path(name)
        try Files.makeDirectories(Files.parentPath(of: file))
        try Files.replace(file, with: bytes, mode: mode, sync: false)
        return file
    }

    /// Appends to a file, which is made where it isn't there, in one write.
    package func append(_ bytes: [UInt8], to name: String) throws {
        let file = try OwnedDescriptor(opening: path(name), O_WRONLY | O_APPEND | O_CREAT, mode: 0o644)
        guard Glibc.write(file.raw, bytes, bytes.count) == bytes.count else {
            throw SystemError("append to", name)
        }
    }
}

/// A whole file as text.
package func text(of path: String) throws -> String {
    String(decoding: try Files.read(path, limit: 1 << 30), as: UTF8.self)
}
