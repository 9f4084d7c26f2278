// podman's store as the original DUCC leaves it, mended when it is next written.

import FoundationEssentials
import Glibc
import Platform
import Support
import Testing

@Suite("podman's store of the original DUCC's", .enabled(if: Podman.isPossible), .onBothRepositories)
struct PodmanMendingTests {
    let converting: Converting
    private let one: TestImage.Written
    private let two: TestImage.Written
    private let identifiers: [String: String]

    private static let own = ["one", "two"].map { name in
        PodmanStoreTests.layer { $0.file("etc/name", name) }
    }

    /// Two images that share a layer, and one that failed and is listed all the same: without a layer or a manifest.
    init() throws {
        converting = try Converting()
        var written: [TestImage.Written] = []
        for (number, layer) in Self.own.enumerated() {
            written.append(
                try TestImage([PodmanStoreTests.base, layer]).write(to: converting.layout, tag: "\(number)"))
            let result = try converting.convert("oci:\(converting.layout):\(number)", "-p")
            #expect(result.code == 0, "\(result.errors)")
        }
        (one, two) = (written[0], written[1])
        // The original's ids are the archives' digests, whatever a layer lies over.
        identifiers = Dictionary(
            zip(
                [one.layers[0], one.layers[1], two.layers[1]],
                ([PodmanStoreTests.base] + Self.own).map { SHA256.hex(of: $0.archive) })
        ) { first, _ in first }
        try converting.edit { try makeOriginal(in: $0) }
    }

    private func makeOriginal(in root: String) throws {
        let store = "\(root)/podmanStore"
        func put(_ name: String, _ content: String) throws {
            try Files.makeDirectories(Files.parentPath(of: "\(store)/\(name)"))
            try Files.replace("\(store)/\(name)", with: Array(content.utf8), sync: false)
        }
        func link(_ name: String, _ text: String) throws {
            try Files.makeDirectories(Files.parentPath(of: "\(store)/\(name)"))
            #expect(symlink(text, "\(store)/\(name)") == 0)
        }
        let base = one.layers[0]
        let names = [
            base: "XTT5Z3YJ66LVZEX4HIEJFH53JI", one.layers[1]: "BNXOQBAKTBB3MTLQBSLA2JFGKA",
            two.layers[1]: "Z6MVI57BPAIJ3NERZ7OKEWBJOY",
        ]
        for (digest, name) in names {
            let id = try #require(identifiers[digest])
            try link("overlay/\(id)/diff", "../../../.layers/\(digest.prefix(2))/\(digest)/layerfs")
            try put("overlay/\(id)/link", name)
            try link("overlay/l/\(name)", "../\(id)/diff")
        }
        let baseID = try #require(identifiers[base])
        // A second name of the one layer, and another layer's `lower` that has it.
        try link("overlay/l/OLXPIWCAFYKUDXBGPY2L4T3ZHM", "../\(baseID)/diff")
        try put("overlay/\(try #require(identifiers[one.layers[1]]))/lower", "l/OLXPIWCAFYKUDXBGPY2L4T3ZHM")
        try put("overlay/\(try #require(identifiers[two.layers[1]]))/lower", "l/XTT5Z3YJ66LVZEX4HIEJFH53JI")

        func layer(_ digest: String, parent: String?) -> String {
            let id = identifiers[digest] ?? ""
            let above = parent.map { #""parent": "\#($0)", "# } ?? ""
            return
                #"{"id": "\#(id)", \#(above)"created": "2026-11-24T10:38:57.146382987Z", "compressed-diff-digest": "sha256:\#(digest)", "#
                + #""compressed-size": 100, "diff-digest": "sha256:\#(id)", "diff-size": 2048}"#
        }
        func image(_ configuration: String, _ name: String, _ digest: String?) -> String {
            let layer = digest.map { #""layer": "\#(identifiers[$0] ?? "")", "# } ?? ""
            return
                #"{"id": "\#(configuration)", "names": ["\#(name)"], \#(layer)"created": "2026-11-24T10:39:02.432346153Z"}"#
        }
        try put(
            "overlay-layers/layers.json",
            "[\(layer(base, parent: nil)), \(layer(one.layers[1], parent: baseID)), \(layer(base, parent: nil)), "
                + "\(layer(two.layers[1], parent: baseID))]")
        let failed = SHA256.hex(of: Array("failed".utf8))
        try put(
            "overlay-images/images.json",
            "[\(image(one.configuration, "localhost/layout:0", one.layers[1])), "
                + "\(image(two.configuration, "localhost/layout:1", two.layers[1])), "
                + "\(image(failed, "localhost/failed:1", nil))]")
        for (number, image) in [one, two].enumerated() {
            let directory = "overlay-images/\(image.configuration)"
            let key = Data("sha256:\(image.configuration)".utf8).base64EncodedString()
            try put(
                "\(directory)/=\(key)",
                try text(of: "\(converting.layout)/blobs/sha256/\(image.configuration)"))
            try link("\(directory)/manifest", "../../../.metadata/localhost/layout:\(number)/manifest.json")
        }
        for name in [
            "overlay-layers/layers.lock", "overlay-images/images.lock", ".cvmfscatalog",
            "overlay/.cvmfscatalog",
            "overlay-images/.cvmfscatalog", "overlay-layers/.cvmfscatalog",
        ] {
            try put(name, "")
        }
    }

    private struct Entry: Decodable {
        let id: String
        let digest: String?
        let layer: String?
    }

    private func list(_ name: String) throws -> [Entry] {
        try JSONDecoder().decode(
            [Entry].self,
            from: Data(try text(of: converting.path("podmanStore/overlay-\(name)/\(name).json")).utf8))
    }

    @Test(
        "is whole again with the next image: no id twice, digests, and each `lower` has its layer's own name")
    func mended() throws {
        try TestImage([PodmanStoreTests.base]).write(to: converting.layout, tag: "third")
        let result = try converting.convert("oci:\(converting.layout):third")
        #expect(result.code == 0, "\(result.errors)")
        let layers = try list("layers").map(\.id)
        #expect(Set(layers).count == layers.count && layers.count == 3)
        let images = try list("images")
        #expect(images.count == 3 && images.allSatisfy { $0.digest != nil && $0.layer != nil })
        let podman = try Podman(over: converting.root)
        #expect(
            try podman.names() == ["localhost/layout:0", "localhost/layout:1", "localhost/layout:third"])
        for (number, name) in ["one", "two"].enumerated() {
            #expect(
                try podman.output(of: "localhost/layout:\(number)", "cat", "/etc/base", "/etc/name")
                    == "base\(name)")
            let lower = "podmanStore/overlay/\(SHA256.hex(of: Self.own[number].archive))/lower"
            #expect(try text(of: converting.path(lower)) == "l/XTT5Z3YJ66LVZEX4HIEJFH53JI")
        }
        // What clients' containers have in theirs goes on leading somewhere.
        #expect(Files.isDirectory(converting.path("podmanStore/overlay/l/OLXPIWCAFYKUDXBGPY2L4T3ZHM")))
    }

