// Images whose layers change each other: whiteouts, opaque directories, kinds that change, links in parent paths.

import Support

extension OracleImage {
    static let stacks = [
        OracleImage(
            "whiteouts of files, directories, links and nothing, and what comes back",
            { tar in
                tar.directory(".")
                tar.directory("d")
                for name in ["file", "kept", "back"] { tar.file("d/\(name)", name) }
                tar.directory("d/sub")
                tar.file("d/sub/in", "x")
                tar.symbolicLink("d/link", to: "kept")
                tar.symbolicLink("to-directory", to: "d")
                tar.add("raw", content: [1], pax: [("path", [0xff, 0x41])])
            },
            { tar in
                tar.directory("d")
                for name in ["file", "sub", "link", "back", "nothing"] { tar.file("d/.wh.\(name)", "") }
                tar.file(".wh.to-directory", "")
                tar.add("raw", pax: [("path", Array(".wh.".utf8) + [0xff, 0x41])])
                tar.file("d/.wh..wh.aufs", "AUFS' own")
            },
            { tar in
                tar.directory("d")
                tar.file("d/back", "again")
                tar.directory("d/sub", mode: 0o700)
                tar.file("d/sub/new", "y")
            }
        ),
        OracleImage(
            "opaque directories, before and behind what they hold",
            { tar in
                tar.directory(".")
                for name in ["first", "last", "first/sub", "last/sub"] { tar.directory(name) }
                tar.directory("unnamed", mode: 0o700, mtime: 1_600_000_000)
                tar.file("unnamed/old", "old")
                tar.directory("real", mode: 0o711)
                tar.file("real/old", "old")
                tar.symbolicLink("linked", to: "real")
                for name in ["first/old", "first/sub/old", "last/old", "last/sub/old"] {
                    tar.file(name, "old")
                }
            },
            { tar in
                tar.directory("first")
                tar.file("first/.wh..wh..opq", "")
                tar.file("first/new", "new")
                tar.directory("first/sub")
                tar.directory("last")
                tar.file("last/new", "new")
                tar.file("last/.wh..wh..opq", "")
            },
            { tar in
                tar.directory("last")
                tar.file("last/newer", "newer")
                // No entry names these here: an opaque directory is still the lower layers' own.
                tar.file("first/sub/.wh..wh..opq", "")
                tar.file("unnamed/.wh..wh..opq", "")
                tar.file("unnamed/new", "new")
                tar.file("linked/.wh..wh..opq", "")
                tar.file("linked/new", "new")
            }
        ),
        OracleImage(
            "each kind replaced by each other kind",
            { tar in
                tar.directory(".")
                for one in kinds { for other in kinds { add(one, "\(one)-\(other)", to: &tar) } }
            },
            { tar in
                for one in kinds { for other in kinds { add(other, "\(one)-\(other)", to: &tar) } }
            }
        ),
        OracleImage(
            "each kind replaced by each other kind within one layer",
            { tar in
                tar.directory(".")
                for one in kinds { for other in kinds { add(one, "\(one)-\(other)", to: &tar) } }
                for one in kinds { for other in kinds { add(other, "\(one)-\(other)", to: &tar) } }
            }),
        OracleImage(
            "parent directories that no layer names",
            { tar in
                tar.file("a/b/c/file", "1")
                tar.directory("tmp", mode: 0o1777)
            },
            { tar in
                tar.file("tmp/in", "2")
                tar.file("a/b/second", "3")
                tar.file("new/deep/.wh.nothing", "")
            },
            { $0.add("a/b/", type: "5", mode: 0o710, uid: 3, gid: 4, mtime: 1_300_000_000) }
        ).implying(".", "./a", "./a/b/c"),
        OracleImage(
            "links in parent paths, within a layer",
            { tar in
                tar.directory(".")
                tar.directory("usr")
                tar.directory("usr/lib")
                tar.symbolicLink("lib", to: "usr/lib")
                tar.file("lib/one", "1")
                tar.symbolicLink("absolute", to: "/usr/lib")
                tar.file("absolute/two", "2")
                tar.symbolicLink("dangling", to: "../../made/by/need")
                tar.file("dangling/three", "3")
                tar.hardLink("four", to: "lib/one")
            }
        ).implying("./made", "./made/by", "./made/by/need").touching("."),
        OracleImage(
            "links in parent paths that only lower layers have",
            { tar in
                tar.directory(".")
                tar.directory("usr")
                tar.directory("usr/lib")
                tar.directory("opt")
                tar.directory("opt/sub")
                tar.file("usr/lib/old", "old")
                tar.file("usr/lib/removed", "old")
                tar.symbolicLink("usr/lib/nested", to: "/opt/sub")
                tar.symbolicLink("lib", to: "usr/lib")
                tar.symbolicLink("absolute", to: "/usr/../lib")
                tar.symbolicLink("dangling", to: "made/by/need")
                tar.symbolicLink("replaced", to: "usr/lib")
            },
            { tar in
                tar.file("lib/new", "new")
                tar.file("lib/.wh.removed", "")
                tar.file("absolute/deep/file", "x")
                tar.file("lib/nested/inside", "y")
                tar.file("dangling/z", "z")
                tar.hardLink("hard", to: "lib/old")
                tar.hardLink("lib/hard", to: "absolute/old")
                // Named as a directory, it replaces the link.
                tar.directory("replaced")
                tar.file("replaced/in", "r")
            },
            { tar in
                tar.file("lib/new", "newer")
                tar.file("absolute/deep/file2", "x2")
                tar.hardLink("third", to: "lib/nested/inside")
            }
        ).implying(
            "./usr/lib/deep", "./made", "./made/by", "./made/by/need"
        ).touching(".", "./usr/lib"),
        OracleImage(
            "127 layers",
            layers: {
                (0..<127).map { index in
                    TestImage.Layer(
                        TarBuilder.archive { tar in
                            tar.directory(".")
                            tar.file("of-\(index)", "\(index)")
                            tar.file("newest", "\(index)")
                            tar.file(".wh.of-\(index - 5)", "")
                            if index > 0, index % 10 == 0 {
                                tar.hardLink("link-\(index)", to: "of-\(index - 1)")
                            }
                        })
                }
            }
        ),
        OracleImage(
            "a layer listed twice",
            layers: {
                let layer = TestImage.Layer(
                    TarBuilder.archive { tar in
                        tar.directory(".")
                        tar.directory("d")
                        tar.file("d/x", "twice")
                        tar.hardLink("d/y", to: "d/x")
                    })
                return [layer, TestImage.Layer(TarBuilder.archive { $0.file("d/.wh.x", "") }), layer]
            }
        ),
        OracleImage(
            "an empty layer, and one of no bytes",
            layers: {
                [
                    TestImage.Layer([UInt8](repeating: 0, count: 1024)),
                    TestImage.Layer(
                        TarBuilder.archive { tar in
                            tar.directory(".")
                            tar.file("x", "x")
                        }), TestImage.Layer([UInt8](repeating: 0, count: 10240)), TestImage.Layer([]),
                ]
            }
        ),
        // Its root is the one of Singularity's files.
        OracleImage("no layer", layers: { [] }).differing([(".", [.time])]),
        OracleImage(
            "an entry of the same name twice",
            { tar in
                tar.directory(".")
                tar.file("twice", "first")
                tar.hardLink("link", to: "twice")
                tar.file("twice", "second", mode: 0o600)
                tar.directory("again", mode: 0o700)
                tar.file("again/kept", "kept")
                tar.directory("again", mode: 0o711)
            }),
    ]

    private static let kinds = ["file", "directory", "link", "pipe", "device", "hard"]

    private static func add(_ kind: String, _ name: String, to tar: inout TarBuilder) {
        switch kind {
        case "file": tar.file(name, "content of \(name)")
        case "directory":
            tar.directory(name, mode: 0o750)
            tar.file("\(name)/in", "x")
        case "link": tar.symbolicLink(name, to: "target")
        case "pipe": tar.add(name, type: "6", mode: 0o640)
        case "device": tar.add(name, type: "3", mode: 0o600, device: (1, 3))
        default:
            tar.file("target-of-\(name)", "x")
            tar.hardLink(name, to: "target-of-\(name)")
        }
    }
}
