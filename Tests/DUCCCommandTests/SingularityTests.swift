// What Apptainer and Singularity find in a flat image: run as they run it, compared with what podman makes of the image.

import FoundationEssentials
import Glibc
import Platform
import Support
import Testing

@Suite("A flat image as Singularity runs it", .enabled(if: Podman.isPossible))
struct SingularityTests {
    /// What podman adds of its own accord.
    private static let podmansOwn = ["container", "HOSTNAME", "TERM", "HOME"]

    /// A root with a shell in it, the programs that pass on odd variables, and one that shows how it was started.
    private static func root(_ shell: String) throws -> TestImage.Layer {
        var tar = TarBuilder()
        try tar.program("/bin/\(shell)", as: "bin/sh")
        for name in ["env", "nice"] { try tar.program("/usr/bin/\(name)") }
        let show = try ShowProgram.binary()
        for name in ["show", "-show", "sh=ow"] { tar.add("bin/\(name)", content: show, mode: 0o755) }
        tar.add("dev/null", type: "3", mode: 0o666, device: (1, 3))
        return TestImage.Layer(tar.finished())
    }

    private struct Settings: Encodable {
        let Env: [String]
        let Entrypoint: [String]
        let Cmd: [String]
    }

    @Test("argument by argument and variable by variable the same as `podman run`, under dash and bash")
    func table() throws {
        let converting = try Converting(TemporaryDirectory.inMemory())
        let shells = ["dash", "bash"]
        var wishes = "cvmfs_repo: \(converting.repository)\ninput:\n"
        for shell in shells {
            var image = TestImage([try Self.root(shell)])
            for (number, runCase) in RunCase.all.enumerated() {
                let settings = Settings(
                    Env: runCase.environment, Entrypoint: runCase.entrypoint, Cmd: runCase.command)
                image.settings = String(decoding: try JSONEncoder().encode(settings), as: UTF8.self)
                let layout = converting.directory.path("\(shell)\(number)")
                try image.write(to: layout, tag: "1")
                wishes += "  - oci:\(layout):1\n"
            }
        }
        let result = try converting.ducc("convert", converting.directory.write("wishes.yaml", wishes))
        #expect(result.code == 0, "\(result.errors)")
        let podman = try Podman(over: converting.repository)
        var compared = 0
        for (number, runCase) in RunCase.all.enumerated() {
            let expected = try podman(
                ["run", "--rm", "--network", "none", "--pull", "never", "localhost/dash\(number):1"]
                    + runCase.arguments)
            for shell in shells {
                let root = converting.path("localhost/\(shell)\(number):1")
                compare(try Self.start("run", runCase.arguments, in: root), expected, runCase, shell)
                guard let report = ShowProgram.Report(expected.output) else { continue }
                let executed = try Self.start(
                    "exec", ["/bin/show"] + report.arguments.dropFirst(), in: root)
                #expect(
                    ShowProgram.Report(executed.output).map { self.comparable($0, runCase).environment }
                        == comparable(report, runCase).environment,
                    "\(runCase.name), exec under \(shell)")
                compared += 1
            }
        }
        print(
            "\(RunCase.all.count) ways to say what is run, \(compared) of them run by both under two shells")
        #expect(compared > 120)
    }

    @Test(
        "what the caller sets comes first; SCIF apps, libraries of the host's, and the other actions",
        arguments: ["dash", "bash"])
    func actions(shell: String) throws {
        let converting = try Converting()
        let app = TestImage.Layer(
            TarBuilder.archive { tar in
                tar.file(
                    "scif/apps/one/scif/runscript", "#!/bin/sh\nexec /bin/show app \"$@\"\n", mode: 0o755)
                tar.file("scif/apps/one/scif/env/90-own.sh", "OWN=1\nexport OWN\n")
                tar.directory("scif/apps/one/bin")
                tar.directory("scif/apps/one/lib")
                tar.file(".singularity.d/libs/libhost.so", "")
            })
        var image = TestImage([try Self.root(shell), app])
        image.settings = #"{"Env":["A=image","B=image","PATH=/bin"],"Cmd":["show"]}"#
        try image.write(to: converting.layout, tag: "1")
        #expect(try converting.convert("oci:\(converting.layout):1").code == 0)
        let root = converting.path("localhost/layout:1")

        let own = try Self.start("run", ["x y"], in: root, ["SINGULARITY_APPNAME=one"])
        var report = try #require(ShowProgram.Report(own.output), "\(own.errors)")
        // What the shell of the app's own script exports.
        for name in ["PWD", "OLDPWD", "SHLVL"] { report.environment[name] = nil }
        #expect(report.arguments == ["/bin/show", "app", "x y"])
        #expect(
            report.environment == [
                "A": "image", "B": "image", "PATH": "/scif/apps/one/bin:/bin", "OWN": "1",
                "LD_LIBRARY_PATH": "/scif/apps/one/lib:/.singularity.d/libs", "SCIF_APPS": "/scif/apps",
                "SCIF_APPNAME": "one", "SCIF_APPROOT": "/scif/apps/one", "SINGULARITY_APPNAME": "one",
            ])
        for name in ["two", "../one"] {
            let result = try Self.start("run", [], in: root, ["APPTAINER_APPNAME=\(name)"])
            #expect(result.code == 1 && result.errors.contains(name), "\(result.errors)")
        }
        let caller = try Self.start(
            "exec", ["show"], in: root,
            [
                "A=caller", "B=", "PATH=/host", "SHLVL=7", "PWD=/somewhere", "LD_LIBRARY_PATH=/host/lib",
                "SING_USER_DEFINED_PREPEND_PATH=/before", "SING_USER_DEFINED_APPEND_PATH=/behind",
            ])
        #expect(
            ShowProgram.Report(caller.output)?.environment == [
                "A": "caller", "B": "", "PATH": "/before:/bin:/behind",
                "LD_LIBRARY_PATH": "/host/lib:/.singularity.d/libs",
            ], "\(caller.errors)")
        #expect(try Self.start("test", [], in: root).output == "This container has no test\n")
        let opened = try Self.start("shell", ["-c", #"echo "$SHELL" "$A""#], in: root)
        #expect(opened.output == "/bin/sh image\n", "\(opened.errors)")
        #expect(try Self.start("exec", [], in: root).code == 1)
        // Where it is the first process that waits, as in an instance.
        let started = try run(
            "unshare",
            [
                "--pid", "--fork", "/usr/sbin/chroot", root, "/bin/sh", "-c",
                "/bin/sh /.singularity.d/actions/start; echo $?",
            ])
        #expect(started.output == "0\n" && started.errors.isEmpty, "\(started.errors)")
    }

    /// Starts an action as Singularity does, in a root, with no variable but those given.
    private static func start(
        _ action: String, _ arguments: [String], in root: String, _ environment: [String] = []
    ) throws -> CommandResult {
        try run(
            "env",
            ["-i"] + environment + ["/usr/sbin/chroot", root, "/bin/sh", "/.singularity.d/actions/\(action)"]
                + arguments)
    }

    private func compare(
        _ result: CommandResult, _ expected: CommandResult, _ runCase: RunCase, _ shell: String
    ) {
        let what = "\(runCase.name) under \(shell)"
        guard let report = ShowProgram.Report(expected.output) else {
            // podman names no program either: a shell is what is left. Otherwise there is no such program.
            let isNothing = expected.errors.contains("no command or entrypoint provided")
            #expect((result.code == 0) == isNothing, "\(what): \(expected.errors) \(result.errors)")
            #expect(!isNothing || result.errors.contains("names no program to run"), "\(what)")
            return
        }
        let found = ShowProgram.Report(result.output)
        #expect(found?.arguments == report.arguments, "\(what): \(result.errors)")
        #expect(
            found.map { comparable($0, runCase).environment } == comparable(report, runCase).environment,
            "\(what)")
        #expect(result.errors.isEmpty, "\(what): \(result.errors)")
    }

    /// Without what podman adds, where the image doesn't say it itself.
    private func comparable(_ report: ShowProgram.Report, _ runCase: RunCase) -> ShowProgram.Report {
        var report = report
        for name in Self.podmansOwn where !runCase.environment.contains(where: { $0.hasPrefix("\(name)=") }) {
            report.environment[name] = nil
        }
        return report
    }
}

