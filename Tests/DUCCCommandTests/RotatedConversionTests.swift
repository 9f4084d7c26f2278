// A conversion whose notification file is rotated while it goes on.

import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("A rotation in the middle of a conversion")
struct RotatedConversionTests {
    private static let image = TestImage(
        (0..<24).map { number in
            TestImage.Layer(
                TarBuilder.archive { $0.file("file-\(number)", String(repeating: "\(number)", count: 999)) })
        })

    @Test(
        "loses no event of it, and breaks no run",
        arguments: [("", 500), ("dateext\ndateformat -%Y%m%d-%s", 1_100), ("compress\ndelaycompress", 500)])
    func rotated(rule: String, milliseconds: CInt) throws {
        let converting = try Converting()
        try Self.image.write(to: converting.layout, tag: "1")
        // Slow enough that there is something to be said between the rotations.
        let slow = try SlowRenames.environment(in: converting.directory, milliseconds: 100)
        let rotation = try Rotation(
            converting.log, in: converting.directory, rule: "rotate 100\ncreate 0640\n\(rule)")
        let running = try converting.start(
            [
                "convert-single-image", "oci:\(converting.layout):1", converting.repository,
                "--max-concurrent-downloads", "1",
            ], environment: slow)
        for _ in 0..<2 {
            try waitUntil("events in the newest file") {
                try Files.exists(converting.log) && converting.actions().count >= 3
            }
            try rotation.rotate()
            poll(nil, 0, milliseconds)
        }
        #expect(try running.wait().code == 0)
        let files = try DirectoryEntry.names(in: converting.directory.path).filter {
            $0.hasPrefix("notifications.log")
        }
        try #require(files.count == 3, "\(files)")
        #expect(try converting.actions().last == "end_ducc")
        let proof = try StreamProof(files.map(converting.directory.path))
        #expect(proof.problems == [] && proof.runs.count == 1 && proof.count > 3 * Self.image.layers.count)
        let verified = try run(Programs.follow, ["verify", converting.log])
        #expect(
            verified.output
                == "\(converting.log): 3 files, \(proof.count) events of 1 run: nothing is wrong\n")
    }
}
