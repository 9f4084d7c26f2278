// What doesn't fit into memory goes into the temporary directory: a docker archive that is compressed.

import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("The temporary directory")
struct TemporaryDirectoryTests {
    let converting: Converting
    /// A compressed archive with a layer of 4 MB.
    let archive: String

    init() throws {
        converting = try Converting()
        let content = [UInt8](repeating: 7, count: 4 << 20)
        try TestImage({ $0.add("large", content: content) }).write(to: converting.layout, tag: "1")
        let plain = converting.directory.path("plain.tar")
        try runSuccessfully(
            "skopeo", ["copy", "--quiet", "oci:\(converting.layout):1", "docker-archive:\(plain):a:1"])
        archive = try converting.directory.write(
            "image.tgz", try Compression.gzip.apply(try Files.read(plain, limit: 1 << 30)))
    }

    private func convert(
        _ image: String, _ options: [String] = [], environment: [String: String] = [:]
    ) throws -> CommandResult {
        try converting.start(
            ["convert-single-image", image, converting.repository] + options, environment: environment
        ).wait()
    }

    @Test("a compressed archive is decompressed there, and nothing is left")
    func used() throws {
        let directory = converting.directory.path("temporary")
        try Files.makeDirectories(directory)
        for (options, environment) in [
            (["-t", directory], [:]), (["--temporary-dir", directory], ["DUCC_TMP_DIR": "/nowhere"]),
            ([], ["DUCC_TMP_DIR": directory]), ([], ["TMPDIR": directory]),
        ] {
            let result = try convert(
                "docker-archive:\(archive)", options + ["-g"], environment: environment)
            #expect(result.code == 0, "\(result.errors)")
            #expect(try DirectoryEntry.names(in: directory).isEmpty)
        }
        var information = stat()
        #expect(stat(converting.path("localhost/image.tgz:latest/large"), &information) == 0)
        #expect(information.st_size == 4 << 20)
    }

    @Test(
        "a full one is said in one line that names it, and another can be named",
        .enabled(if: SmallDisk.isPossible))
    func full() throws {
        let disk = try SmallDisk(kilobytes: 1024)
        let result = try convert("docker-archive:\(archive)", ["-t", disk.path])
        #expect(result.code == 1)
        #expect(
            BadInputTests.complaints(result).count == 1 && result.errors.contains("No space left on device")
                && result.errors.contains("--temporary-dir") && result.errors.contains(disk.path),
            "\(result.errors)")
        #expect(try converting.last(.endImageConversion)?[.status] == "error")
        #expect(
            try DirectoryEntry.names(in: disk.path).isEmpty && !Files.exists(converting.path("localhost")))
        let again = try convert("docker-archive:\(archive)", ["-t", converting.directory.path])
        #expect(again.code == 0, "\(again.errors)")
    }

    @Test("an archive out of a pipe is kept there, as it can be read only once")
    func pipe() throws {
        let command = try run(
            "sh",
            [
                "-c", "cat \"$1\" | \"$0\" convert-single-image docker-archive:/dev/stdin \"$2\"",
                Programs.ducc,
                archive, converting.repository,
            ], environment: converting.environment)
        #expect(command.code == 0, "\(command.errors)")
        #expect(Files.exists(converting.path("localhost/stdin:latest/large")))
    }

    @Test("a TMPDIR that isn't there is passed over")
    func leftOver() throws {
        let path = converting.directory.path("missing")
        #expect(try convert("oci:\(converting.layout):1", environment: ["TMPDIR": path]).code == 0)
    }

    @Test("one that isn't there is a usage error", arguments: ["option", "DUCC_TMP_DIR"])
    func missing(named name: String) throws {
        let path = converting.directory.path("missing")
        let result = try convert(
            "docker-archive:\(archive)", name == "option" ? ["-t", path] : [],
            environment: name == "option" ? [:] : [name: path])
        #expect(result.code == 2 && BadInputTests.complaints(result).count == 1, "\(result.errors)")
        #expect(
            result.errors.contains(name == "option" ? "--temporary-dir" : name)
                && result.errors.contains(path))
        #expect(!Files.exists(converting.log), "nothing was begun")
    }
}
