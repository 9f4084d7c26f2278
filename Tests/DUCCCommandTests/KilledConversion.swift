// Where a conversion was when it was killed, and what of its image is there: told from outside, by the repository, its
// staging directory and its registry alone.

import FoundationEssentials
import Glibc
import Notifications
import Platform
import Support
import Testing

/// A part of a conversion that a kill can hit.
enum KillPhase: String, CaseIterable, Sendable {
    /// The registry has yet to give the end of a layer of which something is staged.
    case download
    /// All bytes are there; entries of a layer are being made in staging.
    case unpack
    /// The flat image is being made in staging.
    case flat
    /// Layers have their places, the flat image is still in staging.
    case layers
    /// The flat image has its place, and the public link is about to lead to it, or just began to.
    case link
    /// The public link leads to the image; of record and manifest only the one is there.
    case metadata
}

/// Images of two layers, the lower one in common, as one undisturbed conversion makes them.
final class WholeImages: Sendable {
    /// The images by their tags: what the layout says of each.
    let written: [String: TestImage.Written]
    /// The flat images' trees, by their configurations.
    let flat: [String: [String: String]]
    /// The layers' trees, by their digests.
    let layers: [String: [String: String]]
    /// Where the images are, under the tags "old" and "new".
    let converting: Converting

    /// Enough entries for kills in the middle of them, few enough for many kills.
    private static func layer(_ name: String) -> TestImage.Layer {
        TestImage.Layer(
            TarBuilder.archive { tar in
                for directory in 0..<8 {
                    for file in 0..<25 { tar.file("\(name)/d\(directory)/f\(file)", "\(directory) \(file)") }
                }
            })
    }

    init() throws {
        converting = try Converting(.inMemory())
        var written: [String: TestImage.Written] = [:]
        var flat: [String: [String: String]] = [:]
        var layers: [String: [String: String]] = [:]
        for tag in ["old", "new"] {
            let one = try TestImage([Self.layer("common"), Self.layer(tag)]).write(
                to: converting.directory.path(tag), tag: "1")
            written[tag] = one
            let result = try converting.convert("oci:\(converting.directory.path(tag)):1")
            #expect(result.code == 0, "\(result.errors)")
            flat[one.configuration] = try TreeComparison.describe(converting.path("localhost/\(tag):1/"))
            for digest in one.layers { layers[digest] = try Self.layerTree(digest, converting) }
        }
        #expect(flat.count == 2 && layers.count == 3 && flat.values.allSatisfy { $0.count > 400 })
        self.written = written
        self.flat = flat
        self.layers = layers
    }

    private static func layerTree(_ digest: String, _ converting: Converting) throws -> [String: String] {
        try TreeComparison.describe(converting.path(".layers/\(digest.prefix(2))/\(digest)/layerfs"))
    }

    /// Whatever can be reached is whole: what public links lead to, what has a layer's or a flat image's place, and
    /// what `list` tells of.
    ///
    /// - Returns: which configurations the links lead to, by their names.
    @discardableResult
    func check(_ converting: Converting, _ when: String) throws -> [String: String] {
        guard Files.exists(converting.repository) else { return [:] }
        var visible: [String: String] = [:]
        for host in try DirectoryEntry.names(in: converting.repository)
        where !host.hasPrefix(".") && host != "podmanStore" {
            for name in try DirectoryEntry.names(in: converting.path(host)) {
                let path = "\(host)/\(name)"
                let target = try #require(Files.linkTarget(converting.path(path)))
                let configuration = Files.lastComponent(of: target)
                visible[path] = configuration
                let tree = try? TreeComparison.describe(converting.path("\(path)/"))
                #expect(
                    tree != nil && tree == flat[configuration], "\(when): \(path) is visible but not whole")
            }
        }
        for (kind, whole) in [(".flat", flat), (".layers", layers)] {
            for prefix in try DirectoryEntry.names(in: converting.path(kind)) {
                for digest in try DirectoryEntry.names(in: converting.path("\(kind)/\(prefix)")) {
                    let top = "\(kind)/\(prefix)/\(digest)" + (kind == ".flat" ? "" : "/layerfs")
                    let tree = try? TreeComparison.describe(converting.path(top))
                    #expect(tree != nil && tree == whole[digest], "\(when): \(top) isn't whole")
                }
            }
        }
        let listed = try converting.ducc(["list", "--json", converting.repository], notifying: false)
        #expect(listed.code == 0, "\(when): \(listed.errors)")
        for line in listed.output.split(separator: "\n") {
            let image = try JSONDecoder().decode(Listed.self, from: Data(line.utf8))
            let configuration = image.configurationDigest.dropFirst("sha256:".count)
            #expect(visible[image.publicPath] == String(configuration), "\(when): \(line)")
            for layer in image.layers {
                let digest = layer.digest.dropFirst("sha256:".count)
                let top = converting.path(".layers/\(digest.prefix(2))/\(digest)")
                #expect(
                    Files.isDirectory("\(top)/layerfs") && Files.exists("\(top)/.metadata/layers.json"),
                    "\(when): \(line)")
            }
        }
        return visible
    }

    /// What `list --json` says of an image.
    private struct Listed: Decodable {
        struct Layer: Decodable { let digest: String }
        let publicPath: String
        let configurationDigest: String
        let layers: [Layer]

        enum CodingKeys: String, CodingKey {
            case layers
            case publicPath = "public_path"
            case configurationDigest = "config_digest"
        }
    }
}

