// A layer that is scanned into a tree in memory is the layer that would be unpacked into a directory, and the archive
// made of it for a CernVM-FS server holds exactly that.

import Archive
import CLinux
import Glibc
import Images
import Layers
import Platform
import Support
import Testing

@Suite(
    "A scanned layer equals the unpacked one",
    .enabled(if: geteuid() == 0, "only root can give files away and make devices"))
struct ScanningTests {
    /// Layers of one image, unpacked and scanned.
    private final class Stack {
        let fixture: LayerFixture
        private(set) var scanned: [UnpackedLayer] = []
        private var blobs: [[UInt8]] = []

        init() throws { fixture = try LayerFixture() }

        private func blob(_ archive: [UInt8], _ name: String) throws -> VerifiedStream {
            let digest = try #require(Digest(sha256Hex: SHA256.hex(of: archive)))
            return try VerifiedStream(
                try FileStream(path: try fixture.directory.write(name, archive)),
                Descriptor(mediaType: MediaType.ociLayer, digest: digest, size: Int64(archive.count)))
        }

        /// - Returns: nil where both refuse the layer.
        func add(_ archive: [UInt8], _ seed: String) throws -> LayerTree? {
            let spool = fixture.directory.path("spool-\(scanned.count)")
            let file = SharedDescriptor(
                try OwnedDescriptor(opening: spool, O_RDWR | O_CREAT | O_TRUNC, mode: 0o600))
            let result = Result {
                try LayerUnpacker.scan(
                    try blob(archive, "scanned"), spool: file, path: spool, diffIdentifier: nil,
                    created: timespec(tv_sec: 1_600_000_000, tv_nsec: 0))
            }
            do {
                let unpacked = try fixture.unpack(archive)
                let scanned = try result.get()
                #expect(scanned.entries == unpacked.entries && scanned.size == unpacked.size, "\(seed)")
                #expect(scanned.diffIdentifier == unpacked.diffIdentifier)
                self.scanned.append(scanned)
                #expect(try Files.read(spool, limit: 1 << 30) == archive, "\(seed)")
                blobs.append(archive)
                return scanned.tree
            } catch let error as LayerError {
                guard case .failure(let other as LayerError) = result else {
                    Issue.record("\(seed): unpacking says \(error), scanning finds nothing wrong")
                    return nil
                }
                #expect(error == other, "\(seed)")
                try Files.removeTree(fixture.path(scanned.count))
                return nil
            }
        }

        /// The archive of all layers, and of the flat image.
        func archive(_ flat: FlatTree) throws -> [UInt8] {
            let sink = MemorySink()
            let writer = try TarWriter(sink)
            var archive = LayerArchive(writer)
            let layers = try scanned.enumerated().map {
                ArchivedLayer(try #require($1.tree), at: "layer/\($0)")
            }
            for layer in layers { try archive.addLayer(layer, hidden: [:]) }
            try archive.addFlat(flat, at: "flat") { .new(layers[$0]) }
            for (index, layer) in layers.enumerated() {
                try archive.addFiles(of: layer, from: try blob(blobs[index], "again"))
            }
            try writer.finish()
            return sink.bytes
        }
    }

    private final class MemorySink: ByteSink {
        var bytes: [UInt8] = []
        func write(_ new: UnsafeRawBufferPointer) throws { bytes.append(contentsOf: new) }
    }

    @Test("over random stacks of layers, entry by entry, in the archive for a server too")
    func random() throws {
        var layers = 0
        var refused = 0
        for seed in 0..<UInt64(TestScale.count(300, long: 5000)) {
            var random = RandomLayers(seed: seed)
            let stack = try Stack()
            for _ in 0..<(1 + seed % 3) {
                // Short ones are refused less often.
                guard try stack.add(random.archive(entries: 3 + Int(seed % 13)), "seed \(seed)") != nil else {
                    refused += 1
                    continue
                }
                layers += 1
            }
            try compare(stack, "seed \(seed)")
        }
        #expect(layers >= 200 && refused >= 20, "\(layers) layers, \(refused) refused")
    }

    private func compare(_ stack: Stack, _ seed: String) throws {
        var unpacked: [LayerTree] = []
        for (index, layer) in stack.fixture.layers.enumerated() {
            let context = try #require(layer.result?.context)
            let tree = try LayerTree(reading: layer.root, context: context)
            unpacked.append(tree)
            let scanned = try #require(stack.scanned[index].tree)
            let one = try scanned.context(withOpaque: true)
            let two = try tree.context(withOpaque: true)
            #expect(one == two, "\(seed), layer \(index)\n\(one)\n\(two)")
            #expect(
                try stack.scanned[index].context == tree.context(withOpaque: false), "\(seed), layer \(index)"
            )
        }
        let walks = [unpacked, stack.scanned.compactMap(\.tree)].map { trees in
            Result { try walk(try FlatTree(trees)) }
        }
        switch (walks[0], walks[1]) {
        case (.success(let one), .success(let two)): #expect(one == two, "\(seed)")
        case (.failure(let one as LayerError), .failure(let two as LayerError)):
            #expect(one == two, "\(seed)")
            return
        default: Issue.record("\(seed): \(walks)")
        }
        let flat = try FlatTree(stack.scanned.compactMap(\.tree))
        let entries = try ServerEntries(stack.archive(flat), seed)
        for index in stack.scanned.indices {
            let expected = try DiskEntries.read(stack.fixture.path(index))
            let found = entries.resolved(beneath: "layer/\(index)")
            #expect(Self.differences(found, expected) == [], "\(seed), layer \(index)")
        }
        let found = entries.resolved(beneath: "flat")
        var expected: [String: String] = [:]
        try FlatTree(unpacked).walk { step, path, origin in
            if step == .leave { return }
            let file = stack.fixture.path(origin.layer, String(cString: origin.path))
            expected[String(cString: path)] = try DiskEntries.describe(file)
        }
        #expect(Self.differences(found, expected) == [], "\(seed), the flat image")
    }

