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
