import Images
import Testing

@Suite("Platforms and their choice")
struct PlatformTests {
    @Test(
        "names of one platform are one value",
        arguments: [
            ("linux/amd64", "linux/amd64"), ("linux/x86_64", "linux/amd64"),
            ("linux/amd64/v1", "linux/amd64"),
            ("Linux/AMD64/V3", "linux/amd64/v3"), ("linux/arm64/v8", "linux/arm64"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"), ("linux/armhf", "linux/arm/v7"), ("linux/armel", "linux/arm/v6"),
            ("linux/arm/6", "linux/arm/v6"), ("linux/i386", "linux/386"), ("linux/ppc64le", "linux/ppc64le"),
            ("macos/arm64", "darwin/arm64"),
        ])
    func names(text: String, normal: String) throws {
        #expect(try ImagePlatform(parsing: text).description == normal)
    }

    @Test(
        "what is no platform",
        arguments: [
            "", "linux", "linux/", "/amd64", "linux/amd64/v1/x", "linux/../x", "linux/a b", "linux/..",
        ])
    func bad(text: String) {
        let error = #expect(throws: PlatformError.self) { try ImagePlatform(parsing: text) }
        #expect(
            error?.description
                == "bad platform '\(text)': write OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, "
                + "for instance linux/amd64 or linux/arm/v7")
    }

    private static func digest(_ number: Int) -> String {
        "sha256:" + String(repeating: "0", count: 63) + "\(number)"
    }

    /// An index with one numbered entry a platform; which of them is chosen.
    private func choice(_ wanted: String, of platforms: [String]) throws -> Int? {
        let entries = platforms.enumerated().map { index, platform in
            Documents.entry(platform).replacing(Documents.digest, with: Self.digest(index))
        }
        let chosen = try Documents.imageIndex(entries).select(try ImagePlatform(parsing: wanted))
        return Int(String(chosen.digest.hex.suffix(1)))
    }

    @Test(
        "the closest image is chosen",
        arguments: [
            ("linux/amd64", ["linux/arm64", "linux/amd64"], 1),
            ("linux/amd64", ["linux/amd64/v3", "linux/amd64"], 1),
            ("linux/amd64/v3", ["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"], 1),
            ("linux/arm64", ["linux/arm/v7", "linux/arm64/v8"], 1),
            ("linux/arm64/v8", ["linux/amd64", "linux/arm64"], 1),
            ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6"], 1),
            ("linux/arm", ["linux/arm/v6", "linux/arm/v7"], 1),
            ("linux/amd64", ["linux/amd64", "linux/amd64"], 0),
            ("linux/amd64", ["unknown/unknown", "linux/amd64"], 1),
            ("linux/amd64", ["", "linux/amd64"], 1),
            ("linux/amd64", ["linux/arm64", ""], 1),
            ("linux/amd64", [""], 0),
        ])
    func chosen(wanted: String, platforms: [String], index: Int) throws {
        #expect(try choice(wanted, of: platforms) == index)
    }

    @Test(
        "where nothing fits, the error lists what there is",
        arguments: [
            (
                ["linux/arm64/v8", "linux/s390x", "unknown/unknown"],
                "no image for linux/amd64; there is linux/arm64, linux/s390x"
            ),
            (["linux/386"], "no image for linux/amd64; there is linux/386"),
            (
                ["linux/amd64/v3", "windows/amd64"],
                "no image for linux/amd64; there is linux/amd64/v3, windows/amd64"
            ),
            ([], "no image for linux/amd64; there is no image at all in this index"),
            (
                ["", ""],
                "no image for linux/amd64, and 2 images without a platform; there is an image without a platform"
            ),
        ])
    func nothing(platforms: [String], line: String) {
        let error = #expect(throws: PlatformError.self) { try choice("linux/amd64", of: platforms) }
        #expect(error?.description == line)
    }

    @Test("attestations and things that are no image are left out")
    func attestations() throws {
        let reference = #","annotations":{"vnd.docker.reference.type":"attestation-manifest"}"#
        let index = try Documents.imageIndex([
            Documents.entry("linux/amd64", more: reference), Documents.entry("", more: reference),
            Documents.entry("linux/amd64", type: "application/vnd.example.thing"),
            Documents.entry("linux/amd64", type: MediaType.dockerManifest),
        ])
        #expect(try index.select(.default).mediaType == MediaType.dockerManifest)
        #expect(index.candidates(for: .default).count == 1)
    }

    @Test("a nested index can be chosen, and one without a platform is a candidate")
    func nested() throws {
        let one = try Documents.imageIndex([Documents.entry("", type: MediaType.ociIndex)])
        #expect(try one.select(.default).isIndex)
        let two = try Documents.imageIndex([
            Documents.entry("", type: MediaType.ociIndex),
            Documents.entry("linux/amd64", type: MediaType.ociIndex),
        ])
        #expect(two.candidates(for: .default).map(\.platform) == [.default, nil])
    }

    @Test("a platform that would not be fit for a path is refused")
    func hostile() {
        let error = #expect(throws: ManifestError.self) {
            try Documents.imageIndex([
                Documents.descriptor(
                    MediaType.ociManifest, more: #","platform":{"os":"linux","architecture":"../../x"}"#)
            ])
        }
        #expect(error?.description == "the manifest's manifests[0].platform is none: 'linux/../../x'")
    }
}