/// What is left of a conversion that runs no more.
struct KilledConversion {
    let converting: Converting
    /// The image that was converted, and its public path.
    let image: TestImage.Written
    let publicPath: String
    /// Whether its registry had yet to give a part of its layers.
    let isDownloadOpen: Bool

    /// The part in which it was killed; nil where that is none of them.
    func phase() throws -> KillPhase? {
        let metadata = converting.path(".metadata/\(publicPath)")
        if (try? SHA256.hex(of: Files.read("\(metadata)/manifest.json"))) == image.manifest { return nil }
        let isLinked =
            Files.linkTarget(converting.path(publicPath)).map(Files.lastComponent) == image.configuration
        if isLinked {
            let record = (try? text(of: "\(metadata)/conversion.json")) ?? ""
            return record.contains(image.configuration) ? .metadata : .link
        }
        if Files.exists(converting.path(flatPath)) { return .link }
        guard let staging = try stagingDirectory() else { return nil }
        let top = image.layers.last ?? ""
        if Files.exists("\(staging)/flat") {
            let isPlaced = Files.exists(converting.path(".layers/\(top.prefix(2))/\(top)"))
            return isPlaced ? .layers : .flat
        }
        let staged = try DirectoryEntry.names(in: staging).filter { $0.hasPrefix("layer-") }
        if isDownloadOpen { return staged.isEmpty ? nil : .download }
        let isUnpacking = try staged.contains { name in
            try !Files.exists("\(staging)/\(name)/.metadata/layers.json")
                && !DirectoryEntry.names(in: "\(staging)/\(name)/layerfs").isEmpty
        }
        return isUnpacking ? .unpack : nil
    }

    /// The flat image's place.
    var flatPath: String { ".flat/\(image.configuration.prefix(2))/\(image.configuration)" }

    /// The one directory in staging; nil while there is none.
    func stagingDirectory() throws -> String? {
        try converting.staged().first { !$0.hasSuffix(".lock") }.map {
            converting.path(".ducc-staging/\($0)")
        }
    }

    /// The events of a run that went well: every pair closed and well; one that tells of the image, and the last of
    /// all the run's end.
    func checkEvents(_ events: [Event], _ when: String) {
        #expect(events.first?.action == .startDUCC && events.last?.action == .endDUCC, "\(when)")
        for (index, start) in events.enumerated()
        where start.action.rawValue.hasPrefix("start_") && start[.id] != nil {
            let ends = events[index...].filter { $0[.id] == start[.id] && $0.action != start.action }
            #expect(
                ends.count == 1 && ends.allSatisfy { $0[.status] == "ok" },
                "\(when): \(start.action.rawValue)")
        }
        let told = events.filter { $0.action == .publishImage || $0.action == .skipImage }
        #expect(told.count == 1, "\(when): \(events.map(\.action.rawValue))")
        #expect(
            !events.contains { $0[.status] == "error" || $0.action == .notificationWriteFailed }, "\(when)")
    }
}
