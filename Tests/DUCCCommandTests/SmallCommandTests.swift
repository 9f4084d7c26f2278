import FoundationEssentials
import Glibc
import Platform
import Support
import Testing

@Suite("Smaller commands")
struct SmallCommandTests {
    @Test("flags stand anywhere on the line, also as --flag=false", .onBothRepositories)
    func flags() throws {
        let converting = try Converting()
        try TestImage({ $0.file("x", "y") }).write(to: converting.layout, tag: "1")
        let result = try converting.ducc(
            [
                "--progress", "none", "-n", converting.log, "convert-single-image", "--skip-podman=false",
                "-i",
                "oci:\(converting.layout):1", "--skip-flat=true", converting.repository, "-v", "error",
            ], notifying: false)
        #expect(result.code == 0 && result.errors.isEmpty, "\(result.errors)")
        #expect(!Files.exists(converting.path("localhost")) && Files.exists(converting.path(".layers")))
    }

    /// The parts of what the argument parser says of the command line that are looked at here.
    private struct Description: Decodable {
        struct Command: Decodable {
            let commandName: String
            let subcommands: [Command]?
            let arguments: [Argument]?
        }
        struct Argument: Decodable {
            struct Name: Decodable {
                let kind: String
                let name: String
            }
            let kind: String
            let names: [Name]?
        }
        let command: Command
    }

    @Test("each option with a value may stand before the command")
    func optionsFirst() throws {
        let converting = try Converting()
        let dump = try converting.ducc(["--experimental-dump-help"], notifying: false).output
        let command = try JSONDecoder().decode(Description.self, from: Data(dump.utf8)).command
        var names: [String: String] = [:]
        for subcommand in command.subcommands ?? [] {
            for option in subcommand.arguments ?? [] where option.kind == "option" {
                for name in option.names ?? [] {
                    names[(name.kind == "short" ? "-" : "--") + name.name] = subcommand.commandName
                }
            }
        }
        #expect(names.count > 15)
        for (name, subcommand) in names {
            let result = try converting.ducc([name, "value", subcommand, "--help"], notifying: false)
            // Its help, or what it has to say of the value.
            #expect((result.output + result.errors).contains("cvmfs_ducc \(subcommand) "), "\(name)")
        }
    }

    @Test("list shows what is there whole, as a table and as JSON, and since when", .onBothRepositories)
    func list() throws {
        let converting = try Converting()
        let written = try TestImage({ $0.file("x", "y") }).write(to: converting.layout, tag: "1")
        try converting.convert("oci:\(converting.layout):1")
        let table = try converting.ducc("list", converting.repository).output
        #expect(
            table.contains("IMAGE") && table.contains("localhost/layout:1") && table.contains("linux/amd64"))
        let json = try converting.ducc("list", "--json", converting.repository).output
        #expect(
            json.contains("\"manifest_digest\":\"sha256:\(written.manifest)\"")
                && json.contains("\"size\":2048"))
        #expect(
            try converting.ducc("list", converting.repository, "--since", "2100-01-01", "--json").output
                .isEmpty)
        // An image whose flat tree and layers are gone is none.
        try converting.edit { try runSuccessfully("rm", ["-r", "\($0)/.flat", "\($0)/.layers"]) }
        #expect(try converting.ducc("list", "--json", converting.repository).output.isEmpty)
        #expect(try converting.ducc("list", converting.directory.path("missing")).code == 104)
    }

    @Test("check-image-syntax shows a name's parts, with DUCC's columns for machines")
    func syntax() throws {
        let converting = try Converting()
        let result = try converting.ducc("check-image", "-z", "registry.example/a/b:1")
        #expect(
            result.output == """
                name,user,scheme,registry,repository,tag,digest,is_thin
                https://registry.example/a/b:1,,https,registry.example,a/b,1,,false

                """)
        #expect(try converting.ducc("check-image-syntax", "alpine").code == 1)
        #expect(try converting.ducc(["version"], notifying: false).output.hasPrefix("cvmfs_ducc "))
        #expect(try converting.ducc(["--help"], notifying: false).code == 0)
        for arguments in [["convert", "--help"], ["help", "convert"], ["convert", "wishes", "-i", "-h"]] {
            let result = try converting.ducc(arguments, notifying: false)
            #expect(result.code == 0 && result.output.contains("USAGE: cvmfs_ducc convert "), "\(arguments)")
        }
        let none = try converting.ducc([], notifying: false)
        #expect(none.code == 2 && none.output.contains("USAGE: cvmfs_ducc <subcommand>"))
    }
}
