// What images hold: kinds, attributes, whiteouts, and what one layer does to another's.

import Glibc
import Platform
import Support

extension OracleImage {
    static let all = contents + stacks + formats

    static let contents = [
        OracleImage(
            "hard links within a layer and across layers, to a link and to a FIFO too",
            { tar in
                tar.directory(".")
                tar.directory("bin")
                tar.file("bin/tool", "tool", mode: 0o755)
                tar.hardLink("bin/same", to: "bin/tool")
                tar.hardLink("./bin/third", to: "/bin/same")
                tar.symbolicLink("link", to: "bin/tool")
                tar.hardLink("same-link", to: "link")
                tar.add("pipe", type: "6")
                tar.hardLink("same-pipe", to: "pipe")
            },
            { tar in
                tar.hardLink("across", to: "bin/tool")
                tar.hardLink("across-again", to: "across")
                tar.file("replaced", "x")
                tar.hardLink("replaced", to: "link")
            },
            { tar in
                // The old file lives on under its other names.
                tar.file("bin/tool", "newer", mode: 0o700)
                tar.hardLink("newer", to: "bin/tool")
                tar.hardLink("older", to: "bin/same")
                // A link means what is there when it comes, not what comes behind it.
                tar.hardLink("before", to: "same-link")
                tar.hardLink("chained", to: "before")
                tar.file("before", "no link any more")
                tar.file("same-link", "no link any more")
                tar.hardLink("relinked", to: "across")
                tar.hardLink("relinked", to: "pipe")
            }
        ),
        OracleImage(
            "extended attributes and file capabilities",
            { tar in
                tar.directory(".")
                tar.add(
                    "file", content: [1],
                    pax: [
                        ("SCHILY.xattr.user.text", Array("blue".utf8)),
                        ("SCHILY.xattr.user.binary", [0xff, 0x01, 0x0a, 0x3d]),
                        ("SCHILY.xattr.user.a=b", [1]),
                        ("SCHILY.xattr.trusted.mark", [7]),
                    ])
                tar.add(
                    "ping", content: [2], mode: 0o755, uid: 0, gid: 7,
                    pax: [("SCHILY.xattr.security.capability", capability)])
                tar.add(
                    "directory/", type: "5", mode: 0o755,
                    pax: [("SCHILY.xattr.user.of-directory", Array("d".utf8))])
                tar.hardLink("same", to: "file")
                tar.symbolicLink("link", to: "file")
            },
            { tar in
                // A directory named again has the newer attributes only.
                tar.add(
                    "directory/", type: "5", mode: 0o700, pax: [("SCHILY.xattr.user.newer", [3])])
                tar.file("directory/in", "x")
            }
        ),
        OracleImage(
            "set-uid, set-gid and sticky bits, owners of every size",
            { tar in
                tar.directory(".", mode: 0o711)
                tar.add("setuid", content: [1], mode: 0o4755, uid: 0)
                tar.add("setuid-of-other", content: [1], mode: 0o4750, uid: 12, gid: 34)
                tar.add("setgid", content: [1], mode: 0o2755, uid: 1000, gid: 50)
                tar.add("tmp/", type: "5", mode: 0o1777)
                tar.add("shared/", type: "5", mode: 0o2775, gid: 50)
                tar.add("shared/in", content: [1], mode: 0o664, uid: 1, gid: 2)
                for owner in [65_534, 65_535, 65_536, 2_097_151, 2_097_152, 3_000_000_000, 4_294_967_294] {
                    tar.add("by-\(owner)", content: [1], uid: owner, gid: owner - 1)
                }
                tar.add("owned/", type: "5", mode: 0o750, uid: 3_000_000, gid: 70_000)
            }),
        OracleImage(
            "devices and FIFOs",
            { tar in
                tar.directory(".")
                tar.add("dev/null", type: "3", mode: 0o666, device: (1, 3))
                tar.add("dev/tty", type: "3", mode: 0o620, uid: 0, gid: 5, device: (5, 0))
                tar.add("dev/sda", type: "4", mode: 0o660, gid: 6, device: (8, 0))
                tar.add("dev/many", type: "3", mode: 0o600, device: (4095, 1_048_575))
                tar.add("pipe", type: "6", mode: 0o622, uid: 3, gid: 4)
                tar.add("same", type: "1", link: "dev/null")
            },
            { tar in tar.file("dev/tty", "now a file") }
        ).implying("./dev").touching("."),
        OracleImage(
            "times of a nanosecond, before 1970 and after 2106",
            { tar in
                tar.add("./", type: "5", mode: 0o755, pax: [("mtime", Array("1600000000.000000001".utf8))])
                for (index, time) in ["1600000000.123456789", "0", "1.5", "-1.5", "-86400", "4294967296.25"]
                    .enumerated()
                {
                    tar.add("\(index)", content: [1], pax: [("mtime", Array(time.utf8))])
                    tar.add(
                        "link-\(index)", type: "2", link: "x", mode: 0o777,
                        pax: [("mtime", Array(time.utf8))])
                    tar.add("d\(index)/", type: "5", mode: 0o755, pax: [("mtime", Array(time.utf8))])
                    tar.add("d\(index)/in", content: [2])
                }
            }),
        OracleImage(
            "names that are long, are no UTF-8, or hold what shells don't like",
            { tar in
                tar.directory(".")
                let deep = (0..<30).map { String(repeating: "\($0 % 10)", count: 100) }
                for count in 1...30 { tar.directory(deep.prefix(count).joined(separator: "/")) }
                tar.file(deep.joined(separator: "/") + "/" + String(repeating: "f", count: 255), "deep")
                tar.symbolicLink("long-link", to: String(repeating: "t/", count: 1500))
                tar.hardLink(
                    "hard", to: deep.joined(separator: "/") + "/" + String(repeating: "f", count: 255))
                tar.add(
                    "raw", content: [1],
                    pax: [("hdrcharset", Array("BINARY".utf8)), ("path", [0xff, 0xfe, 0x41])])
                tar.add("raw", content: [2], pax: [("path", [0x61, 0xc3])])
                tar.add("raw", type: "2", link: "x", mode: 0o777, pax: [("linkpath", [0xff, 0x2f, 0xfe])])
                for name in [
                    "a b", "new\nline", "back\\slash", "-rf", "*", "tab\t", "über", "..x", ".wh", "\u{1b}[2J",
                ] {
                    tar.file(name, name)
                }
            }),
        OracleImage(
            "names that begin with / or ./, hold . and .., or end in a slash",
            { tar in
                tar.add("./", type: "5", mode: 0o700, uid: 5, gid: 6, mtime: 1_400_000_000)
                tar.directory("./a")
                tar.file("./a/one", "1")
                tar.file("/a/two", "2")
                tar.file("a//./three", "3")
                tar.file("a/b/../four", "4")
                tar.add("plain", type: "5", mode: 0o755)
            }
        ),
    ]

    /// `cap_net_raw=ep`, as the kernel encodes it (version 2).
    private static let capability: [UInt8] =
        [1, 0, 0, 2, 0, 0x20, 0, 0] + [UInt8](repeating: 0, count: 12)
}
