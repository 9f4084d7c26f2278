// Thin images, pushed into a real docker-registry and read there with skopeo.

import FoundationEssentials
import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("Thin images", .enabled(if: CernVMServer.isPossible))
struct ThinImageTests {
    let converting: Converting
    let server: CernVMServer
    let registry: DockerRegistry
    let written: TestImage.Written

    private static let settings = """
        {"Entrypoint":["/bin/run","a b"],"Cmd":["-c"],"Env":["PATH=/bin","CVMFS_IMAGE=false","X=a=b"],"User":"1000:10","WorkingDir":"/w",\
        "Labels":{"a.b":"c","ü":"\\u2028"},"Volumes":{"/data":{}},"ExposedPorts":{"80/tcp":{}},"StopSignal":"SIGINT",\
        "Healthcheck":{"Test":["CMD","true"],"Interval":30000000000},"Unknown":{"kept":[1,2.5,null,true]}}
        """

    init() throws {
        server = try CernVMServer()
        converting = try Converting(server: server)
        registry = try DockerRegistry()
        var image = TestImage({ $0.file("a", "1") }, { $0.file("b", "2") })
        image.settings = Self.settings
        image.architecture = "arm64"
        written = try image.write(to: converting.layout, tag: "1")
    }

    private var image: String { "oci:\(converting.layout):1" }
    private var name: String { "http://\(registry.host)/thin/image:1" }

    private func convert(_ options: String...) throws -> CommandResult {
        try converting.ducc(
            ["convert-single-image", image, converting.repository, "--platform", "linux/arm64"] + options)
    }

    private func skopeo(_ arguments: String...) throws -> String {
        try runSuccessfully("skopeo", arguments)
    }