@Suite("Images that are odd about Singularity's files", .onBothRepositories)
struct SingularityFilesTests {
    /// Converts an image of one layer.
    ///
    /// - Returns: where its flat image and its layer are, and what was said.
    private func convert(
        _ fill: (inout TarBuilder) -> Void
    ) throws -> (converting: Converting, flat: String, layer: String, errors: String) {
        let converting = try Converting()
        let written = try TestImage([.init(TarBuilder.archive(fill))]).write(to: converting.layout, tag: "1")
        let result = try converting.convert("oci:\(converting.layout):1")
        #expect(result.code == 0, "\(result.errors)")
        let digest = written.layers[0]
        return (
            converting, converting.path("localhost/layout:1"),
            converting.path(".layers/\(digest.prefix(2))/\(digest)/layerfs"), result.errors
        )
    }

    @Test("all names are there with their modes, and none in the layer")
    func names() throws {
        let image = try convert { $0.file("usr/file", "x") }
        let found = try runSuccessfully("find", [image.flat + "/", "-printf", "%M %s %P -> %l\\n"])
        let lines = Set(found.split(separator: "\n").map { String($0.dropFirst(0)) })
        for directory in [
            ".singularity.d", ".singularity.d/actions", ".singularity.d/env", ".singularity.d/libs", "dev",
            "proc",
            "root", "var/tmp", "tmp", "etc", "sys", "home",
        ] {
            #expect(
                lines.contains { $0.hasPrefix("drwxr-xr-x ") && $0.hasSuffix(" \(directory) -> ") },
                "\(directory)")
        }
        for (link, target) in [
            ("singularity", "runscript"), (".run", "actions/run"), (".exec", "actions/exec"),
            (".test", "actions/test"),
            (".shell", "actions/shell"), ("environment", "env/90-environment.sh"),
        ] {
            #expect(
                lines.contains {
                    $0.hasSuffix(" \(link) -> .singularity.d/\(target)") && $0.hasPrefix("lrwx")
                },
                "\(link)")
        }
        for script in [
            "actions/exec", "actions/run", "actions/shell", "actions/start", "actions/test", "env/01-base.sh",
            "env/10-docker2singularity.sh", "env/90-environment.sh", "env/95-apps.sh", "env/99-base.sh",
            "env/99-runtimevars.sh", "runscript", "startscript",
        ] {
            let name = " .singularity.d/\(script) -> "
            #expect(lines.contains { $0.hasPrefix("-rwxr-xr-x ") && $0.hasSuffix(name) }, "\(script)")
            for shell in [["dash", "-n"], ["bash", "-n"], ["busybox", "sh", "-n"]] {
                let checked = try run("env", shell + ["\(image.flat)/.singularity.d/\(script)"])
                #expect(checked.code == 0, "\(script): \(checked.errors)")
            }
        }
        #expect(lines.isSuperset(of: ["-rw-r--r-- 0 etc/hosts -> ", "-rw-r--r-- 0 etc/resolv.conf -> "]))
        #expect(
            try DirectoryEntry.names(in: image.layer).filter { $0 != ".cvmfscatalog" } == ["usr"])
    }

    @Test("an image that holds a .singularity.d keeps what is its own there, and its layer as it is")
    func own() throws {
        let image = try convert { tar in
            tar.file(".singularity.d/runscript", "own", mode: 0o600)
            tar.file(".singularity.d/env/50-own.sh", "OWN=1")
            tar.file(".run", "own")
            tar.file("etc/hosts", "own")
            tar.directory("tmp", mode: 0o1777)
        }
        #expect(try text(of: "\(image.flat)/.singularity.d/runscript").hasPrefix("#!/bin/sh"))
        #expect(try text(of: "\(image.layer)/.singularity.d/runscript") == "own")
        #expect(try text(of: "\(image.flat)/.singularity.d/env/50-own.sh") == "OWN=1")
        #expect(try text(of: "\(image.flat)/.run") == "own" && text(of: "\(image.flat)/etc/hosts") == "own")
        #expect(try runSuccessfully("stat", ["-c", "%a", "\(image.flat)/tmp"]) == "1777\n")
    }

    @Test("links that lead out of an image are never followed out of it")
    func links() throws {
        let outside = try TemporaryDirectory()
        try outside.write("actions/keep", "keep")
        let before = try TreeComparison.describe(outside.path)
        let image = try convert { tar in
            tar.symbolicLink(".singularity.d", to: outside.path)
            tar.symbolicLink("etc", to: outside.path)
            tar.symbolicLink("home", to: "../../../../../../../..\(outside.path)/home")
            tar.symbolicLink("var", to: "/srv/var")
            tar.directory("srv/var")
        }
        #expect(try TreeComparison.describe(outside.path) == before)
        #expect(Files.linkTarget("\(image.flat)/.singularity.d") == nil)
        #expect(try text(of: "\(image.flat)/.singularity.d/actions/run").hasPrefix("#!/bin/sh"))
        // As inside a chroot of the image.
        #expect(Files.isDirectory("\(image.flat)/srv/var/tmp"))
        #expect(Files.exists("\(image.flat)\(outside.path)/hosts"))
        #expect(Files.linkTarget("\(image.flat)/etc") == outside.path)

        let resolving = try convert { $0.symbolicLink("etc/resolv.conf", to: "/etc/passwd") }
        #expect(Files.linkTarget("\(resolving.flat)/etc/resolv.conf") == "/etc/passwd")
    }

    @Test("a file where a directory is needed stays, and is said in one line each")
    func files() throws {
        let image = try convert { tar in
            tar.file("var", "a file")
            tar.file("home", "a file")
            tar.file("etc", "a file")
            tar.file(".singularity.d", "a file")
        }
        for name in ["var", "home", "etc"] { #expect(try text(of: "\(image.flat)/\(name)") == "a file") }
        #expect(try text(of: "\(image.flat)/.singularity.d/runscript").hasPrefix("#!/bin/sh"))
        let warnings = image.errors.split(separator: "\n").filter { $0.contains("Singularity may miss it") }
        #expect(warnings.count == 5, "\(image.errors)")
    }

    @Test(
        "a link of the image's that leads where another name is made costs that name, and no more",
        arguments: [
            ("etc", "singularity"), ("etc", ".run/x"), ("var", ".singularity.d/runscript"), ("tmp", "tmp"),
        ])
    func collisions(name: String, target: String) throws {
        let image = try convert { $0.symbolicLink(name, to: target) }
        #expect(try text(of: "\(image.flat)/.singularity.d/runscript").hasPrefix("#!/bin/sh"))
        #expect(Files.linkTarget("\(image.flat)/\(name)") == target)
    }
}