    private static func differences(_ found: [String: String], _ expected: [String: String]) -> [String] {
        Set(found.keys).union(expected.keys).sorted().filter { found[$0] != expected[$0] }.map {
            "\($0): \(found[$0] ?? "nothing") | \(expected[$0] ?? "nothing")"
        }
    }

    /// The steps of a walk, links checked first.
    private func walk(_ tree: FlatTree) throws -> [String] {
        try tree.checkLinks()
        var steps: [String] = []
        try tree.walk { step, path, origin in
            steps.append("\(step) \(String(cString: path)) \(origin.layer) \(String(cString: origin.path))")
        }
        return steps
    }
}

/// The entries of a directory as text, by their paths.
enum DiskEntries {
    static func read(_ root: String) throws -> [String: String] {
        var found: [String: String] = [:]
        var waiting = ["."]
        while let path = waiting.popLast() {
            found[path] = try describe("\(root)/\(path)")
            guard Files.isDirectory("\(root)/\(path)"), Files.linkTarget("\(root)/\(path)") == nil else {
                continue
            }
            waiting += try DirectoryEntry.names(in: "\(root)/\(path)").map {
                path == "." ? $0 : "\(path)/\($0)"
            }
        }
        return found
    }

    static func describe(_ path: String) throws -> String {
        guard let information = information(path) else { throw SupportError("\(path) does not exist") }
        let attributes =
            "\(String(information.st_mode & 0o7777, radix: 8)) \(information.st_uid) \(information.st_gid) "
            + "\(information.st_mtim.tv_sec)"
        switch information.st_mode & S_IFMT {
        case S_IFDIR: return "directory \(attributes)"
        case S_IFREG: return "file \(attributes) \(SHA256.hex(of: try Files.read(path, limit: 1 << 30)))"
        case S_IFLNK: return "link \(attributes) \(Files.linkTarget(path) ?? "")"
        case S_IFCHR where information.st_rdev == 0: return "whiteout"
        case let type:
            let device = information.st_rdev
            return "special \(type) \(attributes) \(ducc_major(device)) \(ducc_minor(device))"
        }
    }
}

/// An archive as a CernVM-FS server reads it; what that would refuse, or make something else of, is an issue.
struct ServerEntries {
    private var entries: [String: String] = [:]
    private var links: [String: String] = [:]

    init(_ archive: [UInt8], _ seed: String) throws {
        let directory = try TemporaryDirectory()
        let reader = try TarReader(try FileStream(path: try directory.write("archive", archive)))
        while let entry = try reader.next() {
            let name = try #require(entry.name.map { String(cString: $0) })
            let path = name.hasSuffix("/") ? String(name.dropLast()) : name
            let components = path.split(separator: "/", omittingEmptySubsequences: false)
            #expect(!components.contains { ["", ".", ".."].contains($0) }, "\(seed): \(path)")
            #expect(entries[path] == nil && links[path] == nil, "\(seed): \(path) is there twice")
            if let parent = path.lastIndex(of: "/") {
                // The two directories above everything are the caller's.
                let parent = String(path[..<parent])
                #expect(
                    parent == "layer" || entries[parent]?.hasPrefix("directory") == true,
                    "\(seed): \(path) comes before its directory")
            }
            if let target = entry.hardLinkTarget {
                links[path] = String(cString: target)
                continue
            }
            entries[path] = try Self.describe(entry, reader)
        }
        for (path, target) in links {
            #expect(links[target] == nil, "\(seed): \(path) links to \(target), which is a link")
            #expect(entries[target]?.hasPrefix("file") == true, "\(seed): \(path) links to \(target)")
        }
    }

    private static func describe(_ entry: TarEntry, _ reader: TarReader) throws -> String {
        let attributes =
            "\(String(entry.permissions, radix: 8)) \(entry.user) \(entry.group) \(entry.modified.tv_sec)"
        switch entry.kind {
        case .directory: return "directory \(attributes)"
        case .file:
            var content: [UInt8] = []
            while let (_, bytes) = try reader.nextBlock() { content.append(contentsOf: bytes) }
            return "file \(attributes) \(SHA256.hex(of: content))"
        case .symbolicLink:
            return "link \(attributes) \(entry.symbolicLinkTarget.map { String(cString: $0) } ?? "")"
        case .characterDevice where entry.device == (0, 0): return "whiteout"
        case .characterDevice: return special(S_IFCHR, attributes, entry)
        case .blockDevice: return special(S_IFBLK, attributes, entry)
        case .fifo: return special(S_IFIFO, attributes, entry)
        default: return "another kind"
        }
    }

    private static func special(_ type: mode_t, _ attributes: String, _ entry: TarEntry) -> String {
        "special \(type) \(attributes) \(entry.device.major) \(entry.device.minor)"
    }

    /// The entries of a directory, "." for itself, links as what they lead to.
    func resolved(beneath directory: String) -> [String: String] {
        var found: [String: String] = [:]
        for (path, text) in entries.merging(
            links.mapValues { entries[$0] ?? "nothing" }, uniquingKeysWith: { $1 })
        {
            if path == directory { found["."] = text }
            if path.hasPrefix(directory + "/") {
                found[String(path.dropFirst(directory.utf8.count + 1))] = text
            }
        }
        return found
    }
}
