import Images
import Support
import Testing

@Suite("Random input")
struct FuzzTests {
    private static let pieces =
        [
            "/", "//", ":", "@", ".", "..", "...", "-", "_", "[", "]", "*", "?", "\0", "\n", "\u{1b}", " ",
            "%2f", "\\",
        ]
        + [
            "é", "e\u{301}", "\u{202e}", "a", "b1", "A", "host", "host.org", "localhost", "5000", "latest",
            "~", "!",
        ]
        + [
            "https://", "http://", "ftp://", "oci:", "docker-archive:", ".layers", ".flat", "podmanStore",
            "[::1]",
        ]
        + ["sha256:" + Documents.hex, "@sha256:" + Documents.hex, String(repeating: "x", count: 200)]

    @Test("no reference crashes, and none that parses publishes outside of its place")
    func references() {
        var random = SplitMix(state: 1)
        var parsed = 0
        for _ in 0..<60_000 {
            let count = Int.random(in: 0...9, using: &random)
            let start =
                ["", "", "host/", "host.org:5000/a", "podmanStore/a", "oci:/srv/"].randomElement(
                    using: &random) ?? ""
            let text =
                start + (0..<count).compactMap { _ in Self.pieces.randomElement(using: &random) }.joined()
            guard let reference = try? ImageReference(parsing: text) else { continue }
            parsed += 1
            check(reference)
        }
        #expect(parsed > 1000)
    }

    private func check(_ reference: ImageReference) {
        let path = reference.publicPath
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        #expect(parts.count >= 2)
        #expect(parts.allSatisfy { !["", ".", ".."].contains($0) && $0.utf8.count <= 255 }, "\(path)")
        #expect(parts.allSatisfy { $0.utf8.first != UInt8(ascii: ".") }, "\(path)")
        #expect(parts[0] != "podmanStore")
        #expect(path.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f }, "\(path)")
        // Only the last part has a colon behind the registry, so no link is ever in the way of a directory.
        #expect(parts.dropFirst().dropLast().allSatisfy { !$0.contains(":") }, "\(path)")
        #expect(parts.last?.contains(":") == true)
    }

    @Test("no text of any kind crashes the reference parser")
    func noise() {
        var random = SplitMix(state: 2)
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0...40, using: &random)).map { _ in
                UInt8.random(in: .min ... .max, using: &random)
            }
            if let reference = try? ImageReference(parsing: String(decoding: bytes, as: UTF8.self)) {
                check(reference)
            }
        }
    }

    @Test("no damaged manifest crashes the decoder")
    func manifests() {
        var random = SplitMix(state: 3)
        let originals = [
            Array(Documents.manifest().utf8), Array(Documents.index([Documents.entry("linux/amd64")]).utf8),
            Array(
                #"{"rootfs":{"diff_ids":["\#(Documents.digest)"]},"history":[{"created":"x\u00e9"}]}"#.utf8),
        ]
        var refused = 0
        for round in 0..<20_000 {
            var bytes = originals[round % originals.count]
            for _ in 0..<Int.random(in: 1...6, using: &random) where !bytes.isEmpty {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0...3, using: &random) {
                case 0: bytes[place] = UInt8.random(in: .min ... .max, using: &random)
                case 1: bytes.remove(at: place)
                case 2:
                    bytes.insert(Array("{}[]\",:-0e\\u".utf8).randomElement(using: &random) ?? 0, at: place)
                default: bytes = Array(bytes[..<max(1, place)])
                }
            }
            if (try? ManifestDocument.decode(bytes, mediaType: nil)) == nil { refused += 1 }
            _ = try? ImageConfiguration.decode(bytes)
        }
        #expect(refused > 10_000)
    }
}
