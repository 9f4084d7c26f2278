// systemd's own opinion of the files for it. No systemd has to run for that.

import Glibc
import Platform
import Support
import Testing

@Suite("systemd/")
struct UnitTests {
    let directory: TemporaryDirectory
    /// Missing only where it isn't packaged so: on Debian `make test` installs it.
    private static let isThere = (try? run("systemd-analyze", ["--version"]).code) == 0
    private static let isDebian = Files.exists("/etc/debian_version")
    private static let folder = "\(Programs.root)/systemd"

    init() throws { directory = try TemporaryDirectory() }

    @Test("Debian has what these tests need", .enabled(if: isDebian))
    func tools() { #expect(Self.isThere) }

    /// The unit as `make install` leaves it, with a program where it names one.
    private func unit(_ name: String, _ program: String) throws -> String {
        let path = try directory.write("bin/\(program)", "#!/bin/sh\n", mode: 0o755)
        let unit = try text(of: "\(Self.folder)/\(name)")
        #expect(unit.contains("ExecStart=/usr/local/bin/\(program) "))
        return try directory.write(name, unit.replacing("/usr/local/bin/\(program)", with: path))
    }

    @Test(
        "the units are right", .enabled(if: isThere, "systemd-analyze isn't here"),
        arguments: [("ducc-follow.service", "ducc-follow"), ("ducc.service", "cvmfs_ducc")])
    func verify(name: String, program: String) throws {
        let result = try run(
            "systemd-analyze",
            ["verify", "--man=no", "--recursive-errors=no", try unit(name, program)])
        #expect(result.code == 0 && !result.errors.contains("\(name):"), "\(result.errors)")
    }

    @Test("the unit for hooks exposes little", .enabled(if: isThere, "systemd-analyze isn't here"))
    func security() throws {
        let result = try run(
            "systemd-analyze",
            [
                "security", "--offline=true", "--no-pager", "--threshold=20",
                try unit("ducc-follow.service", "ducc-follow"),
            ])
        #expect(result.code == 0, "\(result.output)\(result.errors)")
    }

    @Test(
        "user and directories are as systemd reads them",
        .enabled(if: isThere && geteuid() == 0, "systemd isn't here, or we aren't root"))
    func usersAndDirectories() throws {
        let root = directory.path("root")
        for place in ["etc", "var/log", "var/lib"] { try Files.makeDirectories("\(root)/\(place)") }
        // Each file in its place: that is where a name of the user is looked for.
        let users = try run("systemd-sysusers", ["--root=\(root)", "\(Self.folder)/ducc.sysusers"])
        #expect(users.code == 0, "\(users.errors)")
        let line = try text(of: "\(root)/etc/passwd").split(separator: "\n").first { $0.hasPrefix("ducc:") }
        let fields = try #require(line).split(separator: ":", omittingEmptySubsequences: false)
        #expect(fields[5] == "/var/lib/ducc" && fields[6].hasSuffix("nologin"))
        let made = try run(
            "systemd-tmpfiles", ["--create", "--root=\(root)", "\(Self.folder)/ducc.tmpfiles"])
        #expect(made.code == 0, "\(made.errors)")
        var information = stat()
        #expect(stat("\(root)/var/log/ducc", &information) == 0 && information.st_mode & 0o7777 == 0o2755)
        #expect("\(information.st_uid)" == fields[2] && Files.isDirectory("\(root)/etc/ducc"))
    }

    @Test("make install puts everything where the unit and the documents say it is, for everybody to read")
    func install() throws {
        let root = directory.path("installed")
        try runSuccessfully(
            "make",
            [
                "--no-print-directory", "-C", Programs.root, "install-files", "RELEASE=\(Programs.directory)",
                "DESTDIR=\(root)", "PREFIX=/opt/ducc",
            ])
        let unit = try text(of: "\(root)/opt/ducc/lib/systemd/system/ducc-follow.service")
        #expect(unit.contains("ExecStart=/opt/ducc/bin/ducc-follow run ") && !unit.contains("/usr/local"))
        let converter = try text(of: "\(root)/opt/ducc/lib/systemd/system/ducc.service")
        #expect(converter.contains("ExecStart=/opt/ducc/bin/cvmfs_ducc loop "))
        for program in ["cvmfs_ducc", "ducc-follow"] {
            let installed = "\(root)/opt/ducc/bin/\(program)"
            #expect(try run(installed, ["--help"]).code == 0)
        }
        for name in [
            "lib/sysusers.d/ducc.conf", "lib/tmpfiles.d/ducc.conf", "share/ducc/follow.schema.json",
            "share/ducc/notification.schema.json", "share/doc/ducc/follow.yaml", "share/doc/ducc/README.md",
            "share/ducc/logrotate/ducc", "share/ducc/consumers/prefetch/hook",
        ] {
            var information = stat()
            #expect(stat("\(root)/opt/ducc/\(name)", &information) == 0, "\(name)")
            #expect(information.st_mode & 0o044 == 0o044 && information.st_size > 0, "\(name)")
        }
        let configuration = "\(root)/opt/ducc/share/ducc/consumers/prefetch/follow.yaml"
        let check = try run("\(root)/opt/ducc/bin/ducc-follow", ["check", configuration])
        #expect(check.code == 0, "\(check.errors)")
    }
}
