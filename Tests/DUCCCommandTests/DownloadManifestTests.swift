import Glibc
import Platform
import Support
import Testing

@Suite("download-manifest as a user with a password")
struct DownloadManifestTests {
    private let directory: TemporaryDirectory
    private let registry: DockerRegistry
    private let manifest: [UInt8]
    private let arguments: [String]

    init() throws {
        directory = try TemporaryDirectory()
        let written = try TestImage({ $0.file("x", "y") }).write(to: directory.path("layout"), tag: "1")
        let open = try DockerRegistry()
        try open.push(directory.path("layout"), tag: "1", as: "group/image:1")
        manifest = try Files.read(directory.path("layout/blobs/sha256/\(written.manifest)"))
        // "s3cret pass", as `htpasswd -B` hashes it.
        let file = try directory.write(
            "htpasswd", "reader:$2b$04$abcdefghijklmnopqrstuuoBpIrM0OnplXjsOI8DWYJTHUhJDuUv.\n")
        registry = try DockerRegistry(.password(file), over: open)
        arguments = ["download-manifest", "http://\(registry.host)/group/image:1", "-u", "reader"]
    }

    @Test(
        "takes the password from each of DUCC's variables",
        arguments: [
            "DUCC_OUTPUT_REGISTRY_PASS", "DUCC_DOCKER_REGISTRY_PASS", "DOCKER2CVMFS_DOCKER_REGISTRY_PASS",
        ])
    func variables(name: String) throws {
        let result = try run(Programs.ducc, arguments, environment: [name: "s3cret pass"])
        #expect(result.code == 0 && Array(result.output.utf8) == manifest, "\(result.errors)")
        let wrong = try run(Programs.ducc, arguments, environment: [name: "other"])
        #expect(
            wrong.code == 1 && wrong.output.isEmpty
                && wrong.errors.contains("user 'reader' (from --username)"),
            "\(wrong.errors)")
        #expect(!wrong.errors.contains("other"))
    }

    @Test("without a variable and without a terminal it is exit code 101, and nothing is asked")
    func none() throws {
        var result: CommandResult?
        let requests = try registry.requests { result = try run(Programs.ducc, arguments) }
        #expect(requests.isEmpty)
        #expect(result?.code == 101 && result?.errors.contains("DUCC_OUTPUT_REGISTRY_PASS") == true)
    }

    @Test("at a terminal it is asked for, and not shown")
    func typed() throws {
        let terminal = try PseudoTerminal(columns: 80)
        let running = try RunningCommand(Programs.ducc, arguments, input: terminal.path)
        try waitUntil("the password is asked for") { running.errorsSoFar.contains("Password of reader at ") }
        #expect(!terminal.echoes)
        try terminal.type("s3cret pass\n")
        let result = try running.wait()
        #expect(result.code == 0 && Array(result.output.utf8) == manifest, "\(result.errors)")
        #expect(!terminal.written().contains("s3cret") && terminal.echoes)
    }

    @Test("Ctrl-C at the question leaves the terminal as it was")
    func interrupted() throws {
        let terminal = try PseudoTerminal(columns: 80)
        let running = try RunningCommand(Programs.ducc, arguments, input: terminal.path)
        try waitUntil("the password is asked for") { running.errorsSoFar.contains("Password of reader at ") }
        running.signal(SIGINT)
        #expect(try running.wait(seconds: 10).status == .exited(130))
        #expect(terminal.echoes)
    }
}
