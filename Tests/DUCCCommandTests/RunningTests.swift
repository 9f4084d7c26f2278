// Published images run, by whatever runs images: programs of this Debian, one that is set-uid, one with a capability.

import Platform
import Support
import Testing

@Suite("A published image runs", .enabled(if: Podman.isPossible))
struct RunningTests {
    /// `security.capability`: version 2, CAP_DAC_OVERRIDE permitted and effective (linux/capability.h).
    private static let mayReadAll: [UInt8] = [1, 0, 0, 2, 2, 0, 0, 0] + [UInt8](repeating: 0, count: 12)

    /// Programs over a base; without one they bring the libraries that they need.
    private static func image(over base: [TestImage.Layer] = []) throws -> TestImage {
        var tar = TarBuilder()
        try tar.program("/usr/bin/id")
        try tar.program("/usr/bin/id", as: "usr/bin/id-of-root", mode: 0o4755)
        try tar.program("/usr/bin/cat")
        try tar.program(
            "/usr/bin/cat", as: "usr/bin/cat-all", pax: [("SCHILY.xattr.security.capability", mayReadAll)])
        for directory in ["proc", "dev", "sys", "run"] { tar.directory(directory) }
        tar.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nsomebody:x:1000:1000::/:/bin/sh\n")
        tar.file("etc/secret", "secret", mode: 0o600)
        return TestImage(base + [.init(tar.finished())])
    }

    @Test(
        "with set-uid programs, file capabilities, and somebody without privileges",
        arguments: Container.allCases.filter(\.isPossible))
    func runs(container: Container) throws {
        let converting = try Converting()
        try Self.image().write(to: converting.layout, tag: "1")
        #expect(try converting.convert("oci:\(converting.layout):1").code == 0)
        try check(container, converting)
    }

    @Test("so does a whole Debian, in every way", .enabled(if: TestScale.isLong))
    func debian() throws {
        let directory = try TemporaryDirectory()
        let mirror = try runSuccessfully(
            "apt-get", ["indextargets", "--format", "$(SITE)", "Codename: bookworm"])
        let site = try #require(mirror.split(separator: "\n").first { $0.hasSuffix("/debian") })
        try runSuccessfully(
            "debootstrap", ["--variant=minbase", "bookworm", directory.path("root"), String(site)],
            seconds: 600)
        try runSuccessfully(
            "tar",
            [
                "--xattrs", "--xattrs-include=security.capability", "-C", directory.path("root"), "-cf",
                directory.path("layer.tar"), ".",
            ])
        let base = TestImage.Layer(try Files.read(directory.path("layer.tar"), limit: 1 << 30))
        let converting = try Converting(directory)
        try Self.image(over: [base]).write(to: converting.layout, tag: "1")
        #expect(try converting.convert("oci:\(converting.layout):1").code == 0)
        for container in Container.allCases where container.isPossible { try check(container, converting) }
    }

    private func check(_ container: Container, _ converting: Converting) throws {
        func run(_ program: String...) throws -> CommandResult {
            try container.run(
                program, image: "localhost/layout:1", root: "localhost/layout:1", in: converting.repository)
        }
        let user = try run("/usr/bin/id", "-u")
        #expect(user.output == "1000\n", "\(user.errors)")
        let root = try run("/usr/bin/id-of-root", "-u")
        #expect(root.output == "0\n", "\(root.errors)")
        let refused = try run("/usr/bin/cat", "/etc/secret")
        #expect(refused.code != 0 && refused.errors.contains("Permission denied"), "\(refused.errors)")
        let read = try run("/usr/bin/cat-all", "/etc/secret")
        #expect(read.output == "secret", "\(read.errors)")
    }
}
