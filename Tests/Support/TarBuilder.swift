// tar archives byte by byte, so that a test can write what no tool would: ustar (POSIX.1-1988) with pax headers
// (POSIX.1-2001, "pax Interchange Format").

/// Builds an archive.
package struct TarBuilder {
    package private(set) var bytes: [UInt8] = []

    package init() {}

    /// Adds an entry.
    ///
    /// - Parameters:
    ///   - type: ustar's type flag: "0" file, "1" hard link, "2" symbolic link, "3" and "4" devices, "5" directory,
    ///     "6" FIFO.
    ///   - size: the length that the header tells; nil: the content's.
    ///   - pax: records of a pax header in front of it.
    package mutating func add(
        _ name: String, type: Character = "0", content: [UInt8] = [], link: String = "", mode: Int = 0o644,
        uid: Int = 0, gid: Int = 0, mtime: Int = 1_700_000_000, device: (Int, Int) = (0, 0), size: Int? = nil,
        pax: [(String, [UInt8])] = []
    ) {
        var records = pax
        if name.utf8.count > 100 { records.append(("path", Array(name.utf8))) }
        if link.utf8.count > 100 { records.append(("linkpath", Array(link.utf8))) }
        if uid > 0o7777777 { records.append(("uid", Array("\(uid)".utf8))) }
        if gid > 0o7777777 { records.append(("gid", Array("\(gid)".utf8))) }
        if !records.isEmpty {
            let data = records.flatMap { Self.record($0.0, $0.1) }
            appendHeader("pax", type: "x", size: data.count)
            appendPadded(data)
        }
        appendHeader(
            name, type: type, link: link, mode: mode, uid: uid & 0o7777777, gid: gid & 0o7777777,
            mtime: mtime,
            device: device, size: size ?? content.count)
        appendPadded(content)
    }

    /// A file with text in it.
    package mutating func file(_ name: String, _ text: String, mode: Int = 0o644) {
        add(name, content: Array(text.utf8), mode: mode)
    }

    /// A directory.
    package mutating func directory(_ name: String, mode: Int = 0o755, mtime: Int = 1_700_000_000) {
        add(name + "/", type: "5", mode: mode, mtime: mtime)
    }

    /// A symbolic link.
    package mutating func symbolicLink(_ name: String, to target: String) {
        add(name, type: "2", link: target, mode: 0o777)
    }

    /// A hard link to an entry.
    package mutating func hardLink(_ name: String, to target: String) { add(name, type: "1", link: target) }

    /// Adds raw bytes.
    package mutating func append(_ raw: [UInt8]) { bytes += raw }

    /// The archive, with the two zero blocks that end it.
    package func finished() -> [UInt8] { bytes + [UInt8](repeating: 0, count: 1024) }

    /// An archive of what `fill` adds.
    package static func archive(_ fill: (inout TarBuilder) -> Void) -> [UInt8] {
        var builder = TarBuilder()
        fill(&builder)
        return builder.finished()
    }

    private mutating func appendPadded(_ data: [UInt8]) {
        bytes += data
        bytes += [UInt8](repeating: 0, count: (512 - data.count % 512) % 512)
    }

    private mutating func appendHeader(
        _ name: String, type: Character, link: String = "", mode: Int = 0o644, uid: Int = 0, gid: Int = 0,
        mtime: Int = 0, device: (Int, Int) = (0, 0), size: Int
    ) {
        var header = [UInt8](repeating: 0, count: 512)
        func put(_ text: String, at offset: Int, width: Int) {
            for (index, byte) in text.utf8.prefix(width).enumerated() { header[offset + index] = byte }
        }
        func put(octal value: Int, at offset: Int, width: Int) {
            let digits = String(value, radix: 8)
            put(
                String(repeating: "0", count: max(0, width - 1 - digits.count)) + digits, at: offset,
                width: width - 1)
        }
        put(name, at: 0, width: 100)
        put(octal: mode, at: 100, width: 8)
        put(octal: uid, at: 108, width: 8)
        put(octal: gid, at: 116, width: 8)
        put(octal: size, at: 124, width: 12)
        put(octal: mtime, at: 136, width: 12)
        put("        ", at: 148, width: 8)
        put(String(type), at: 156, width: 1)
        put(link, at: 157, width: 100)
        put("ustar", at: 257, width: 6)
        put("00", at: 263, width: 2)
        put(octal: device.0, at: 329, width: 8)
        put(octal: device.1, at: 337, width: 8)
        let sum = header.reduce(0) { $0 + Int($1) }
        put(octal: sum, at: 148, width: 7)
        bytes += header
    }

    /// "LENGTH KEY=VALUE\n", the length counting its own digits.
    private static func record(_ key: String, _ value: [UInt8]) -> [UInt8] {
        let rest = Array(" \(key)=".utf8) + value + [UInt8(ascii: "\n")]
        var length = rest.count + 1
        while "\(length)".utf8.count + rest.count != length { length = "\(length)".utf8.count + rest.count }
        return Array("\(length)".utf8) + rest
    }
}