    @Test("the whole configuration, one layer with thin.json, and nothing pushed twice")
    func whole() throws {
        let result = try convert("--thin-image-name", name)
        #expect(
            result.code == 0 && result.output.contains("pushed     \(registry.host)/thin/image:1"),
            "\(result.errors)")
        let event = try #require(try converting.last(.publishThinImage))
        #expect(
            event[.thinImage] == "\(registry.host)/thin/image:1"
                && event[.manifestDigest] == "sha256:\(written.manifest)")
        #expect(
            try converting.actions().suffix(4) == [
                "publish_thin_image", "publish_image", "end_image_conversion", "end_ducc",
            ])

        let reference = "docker://\(registry.host)/thin/image:1"
        let raw = try skopeo("inspect", "--tls-verify=false", "--config", "--raw", reference)
        let original = try text(of: "\(converting.layout)/blobs/sha256/\(written.configuration)")
        // jq, since it is none of ours: but for the mark, the layers and the history it is the image's own.
        let filter =
            #"del(.rootfs, .history) | .config.Env |= (. // [] | map(select(startswith("CVMFS_IMAGE=") | not)))"#
        let own = try converting.directory.write("own.json", original)
        let thin = try converting.directory.write("thin.json", raw)
        #expect(
            try runSuccessfully("jq", ["-S", filter, thin]) == runSuccessfully("jq", ["-S", filter, own]))
        #expect(try runSuccessfully("jq", ["-r", ".config.Env[-1]", thin]) == "CVMFS_IMAGE=true\n")
        #expect(
            try runSuccessfully("jq", ["-r", ".rootfs.diff_ids | length", thin]) == "1\n"
                && runSuccessfully("jq", ["-r", ".history | length", thin]) == "1\n")

        let copy = converting.directory.path("copy")
        _ = try skopeo("copy", "--quiet", "--src-tls-verify=false", reference, "dir:\(copy)")
        let manifest = "\(copy)/manifest.json"
        #expect(try runSuccessfully("jq", [".layers | length", manifest]) == "1\n")
        let layer = try runSuccessfully("jq", ["-r", ".layers[0].digest", manifest]).dropFirst(
            "sha256:".count
        )
        .dropLast()
        let archive = "\(copy)/\(layer)"
        let listing = try runSuccessfully("tar", ["--utc", "-tvf", archive])
        #expect(listing.split(separator: "\n").count == 1)
        #expect(listing.hasPrefix("-rw-r--r-- ") && listing.hasSuffix(" 1970-01-01 00:00 thin.json\n"))
        let digests = written.layers
        let entries = digests.map { digest in
            """
                {
                  "digest": "\(digest)",
                  "url": "cvmfs://\(server.name)/.layers/\(digest.prefix(2))/\(digest)/layerfs"
                }
            """
        }
        #expect(
            try runSuccessfully("tar", ["-xOf", archive, "thin.json"]) == """
                {
                  "version": "1.0",
                  "origin": "\(image)",
                  "layers": [
                \(entries.joined(separator: ",\n"))
                  ]
                }
                """)

        let requests = try registry.requests {
            let again = try convert("--thin-image-name", name)
            #expect(again.output.hasPrefix("unchanged"))
        }
        #expect(requests == ["HEAD /v2/thin/image/manifests/1 200"])
        let forced = try registry.requests { _ = try convert("-g", "--thin-image-name", name) }
        #expect(forced == requests)
    }

    @Test("the same image makes the same thin image, whenever and however it is converted")
    func reproducible() throws {
        #expect(try convert("--thin-image-name", name).code == 0)
        #expect(
            try convert("-g", "-s", "-p", "--thin-image-name", "http://\(registry.host)/other:2").code == 0)
        let one = try skopeo(
            "inspect", "--tls-verify=false", "--raw", "docker://\(registry.host)/thin/image:1")
        let other = try skopeo("inspect", "--tls-verify=false", "--raw", "docker://\(registry.host)/other:2")
        #expect(one == other && one.contains("\"schemaVersion\":2"))
    }

    @Test("a thin image that is gone, or another one, is pushed again; an image without one gets it")
    func late() throws {
        #expect(try convert().code == 0)
        let before = try server.operations().count
        let result = try convert("--thin-image-name", name)
        #expect(result.code == 0 && result.output.hasPrefix("updated"), "\(result.errors)")
        // Nothing of the repository changes for it.
        #expect(try server.operations().count == before)
        #expect(
            try converting.actions().suffix(5) == [
                "start_image_conversion", "publish_thin_image", "publish_image", "end_image_conversion",
                "end_ducc",
            ])
        try TestImage { $0.file("x", "x") }.write(to: converting.directory.path("another"), tag: "1")
        try registry.push(converting.directory.path("another"), tag: "1", as: "thin/image:1")
        #expect(try convert("--thin-image-name", name).output.contains("pushed "))
        #expect(try convert("--thin-image-name", name).output.hasPrefix("unchanged"))
    }

    @Test("a registry that takes nothing fails the image; what was told by then is told once")
    func refused() throws {
        let dead = "http://127.0.0.1:\(try LoopbackPort.free())/thin/image:1"
        let result = try convert("--thin-image-name", dead)
        #expect(result.code == 1 && result.errors.contains("cannot reach"), "\(result.errors)")
        #expect(try converting.last(.endImageConversion)?[.status] == "error")
        #expect(try !converting.actions().contains("publish_image"))
        #expect(Files.exists(converting.path("localhost/layout:1/a")))
        #expect(try convert("--thin-image-name", name).code == 0)
        let actions = try converting.actions()
        for action in ["publish_flat_image", "publish_podman_image", "publish_thin_image", "publish_image"] {
            #expect(actions.count { $0 == action } == 1, "\(action)")
        }
        #expect(actions.count { $0 == "publish_layer" } == 2)
    }

    @Test("a name that is none is a usage error, or its image's failure where variables made it")
    func badName() throws {
        for (name, words) in [
            ("$(tga)", "did you mean $(tag)?"), ("Foo Bar", "--thin-image-name"), ("", "--thin-image-name"),
        ] {
            let result = try convert("--thin-image-name", name)
            #expect(result.code == 2 && result.errors.contains(words), "\(result.errors)")
        }
        let nobody = try convert("-u", "somebody")
        #expect(
            nobody.code == 2 && nobody.errors.contains("--thin-image-name is missing"), "\(nobody.errors)")
        let result = try convert("--thin-image-name", "$(registry)/UPPER/$(repository):$(tag)")
        #expect(result.code == 1 && result.errors.contains("can't be named"), "\(result.errors)")
        #expect(!Files.exists(converting.path(".layers")))
    }
}

