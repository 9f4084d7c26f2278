// Two trees, compared by everything a file system keeps: what an image unpacked by us is held against what a tool
// that we didn't write makes of it.

import CLinux
import Glibc
import Platform

/// What a tree holds, one line an entry.
package enum TreeComparison {
    /// A tree's entries: path, type, mode, owner, device, time, link target, content's digest, extended attributes, and
    /// the first name of the same inode. Directories' sizes are the file system's own affair.
    package static func describe(_ root: String) throws -> [String: String] {
        var entries: [String: String] = [:]
        var firstNames: [ino_t: String] = [:]
        try walk(root, ".", &entries, &firstNames)
        return entries
    }

    /// Where two trees differ: "path: one | other".
    package static func differences(_ one: String, _ other: String) throws -> [String] {
        let first = try describe(one)
        let second = try describe(other)
        return Set(first.keys).union(second.keys).sorted().compactMap { path in
            first[path] == second[path]
                ? nil : "\(path): \(first[path] ?? "nothing") | \(second[path] ?? "nothing")"
        }
    }

    private static func walk(
        _ root: String, _ path: String, _ entries: inout [String: String], _ firstNames: inout [ino_t: String]
    ) throws {
        let full = "\(root)/\(path)"
        var information = stat()
        guard lstat(full, &information) == 0 else { throw SystemError("look at", full) }
        let type = information.st_mode & S_IFMT
        var parts = [
            String(information.st_mode, radix: 8), "\(information.st_uid):\(information.st_gid)",
            "\(information.st_mtim.tv_sec).\(information.st_mtim.tv_nsec)",
        ]
        switch type {
        case S_IFREG: parts.append(SHA256.hex(of: try Files.read(full, limit: 1 << 30)))
        case S_IFLNK: parts.append("-> \(Files.linkTarget(full) ?? "")")
        case S_IFCHR, S_IFBLK: parts.append("device \(information.st_rdev)")
        default: break
        }
        if type != S_IFDIR {
            parts.append("same as \(firstNames[information.st_ino] ?? path)")
            if firstNames[information.st_ino] == nil { firstNames[information.st_ino] = path }
        }
        parts += try attributes(full)
        entries[path] = parts.joined(separator: " ")
        guard type == S_IFDIR else { return }
        for name in try DirectoryEntry.names(in: full) {
            try walk(root, "\(path)/\(name)", &entries, &firstNames)
        }
    }

    private static func attributes(_ path: String) throws -> [String] {
        var list = [CChar](repeating: 0, count: 64 << 10)
        let length = llistxattr(path, &list, list.count)
        guard length > 0 else { return [] }
        return list[..<length].split(separator: 0).map { name in
            var value = [UInt8](repeating: 0, count: 64 << 10)
            let count = lgetxattr(path, Array(name) + [0], &value, value.count)
            let text = String(decoding: name.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            return "\(text)=\(Hex.string(value[..<max(0, count)]))"
        }.sorted()
    }
}
