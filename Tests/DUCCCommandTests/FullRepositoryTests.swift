// Repositories whose file system takes nothing more: full at any point of a conversion, or read-only.

import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite(
    "A repository on a disk that takes nothing more",
    .enabled(if: SmallDisk.isPossible, "nothing may be mounted here, not even in a namespace of one's own"))
struct FullRepositoryTests {
    private static let common = TestImage.Layer(
        TarBuilder.archive { tar in for name in ["a", "b"] { tar.file("common/\(name)", name) } })

    private static func image(_ name: String) -> TestImage {
        TestImage([common, .init(TarBuilder.archive { $0.file("own/\(name)", name) })])
    }

    /// One line that says what, where and what to do.
    private func checkComplaint(_ result: CommandResult, _ converting: Converting, _ when: String = "") {
        let lines = BadInputTests.complaints(result)
        #expect(
            lines.count == 1
                && lines.allSatisfy {
                    $0.contains(converting.repository) && $0.contains("No space left on device")
                        && ($0.contains("is full") && $0.contains("free space or inodes there")
                            || $0.contains("the lock can't be had"))
                }, "\(when): \(result.errors)")
    }

    @Test("full at any point, it has the old image or the whole new one, and nothing in staging")
    func anyPoint() throws {
        let disk = try SmallDisk(kilobytes: 4096, inodes: 500)
        let converting = try Converting(repository: disk.path("repository"))
        try Self.image("old").write(to: converting.layout, tag: "1")
        let image = "oci:\(converting.layout):1"
        let template = converting.directory.path("template")
        try runSuccessfully(
            Programs.ducc, ["convert-single-image", image, template], environment: converting.environment)
        let old = try TreeComparison.describe("\(template)/localhost/layout:1/")
        let before = try converting.ducc(["list", "--json", template], notifying: false).output
        try Files.removeTree(converting.layout)
        try Self.image("new").write(to: converting.layout, tag: "1")

        var failures: [String] = []
        for inodes in 0..<300 {
            try Files.removeTree(converting.repository)
            try disk.leaveInodes(450)
            try runSuccessfully("cp", ["-a", template, converting.repository])
            try disk.leaveInodes(inodes)
            let result = try converting.convert(image)
            #expect(try converting.staged().isEmpty, "\(inodes) inodes")
            if result.code == 0 { break }
            #expect(result.code == 1)
            checkComplaint(result, converting, "\(inodes) inodes")
            let end = try #require(try converting.last(.endImageConversion))
            #expect(end[.status] == "error" && end[.error]?.contains("No space left") == true)
            failures.append(end[.error] ?? "")
            #expect(
                try TreeComparison.describe(converting.path("localhost/layout:1/")) == old, "\(inodes) inodes"
            )
            let listed = try converting.ducc(["list", "--json", converting.repository], notifying: false)
            #expect(listed.code == 0 && listed.output == before, "\(inodes) inodes: \(listed.output)")

            try disk.leaveInodes(300)
            let again = try converting.convert(image)
            #expect(again.code == 0, "\(inodes) inodes, and then enough: \(again.errors)")
            #expect(try text(of: converting.path("localhost/layout:1/own/new")) == "new")
            #expect(try converting.staged().isEmpty)
        }
        #expect(try text(of: converting.path("localhost/layout:1/own/new")) == "new")
        // It was full in staging's own directory, in a layer, in the flat image and at the commit.
        for part in [".lock: ", "layer-1", "/flat: ", ".flat/", "record.", "podmanStore/"] {
            #expect(
                failures.contains { $0.contains(part) },
                "never full at \(part): \(failures)")
        }
        #expect(failures.count > 5)
    }

    @Test("the images of a wish list that fit are converted, and the others once there is room")
    func others() throws {
        let disk = try SmallDisk(kilobytes: 4096)
        let converting = try Converting(repository: disk.path("repository"))
        try disk.fill()
        try disk.free(kilobytes: 500)
        // Packed it fits, unpacked it doesn't.
        let zeros = [UInt8](repeating: 0, count: 2 << 20)
        let images = [
            ("big", TestImage([.init(TarBuilder.archive { $0.add("zeros", content: zeros) }, .zstd)])),
            ("small", Self.image("small")),
        ]
        for (name, image) in images { try image.write(to: converting.directory.path(name), tag: "1") }
        let wishes = images.map { "'oci:\(converting.directory.path($0.0)):1'" }.joined(separator: ", ")
        let list = try converting.directory.write(
            "wishes.yaml", "cvmfs_repo: \(converting.repository)\ninput: [\(wishes)]\n")
        let result = try converting.ducc("convert", list)
        #expect(result.code == 1 && result.output.contains("1 converted"), "\(result.output)")
        checkComplaint(result, converting)
        #expect(try DirectoryEntry.names(in: converting.path("localhost")) == ["small:1"])
        let ends = try converting.events().filter { $0.action == .endImageConversion }
        #expect(ends.map { $0[.status] } == ["error", "ok"])
        #expect(try converting.staged().isEmpty)

        disk.free()
        let again = try converting.ducc("convert", list)
        #expect(again.code == 0 && again.output.contains("1 converted, 0 updated, 1 unchanged"))
        #expect(try Files.read(converting.path("localhost/big:1/zeros")) == zeros)
    }

    @Test("an image that can't fit is refused before one of its layers is asked for")
    func refusedAtOnce() throws {
        let disk = try SmallDisk(kilobytes: 1024)
        let converting = try Converting(repository: disk.path("repository"))
        var generator = SplitMix(state: 7)
        let noise = (0..<300 << 10).map { _ in UInt8.random(in: 0...255, using: &generator) }
        let written = try TestImage({ $0.add("noise", content: noise) }).write(
            to: converting.layout, tag: "1")
        let registry = try DockerRegistry()
        try registry.push(converting.layout, tag: "1", as: "image:1")
        try disk.fill()
        try disk.free(kilobytes: 200)
        let image = "http://\(registry.host)/image:1"
        let requests = try registry.requests {
            let result = try converting.convert(image)
            let lines = BadInputTests.complaints(result)
            #expect(result.code == 1 && lines.count == 1)
            #expect(
                lines.allSatisfy { $0.contains("bytes left") && $0.contains("free space there") }, "\(lines)")
        }
        #expect(!requests.isEmpty && !requests.contains { $0.contains(written.layers[0]) }, "\(requests)")
        #expect(try converting.last(.endImageConversion)?[.status] == "error")
        #expect(try DirectoryEntry.names(in: converting.repository).isEmpty)
        disk.free()
        #expect(try converting.convert(image).code == 0)
        #expect(try Files.read(converting.path("\(registry.host)/image:1/noise")) == noise)
    }

    @Test("a read-only one is listed, what is unchanged in it is unchanged, and what is new is one line")
    func readOnly() throws {
        for isEmpty in [false, true] {
            let disk = try SmallDisk(kilobytes: 1024)
            let converting = try Converting(repository: disk.path("repository"))
            try Files.makeDirectories(converting.repository)
            try Self.image("old").write(to: converting.layout, tag: "1")
            let image = "oci:\(converting.layout):1"
            if !isEmpty { #expect(try converting.convert(image).code == 0) }
            let listed = try converting.ducc(["list", "--json", converting.repository], notifying: false)
            try disk.makeReadOnly()
            if !isEmpty {
                let unchanged = try converting.convert(image)
                #expect(
                    unchanged.code == 0 && unchanged.errors.isEmpty && unchanged.output.hasPrefix("unchanged")
                )
                #expect(try converting.actions().suffix(2) == ["skip_image", "end_ducc"])
            }
            try Files.removeTree(converting.layout)
            try Self.image("new").write(to: converting.layout, tag: "1")
            let refused = try converting.convert(image)
            let lines = BadInputTests.complaints(refused)
            #expect(refused.code == 1 && lines.count == 1)
            #expect(
                lines.allSatisfy { $0.contains("the repository \(converting.repository) is on a read-only") },
                "\(lines)")
            #expect(try converting.last(.endImageConversion)?[.status] == "error")
            let after = try converting.ducc(["list", "--json", converting.repository], notifying: false)
            #expect(after.code == 0 && after.output == listed.output)
            // One that would have to be made there.
            let absent = try converting.ducc(["convert-single-image", image, disk.path("another")])
            #expect(absent.code == 104 && absent.errors.contains("Read-only file system"))
        }
    }
}
