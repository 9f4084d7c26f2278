// Archives that no one may unpack.

import Glibc
import Support
import Testing

/// An archive that shall be refused, and what the refusal says.
struct HostileArchive: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let message: String
    /// What the layer beneath holds.
    let lower: @Sendable (inout TarBuilder) -> Void
    let fill: @Sendable (inout TarBuilder) -> Void
    /// How the archive is changed when it is complete.
    let damage: @Sendable (inout [UInt8]) -> Void

    init(
        _ name: String, _ message: String,
        over lower: @escaping @Sendable (inout TarBuilder) -> Void = { _ in },
        damaged damage: @escaping @Sendable (inout [UInt8]) -> Void = { _ in },
        _ fill: @escaping @Sendable (inout TarBuilder) -> Void
    ) {
        testDescription = name
        self.message = message
        self.lower = lower
        self.fill = fill
        self.damage = damage
    }

    /// The layers' archives, the lowest first.
    var layers: [[UInt8]] {
        var archive = TarBuilder.archive(fill)
        damage(&archive)
        return [TarBuilder.archive(lower), archive]
    }

    static let all = names + links + numbers

    static let names = [
        HostileArchive("a name above the root", "above its root") { $0.file("../escaped", "x") },
        HostileArchive("a name that climbs after it descended", "above its root") {
            $0.file("a/../../escaped", "x")
        },
        HostileArchive("a hard link out of the root", "above its root") {
            $0.hardLink("link", to: "../canary")
        },
        HostileArchive("a hard link to a directory", "hard link to no file") { tar in
            tar.directory("d")
            tar.hardLink("link", to: "d")
        },
        HostileArchive("a hard link to the root", "hard link to its root") { $0.hardLink("link", to: "/") },
        HostileArchive("a hard link to a whiteout", "hard link to no file") { tar in
            tar.file(".wh.x", "")
            tar.hardLink("link", to: "x")
        },
        HostileArchive("a bare whiteout", "whiteout of nothing") { $0.file(".wh.", "") },
        HostileArchive("a whiteout of .", "whiteout of nothing") { $0.file("a/.wh..", "") },
        HostileArchive("a whiteout of ..", "whiteout of nothing") { $0.file("a/.wh...", "") },
        HostileArchive("a file in place of the root", "replaces its own root") { $0.file(".", "x") },
        HostileArchive("a link in place of the root", "replaces its own root") {
            $0.symbolicLink("/", to: "/etc")
        },
        HostileArchive("a file used as a directory", "uses a file as a directory") { tar in
            tar.file("f", "x")
            tar.file("f/in", "y")
        },
        HostileArchive("a loop of links", "loop of links") { tar in
            tar.symbolicLink("a", to: "b")
            tar.symbolicLink("b", to: "a")
            tar.file("a/in", "x")
        },
        HostileArchive("a name of 100 KB", "has a name of") { tar in
            tar.file(String(repeating: "n", count: 100_000), "x")
        },
        HostileArchive("a path 10,000 deep", "has a path of") { tar in
            tar.file(String(repeating: "d/", count: 10_000) + "f", "x")
        },
        HostileArchive("a whiteout used as a directory", "uses a whiteout as a directory") {
            $0.file(".wh.etc/x", "y")
        },
        HostileArchive("a whiteout that is a directory", "uses a whiteout as a directory") {
            $0.directory("d/.wh..wh..opq")
        },
        HostileArchive("a whiteout's name through a link", "links make impossible") { tar in
            tar.symbolicLink("link", to: ".wh.etc")
            tar.file("link/x", "y")
        },
        HostileArchive("no name at all", "replaces its own root") { $0.file("", "x") },
        HostileArchive("a pax path with ..", "above its root") { tar in
            tar.add("fine", content: [1], pax: [("path", Array("a/../../escaped".utf8))])
        },
    ]

    static let links = [
        HostileArchive("a hard link to nothing", "hard link to nothing") {
            $0.hardLink("link", to: "nothing")
        },
        HostileArchive("a hard link to itself", "hard link to nothing") { $0.hardLink("link", to: "./link") },
        HostileArchive("a hard link to a later entry", "hard link to nothing") { tar in
            tar.hardLink("link", to: "later")
            tar.file("later", "x")
        },
        HostileArchive("two hard links to each other", "hard link to nothing") { tar in
            tar.hardLink("a", to: "b")
            tar.hardLink("b", to: "a")
        },
        HostileArchive("a hard link through a link out of the root", "hard link to nothing") { tar in
            tar.symbolicLink("out", to: "../../canary-directory")
            tar.hardLink("link", to: "out/file")
        },
        HostileArchive(
            "a hard link through a lower layer's link out of the root", "hard link to nothing",
            over: { $0.symbolicLink("out", to: "../canary-directory") }
        ) { $0.hardLink("link", to: "out/file") },
        HostileArchive(
            "a hard link to a lower layer's directory", "hard link to nothing", over: { $0.directory("d") }
        ) { $0.hardLink("link", to: "d") },
        HostileArchive(
            "a hard link beneath a lower layer's file", "hard link to nothing", over: { $0.file("f", "x") }
        ) { $0.hardLink("link", to: "f/in") },
        HostileArchive(
            "a lower layer's link to a file, used as a directory", "uses a file as a directory",
            over: { tar in
                tar.file("f", "x")
                tar.symbolicLink("l", to: "f")
            }
        ) { $0.file("l/in", "y") },
        HostileArchive(
            "a loop of a lower layer's links as a parent", "loop of links",
            over: { tar in
                tar.symbolicLink("a", to: "b")
                tar.symbolicLink("b", to: "a")
            }
        ) { $0.file("a/in", "x") },
        HostileArchive(
            "a lower layer's link into itself as a parent", "loop of links",
            over: { $0.symbolicLink("l", to: "l/deeper") }
        ) { $0.file("l/in", "x") },
        HostileArchive(
            "a lower layer's link to a whiteout's name as a parent", "links make impossible",
            over: { $0.symbolicLink("l", to: ".wh.etc") }
        ) { $0.file("l/in", "x") },
        HostileArchive("a symbolic link to nothing", "symbolic link to nothing") {
            $0.symbolicLink("l", to: "")
        },
        HostileArchive("a link's text longer than any path", "too long") {
            $0.symbolicLink("l", to: String(repeating: "t", count: 5000))
        },
    ]
}