    @Test("an image of it that is converted anew has one entry, with its layers as they lie over each other")
    func converted() throws {
        try TestImage([PodmanStoreTests.base, Self.own[0]]).write(to: converting.layout, tag: "0")
        let result = try converting.convert("oci:\(converting.layout):0")
        #expect(result.code == 0 && result.output.contains("2 reused"), "\(result.errors)")
        #expect(try list("images").count { $0.id == one.configuration } == 1)
        let podman = try Podman(over: converting.root)
        #expect(try podman.names() == ["localhost/layout:0", "localhost/layout:1"])
        #expect(try podman.output(of: "localhost/layout:0", "cat", "/etc/name") == "one")
        #expect(
            try podman.build("localhost/built:1", "FROM localhost/layout:0\nRUN echo x > /etc/x\n").code == 0)
    }

    @Test("a layer that lies at the bottom of one image, and above another's, has an id for each")
    func bottom() throws {
        // The original gave it the id that is now the one of a lowest layer.
        var image = TestImage([Self.own[0], PodmanStoreTests.base])
        image.hasHistory = true
        try image.write(to: converting.layout, tag: "bottom")
        #expect(try converting.convert("oci:\(converting.layout):bottom").code == 0)
        let podman = try Podman(over: converting.root)
        for name in ["0", "bottom"] {
            #expect(
                try podman.output(of: "localhost/layout:\(name)", "cat", "/etc/base", "/etc/name")
                    == "baseone")
        }
    }

    @Test("a list that is no list fails the image in one line, and --skip-podman does without")
    func broken() throws {
        try converting.edit { root in
            try Files.replace(
                "\(root)/podmanStore/overlay-images/images.json", with: Array("{torn".utf8), sync: false)
        }
        try TestImage { $0.file("x", "x") }.write(to: converting.layout, tag: "x")
        let result = try converting.convert("oci:\(converting.layout):x")
        #expect(result.code == 1 && result.errors.contains("images.json: no JSON"), "\(result.errors)")
        #expect(!Files.exists(converting.path("localhost/layout:x")))
        #expect(try converting.convert("oci:\(converting.layout):x", "-p").code == 0)
    }
}
