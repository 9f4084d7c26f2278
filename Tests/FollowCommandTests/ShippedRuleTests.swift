// The rule for logrotate that ships, used by Debian's real logrotate.

import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("logrotate/ducc")
struct ShippedRuleTests {
    let directory: TemporaryDirectory
    let path: String

    init() throws {
        directory = try TemporaryDirectory()
        path = directory.path("notifications.log")
    }

    /// Three rotations with a writer at work; then everything is where it belongs.
    private func use(_ rotation: Rotation, olddir: String? = nil) throws -> [String] {
        let writer = try NotificationWriter(path: path, sync: .none)
        writer.emit(.startDUCC)
        for _ in 0..<3 {
            writer.emit(.publishTest)
            try rotation.rotate()
            writer.emit(.publishTest)
            poll(nil, 0, 1100)
        }
        writer.end()
        let result = try run(Programs.follow, ["verify", path] + (olddir.map { ["--olddir", $0] } ?? []))
        #expect(result.output == "\(path): 4 files, 8 events of 1 run: nothing is wrong\n")
        #expect(result.code == 0)
        return try DirectoryEntry.names(in: olddir ?? directory.path).filter {
            $0.hasPrefix("notifications.log")
        }
    }

    @Test("loses nothing, and leaves the newest rotated file uncompressed")
    func asItIs() throws {
        let rotation = try Rotation.shipped(path, in: directory)
        let dry = try rotation.dryRun()
        #expect(dry.code == 0 && !dry.errors.contains("error:"), "\(dry.errors)")
        let names = try use(rotation)
        #expect(names.count == 4 && names.filter { $0.hasSuffix(".gz") }.count == 2, "\(names)")
        #expect(names.dropFirst().allSatisfy { $0.contains(/notifications\.log-\d{8}-\d+/) }, "\(names)")
    }

    @Test("works with numbers instead of dates")
    func numbered() throws {
        let names = try use(
            try Rotation.shipped(path, in: directory) {
                $0.replacing("    dateext\n", with: "").replacing("    dateformat -%Y%m%d-%s\n", with: "")
            })
        #expect(
            names == ["", ".1", ".2.gz", ".3.gz"].map { "notifications.log\($0)" })
    }

    @Test("works with its olddir lines")
    func olddir() throws {
        let names = try use(
            try Rotation.shipped(path, in: directory) {
                $0.replacing("# olddir", with: "olddir").replacing("# createolddir", with: "createolddir")
            }, olddir: directory.path("old"))
        #expect(names.count == 3)
    }
}