@Suite("Who pushes thin images", .enabled(if: CernVMServer.isPossible))
struct ThinImageUserTests {
    let directory: TemporaryDirectory
    let registry: DockerRegistry

    init() throws {
        directory = try TemporaryDirectory()
        // "s3cret pass", as `htpasswd -B` hashes it.
        let users = try directory.write(
            "users", "reader:$2b$04$abcdefghijklmnopqrstuuoBpIrM0OnplXjsOI8DWYJTHUhJDuUv.\n")
        registry = try DockerRegistry(.password(users))
    }

    private func wishes(_ converting: Converting, _ text: String) throws -> String {
        try TestImage { $0.file("a", "1") }.write(to: converting.layout, tag: "1")
        return try directory.write(
            "wishes.yaml",
            "cvmfs_repo: \(converting.repository)\n\(text)input: ['oci:\(converting.layout):1']\n")
    }

    private var format: String { "output_format: 'http://\(registry.host)/thin/$(repository):$(tag)'\n" }

    private func run(
        _ converting: Converting, _ arguments: [String], password: String?
    ) throws -> CommandResult {
        try converting.start(
            arguments, environment: ["DUCC_OUTPUT_REGISTRY_PASS": password ?? "", "HOME": directory.path]
        ).wait()
    }

    @Test("the wish list's user, with the password of DUCC's variable")
    func user() throws {
        let converting = try Converting(server: CernVMServer())
        let list = try wishes(converting, "user: reader\n\(format)")
        let wrong = try run(converting, ["convert", list], password: "wrong")
        #expect(wrong.code == 1 && wrong.errors.contains("lets nothing be pushed"), "\(wrong.errors)")
        #expect(!wrong.errors.contains("wrong"))
        let right = try run(converting, ["convert", list], password: "s3cret pass")
        #expect(right.code == 0 && right.output.contains("thin/layout:1  thin image"), "\(right.errors)")
    }

    @Test("without a password `convert` ends with 101 and does nothing, one image is converted all the same")
    func noPassword() throws {
        let converting = try Converting(server: CernVMServer())
        let list = try wishes(converting, "user: reader\n\(format)")
        let result = try run(converting, ["convert", list], password: nil)
        #expect(result.code == 101 && result.errors.contains("DUCC_OUTPUT_REGISTRY_PASS"), "\(result.errors)")
        #expect(result.errors.split(separator: "\n").count == 1)
        #expect(!Files.exists(converting.path(".layers")))
        #expect(try run(converting, ["convert", list, "-i"], password: nil).code == 0)
        let single = try run(
            converting,
            [
                "convert-single-image", "oci:\(converting.layout):1", converting.repository, "-g", "-u",
                "reader",
                "--thin-image-name", "http://\(registry.host)/thin:1",
            ], password: nil)
        #expect(single.code == 0 && single.errors.contains("no thin image is made"), "\(single.errors)")
    }

    @Test("a directory serves none: that is said once, and no password is asked for")
    func directoryRepository() throws {
        let converting = try Converting()
        let result = try run(
            converting, ["convert", try wishes(converting, "user: reader\n\(format)")], password: nil)
        #expect(result.code == 0, "\(result.errors)")
        #expect(result.errors.split(separator: "\n").count { $0.contains("can't serve cvmfs://") } == 1)
        #expect(try registry.requests().allSatisfy { !$0.contains("thin") })
    }

    @Test("an image without a tag in a registry has no usual name: it is converted without a thin image")
    func nameless() throws {
        let converting = try Converting(server: CernVMServer())
        let result = try run(
            converting, ["convert", try wishes(converting, "user: reader\n")], password: "s3cret pass")
        #expect(result.code == 0 && result.errors.contains("no name for a thin image"), "\(result.errors)")
    }

    @Test("a list that names neither user nor format asks for no thin images")
    func neither() throws {
        let converting = try Converting(server: CernVMServer())
        let result = try run(converting, ["convert", try wishes(converting, "")], password: nil)
        #expect(result.code == 0 && !result.output.contains("thin"), "\(result.errors)")
    }
}
