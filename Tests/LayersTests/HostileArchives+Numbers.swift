// Archives whose numbers lie, and archives that are damaged.

import Support

extension HostileArchive {
    static let numbers = [
        HostileArchive("an owner that no system can have", "an owner that no system can have") { tar in
            tar.add("f", pax: [("uid", Array("4294967295".utf8))])
        },
        HostileArchive("a sparse file longer than it says", "data outside of its file") { tar in
            tar.add(
                "f", content: [1],
                pax: [
                    ("GNU.sparse.size", Array("10".utf8)), ("GNU.sparse.map", Array("900000000000,1".utf8)),
                ])
        },
        HostileArchive("a damaged pax header", "malformed pax") { tar in
            tar.add("short", content: [1])
            var damaged = TarBuilder()
            damaged.add("f", content: [2], pax: [("path", Array("long".utf8))])
            var bytes = damaged.bytes
            bytes[512] = 0x78
            tar.append(bytes)
        },
        HostileArchive("an archive cut inside a file", "Truncated") { tar in
            tar.add("f", content: [1, 2, 3], size: 100_000)
        },
        HostileArchive("an entry larger than any limit", "unpacks to more than") { tar in
            tar.add("f", pax: [("size", Array("\(Int64.max / 2)".utf8))])
        },
        HostileArchive(
            "a negative size, in base 256", "negative size",
            damaged: { size(&$0, [UInt8](repeating: 0xff, count: 12)) }
        ) {
            $0.file("f", "x")
        },
        HostileArchive(
            "a negative size, in digits", "Unrecognized", damaged: { size(&$0, Array("-0000000001\0".utf8)) }
        ) {
            $0.file("f", "x")
        },
        HostileArchive(
            "a size of 2^63 - 1, in base 256", "size overflow",
            damaged: { size(&$0, [0x80, 0, 0, 0, 0x7f] + [UInt8](repeating: 0xff, count: 7)) }
        ) { $0.file("f", "x") },
        HostileArchive("a size of 2^63 - 1 in a pax header", "size attribute overflow") {
            $0.add("f", pax: [("size", Array("9223372036854775807".utf8))])
        },
        HostileArchive("a size beyond 64 bits in a pax header", "size attribute overflow") {
            $0.add("f", pax: [("size", Array("99999999999999999999999".utf8))])
        },
        HostileArchive("a negative size in a pax header", "size attribute is negative") {
            $0.add("f", pax: [("size", Array("-1".utf8))])
        },
        HostileArchive("a directory with a size of 2^62", "unpacks to more than") {
            $0.add("d/", type: "5", mode: 0o755, pax: [("size", Array("4611686018427387904".utf8))])
        },
        HostileArchive("a negative owner", "an owner that no system can have") {
            $0.add("f", pax: [("uid", Array("-1".utf8))])
        },
        HostileArchive("an owner beyond 32 bits", "an owner that no system can have") {
            $0.add("f", pax: [("gid", Array("4294967296".utf8))])
        },
        HostileArchive(
            "a pax header of a terabyte", "header too large",
            damaged: { size(&$0, [0x80, 0, 0, 0, 0, 0, 1] + [UInt8](repeating: 0, count: 5)) }
        ) {
            $0.add("f", content: [1], pax: [("path", Array("x".utf8))])
        },
        HostileArchive(
            "a pax record of a terabyte", "Rejecting pax",
            damaged: { $0.replaceSubrange(512..<524, with: Array("999999999999".utf8)) }
        ) {
            $0.add("f", content: [1], pax: [("path", Array("x/y/z".utf8))])
        },
        HostileArchive(
            "a pax record that doesn't end", "malformed pax", damaged: { $0[512 + 8] = UInt8(ascii: "x") }
        ) {
            $0.add("f", content: [1], pax: [("path", [0x78])])
        },
        HostileArchive(
            "a GNU name of a terabyte", "header too large",
            damaged: { size(&$0, [0x80, 0, 0, 0, 0, 0, 1] + [UInt8](repeating: 0, count: 5)) }
        ) {
            $0.add("././@LongLink", type: "L", content: [0x78])
            $0.file("f", "x")
        },
        HostileArchive("a wrong checksum", "Unrecognized", damaged: { $0[0] ^= 1 }) { $0.file("f", "x") },
        HostileArchive("a sparse map with a negative length", "is damaged") {
            $0.add(
                "f", content: [1],
                pax: [("GNU.sparse.size", Array("10".utf8)), ("GNU.sparse.map", Array("5,-3".utf8))])
        },
        HostileArchive("a sparse map that goes backwards", "data outside of its file") {
            $0.add(
                "f", content: [1, 2, 3, 4],
                pax: [("GNU.sparse.size", Array("10".utf8)), ("GNU.sparse.map", Array("5,2,0,2".utf8))])
        },
        HostileArchive("an archive cut inside a header", "Truncated", damaged: { $0.removeSubrange(700...) })
        {
            tar in
            tar.directory("d")
            tar.directory("e")
        },
        HostileArchive(
            "an archive cut inside a pax header", "is damaged", damaged: { $0.removeSubrange(600...) }
        ) {
            $0.add("f", content: [1], pax: [("path", [UInt8](repeating: 0x78, count: 200))])
        },
        HostileArchive(
            "rubbish in place of an archive", "Unrecognized",
            damaged: { $0 = (0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 13) } }
        ) {
            $0.directory("d")
        },
    ]

    /// Writes another size into the archive's first header.
    private static func size(_ archive: inout [UInt8], _ field: [UInt8]) {
        archive.replaceSubrange(124..<136, with: field)
        archive.replaceSubrange(148..<156, with: [UInt8](repeating: UInt8(ascii: " "), count: 8))
        let digits = String(archive[..<512].reduce(0) { $0 + Int($1) }, radix: 8)
        archive.replaceSubrange(148..<148 + digits.utf8.count, with: digits.utf8)
        archive[148 + digits.utf8.count] = 0
    }
}
