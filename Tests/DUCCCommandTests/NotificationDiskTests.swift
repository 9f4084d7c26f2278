// Conversions whose notification file is on a disk that is full, or may not be written.

import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite(
    "Notifications on a disk that takes none",
    .enabled(if: SmallDisk.isPossible, "nothing may be mounted here, not even in a namespace of one's own"))
struct NotificationDiskTests {
    let converting: Converting

    init() throws { converting = try Converting() }

    /// The lines of the events that standard error has in full.
    private func reported(_ errors: String) -> [String] {
        errors.split(separator: "\n").filter { $0.hasPrefix("notification lost (") }.map { report in
            "{" + (report.split(separator: ": {", maxSplits: 1).last ?? "")
        }
    }

    /// The actions of a conversion in which all went well.
    private func usualActions(_ image: TestImage) throws -> [String] {
        let usual = try Converting()
        try image.write(to: usual.layout, tag: "1")
        #expect(try usual.convert("oci:\(usual.layout):1", "--max-concurrent-downloads", "1").code == 0)
        return try usual.actions()
    }

    private func convert(
        _ path: String, environment: [String: String] = [:]
    ) throws -> RunningCommand {
        try converting.start(
            [
                "convert-single-image", "oci:\(converting.layout):1", converting.repository,
                "--max-concurrent-downloads", "1", "-n", path,
            ], notifying: false, environment: environment)
    }

    @Test(
        "a conversion on a full disk succeeds, the image is whole, and standard error has each event in full",
        .onBothRepositories)
    func full() throws {
        let disk = try SmallDisk(kilobytes: 256)
        try disk.fill()
        let image = ConvertTests.image()
        let written = try image.write(to: converting.layout, tag: "1")
        let path = disk.path("notifications.log")
        let result = try convert(path).wait()
        #expect(result.code == 0, "\(result.errors)")
        #expect(try text(of: path) == "")
        #expect(try text(of: converting.path("localhost/layout:1/opt/old/new")) == "new")
        for layer in written.layers {
            #expect(Files.isDirectory(converting.path(".layers/\(layer.prefix(2))/\(layer)/layerfs")))
        }
        let lines = reported(result.errors)
        #expect(try lines.map { try Event(line: Array($0.utf8)).action.rawValue } == usualActions(image))
        #expect(try lines.allSatisfy { try Event(line: Array($0.utf8)).isProven == true })
        // They are what the file would have had: the fixture validates them.
        try converting.directory.write("notifications.log", lines.map { $0 + "\n" }.joined())
        // And the next conversion is as any other.
        disk.free()
        let next = try convert(path).wait()
        #expect(next.code == 0 && reported(next.errors).isEmpty)
        let verified = try run(Programs.follow, ["verify", path])
        #expect(verified.output == "\(path): 1 file, 3 events of 1 run: nothing is wrong\n")
    }

    @Test(
        "space that comes back in the middle of a conversion: what was lost is declared, and verify agrees",
        .onBothRepositories)
    func freed() throws {
        let disk = try SmallDisk(kilobytes: 256)
        try disk.fill()
        let image = InterruptionTests.image
        try image.write(to: converting.layout, tag: "1")
        let path = disk.path("notifications.log")
        // Slow enough that the space is there long before the conversion ends.
        let slow = try SlowRenames.environment(in: converting.directory, milliseconds: 100)
        let running = try convert(path, environment: slow)
        try waitUntil("the first event is lost") { running.errorsSoFar.contains("notification lost (") }
        disk.free()
        let result = try running.wait()
        #expect(result.code == 0, "\(result.errors)")
        #expect(Files.exists(converting.path("localhost/layout:1/layer-3/d19/f39")))

        let content = try text(of: path)
        let events = try content.split(separator: "\n").map { try Event(line: Array($0.utf8)) }
        let lost = try reported(result.errors).map { try Event(line: Array($0.utf8)) }
        let declarations = events.filter { $0.action == .notificationWriteFailed }
        try #require(declarations.count == 1)
        #expect(events[0].identifier == declarations[0].identifier)
        #expect(declarations[0][.lostFirst] == "1" && declarations[0][.error] == "No space left on device")
        #expect(lost.first?.action == .startDUCC && events.last?.action == .endDUCC)
        #expect(
            try (lost + events.dropFirst()).map(\.action.rawValue) == usualActions(image),
            "each event is on standard error or in the file")
        // Of the lost numbers all but the events' own are declarations that failed.
        let last = try #require(Int(declarations[0][.lostLast] ?? ""))
        #expect(last == 2 * lost.count - 1)
        let verified = try run(Programs.follow, ["verify", path])
        let summary = "1 file, \(events.count) events of 1 run, \(last) declared lost: nothing is wrong"
        #expect(verified.output == "\(path): \(summary)\n" && verified.code == 0)
        try converting.directory.write("notifications.log", content)
    }

    @Test(
        "on a read-only file system it is one line and 105: no request is made, the repository stays as it is",
        .onBothRepositories
    )
    func readOnly() throws {
        let registry = try DockerRegistry()
        try ConvertTests.image().write(to: converting.layout, tag: "1")
        try registry.push(converting.layout, tag: "1", as: "image:1")
        let image = "http://\(registry.host)/image:1"
        if converting.server == nil { try Files.makeDirectories(converting.repository) }
        let before = try converting.snapshot()
        let list = try converting.directory.write(
            "wishes.yaml", "cvmfs_repo: \(converting.repository)\ninput: ['\(image)']\n")
        let disk = try SmallDisk(kilobytes: 64, isReadOnly: true)
        // The file that is there, and one that would have to be created.
        for path in [disk.path("notifications.log"), disk.path("new.log")] {
            for command in [["convert", list], ["convert-single-image", image, converting.repository]] {
                let requests = try registry.requests {
                    let result = try converting.ducc(command + ["-n", path], notifying: false)
                    #expect(result.code == 105)
                    let lines = result.errors.split(separator: "\n")
                    #expect(lines.count == 1 && lines[0].contains(path), "\(lines)")
                    #expect(lines.first?.contains("Read-only file system") == true)
                }
                #expect(requests.isEmpty)
            }
        }
        #expect(try converting.snapshot() == before)
    }
}
