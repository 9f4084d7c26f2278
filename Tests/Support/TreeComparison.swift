// Two trees, compared by everything a file system keeps: what an image unpacked by us is held against what a tool
// that we didn't write makes of it.

import CLinux
import Glibc
import Platform

/// What trees hold, and where they differ.
package enum TreeComparison {
    /// What an entry has. Directories' sizes and numbers of links are the file system's own affair.
    package enum Field: String, CaseIterable, Sendable {
        /// Type and permissions, in octal.
        case mode
        case owner
        case size
        case time
        /// A file's digest, a link's text, a device's number.
        case content
        /// The first name of the same inode: which names are hard links of each other.
        case inode
        case attributes
    }

    /// A tree's entries, one line each, by their paths ("." and "./…"; bytes that are no UTF-8 are written `\xff`).
    package static func describe(_ root: String) throws -> [String: String] {
        try fields(root).mapValues { fields in
            Field.allCases.compactMap { fields[$0] }.joined(separator: " ")
        }
    }

    private static func fields(_ root: String) throws -> [String: [Field: String]] {
        var entries: [String: [Field: String]] = [:]
        var firstNames: [ino_t: String] = [:]
        try walk(Array(root.utf8CString.dropLast()), Array(".".utf8CString.dropLast()), &entries, &firstNames)
        return entries
    }

    /// Where two trees differ: "path: field one | other", sorted.
    ///
    /// - Parameters:
    ///   - inServer: whether the first is what a CernVM-FS server shows: it keeps neither extended attributes nor hard
    ///     links, and of times the seconds from 1970 to 2^33.
    ///   - ignoring: what may differ, and is not looked at.
    package static func differences(
        _ one: String, _ other: String, inServer: Bool = false,
        ignoring: (_ path: String, Field) -> Bool = { _, _ in false }
    ) throws -> [String] {
        let first = try fields(one)
        let second = try fields(other).mapValues { inServer ? keptByServer($0) : $0 }
        let lost: Set<Field> = inServer ? [.attributes, .inode] : []
        return Set(first.keys).union(second.keys).sorted().flatMap { path -> [String] in
            guard let ours = first[path], let theirs = second[path] else {
                return ["\(path): only in the \(first[path] == nil ? "second" : "first")"]
            }
            return Field.allCases.compactMap { field in
                ours[field] == theirs[field] || lost.contains(field) || ignoring(path, field)
                    ? nil : "\(path): \(field) \(ours[field] ?? "none") | \(theirs[field] ?? "none")"
            }
        }
    }

    private static func keptByServer(_ fields: [Field: String]) -> [Field: String] {
        guard let time = fields[.time], let seconds = time.split(separator: ".").first.flatMap({ Int($0) })
        else {
            return fields
        }
        return fields.merging([.time: "\(min(max(0, seconds), 1 << 33 - 1)).0"]) { $1 }
    }

    /// What flat images have besides their layers' files: directories to mount over, and Singularity's own files.
    private static let engineFiles = [
        ".singularity.d", "singularity", ".run", ".exec", ".test", ".shell", "environment", "dev", "proc",
        "root", "tmp",
        "sys", "home", "var", "var/tmp", "etc", "etc/hosts", "etc/resolv.conf",
    ]

    /// Differences without what a flat image, the first of the two, alone has because it is one.
    package static func withoutEngineFiles(_ differences: [String]) -> [String] {
        differences.filter { line in
            !engineFiles.contains { line == "./\($0): only in the first" }
                && !(line.hasPrefix("./.singularity.d/") && line.hasSuffix(": only in the first"))
        }
    }

    private static func walk(
        _ root: [CChar], _ path: [CChar], _ entries: inout [String: [Field: String]],
        _ firstNames: inout [ino_t: String]
    ) throws {
        let full = root + [CChar(UInt8(ascii: "/"))] + path + [0]
        let name = printable(path)
        var information = stat()
        guard lstat(full, &information) == 0 else { throw SystemError("look at", name) }
        var fields: [Field: String] = [
            .mode: String(information.st_mode, radix: 8),
            .owner: "\(information.st_uid):\(information.st_gid)",
            .time: "\(information.st_mtim.tv_sec).\(information.st_mtim.tv_nsec)",
            .attributes: attributes(full).joined(separator: " "),
        ]
        let type = information.st_mode & S_IFMT
        switch type {
        case S_IFREG: fields[.content] = try digest(full, name)
        case S_IFLNK: fields[.content] = "-> \(linkText(full))"
        case S_IFCHR, S_IFBLK: fields[.content] = "device \(information.st_rdev)"
        default: break
        }
        if type != S_IFDIR {
            fields[.size] = "\(information.st_size)"
            fields[.inode] = firstNames[information.st_ino] ?? name
            if firstNames[information.st_ino] == nil { firstNames[information.st_ino] = name }
        }
        entries[name] = fields
        guard type == S_IFDIR else { return }
        let directory = try OwnedDescriptor(opening: full, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        let children = try DirectoryEntry.list(directory.raw, path: name).map(\.name)
        for child in children.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            try walk(root, path + [CChar(UInt8(ascii: "/"))] + child.dropLast(), &entries, &firstNames)
        }
    }

    private static func digest(_ path: [CChar], _ name: String) throws -> String {
        let file = try OwnedDescriptor(opening: path, O_RDONLY | O_NOFOLLOW)
        let hash = try SHA256()
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = retrying { read(file.raw, &buffer, buffer.count) }
            guard count >= 0 else { throw SystemError("read", name) }
            if count == 0 { return hash.finish() }
            buffer[..<count].withUnsafeBytes { hash.update($0) }
        }
    }

    private static func linkText(_ path: [CChar]) -> String {
        var buffer = [CChar](repeating: 0, count: 2 * Int(PATH_MAX))
        return printable(Array(buffer[..<max(0, readlink(path, &buffer, buffer.count))]))
    }

    private static func attributes(_ path: [CChar]) -> [String] {
        var list = [CChar](repeating: 0, count: 64 << 10)
        let length = llistxattr(path, &list, list.count)
        guard length > 0 else { return [] }
        return list[..<length].split(separator: 0).map { name in
            var value = [UInt8](repeating: 0, count: 64 << 10)
            let count = lgetxattr(path, Array(name) + [0], &value, value.count)
            return "\(printable(Array(name)))=\(Hex.string(value[..<max(0, count)]))"
        }.sorted()
    }

    /// Bytes as text that is different for different bytes.
    private static func printable(_ bytes: [CChar]) -> String {
        let unsigned = bytes.map { UInt8(bitPattern: $0) }
        if let text = String(validating: unsigned, as: UTF8.self) { return text }
        return unsigned.map { $0 < 0x80 ? String(UnicodeScalar($0)) : "\\x" + String($0, radix: 16) }.joined()
    }
}
