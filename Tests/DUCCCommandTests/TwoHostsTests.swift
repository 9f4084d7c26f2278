// Two converters of one repository at once: on one host with one lock, and on two hosts, each with a `/tmp` of its own.

import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("Two converters of one repository")
struct TwoHostsTests {
    /// Where the two run.
    enum Hosts: String, CaseIterable, Sendable { case one, two }

    /// In front of a command: a mount namespace with a `/tmp` of its own, and the lock that is in it.
    private static let otherHost =
        ["env", "-u", "DUCC_LOCK_FILE", "unshare", geteuid() == 0 ? "-m" : "-rm", "sh", "-c"]
        + ["mount -t tmpfs none /tmp && exec \"$0\" \"$@\""]

    /// Whether there can be two: what both see must not be in `/tmp`.
    private static let arePossible =
        access("/dev/shm", W_OK) == 0 && !Programs.ducc.hasPrefix("/tmp/")
        && (try? run(otherHost[0], Array(otherHost[1...]) + ["true"]))?.code == 0

    @Test(
        "several images at once, one of them the same: both succeed, one after the other, and all is whole",
        .enabled(if: arePossible, "there are no namespaces here"), arguments: Hosts.allCases)
    func atOnce(hosts: Hosts) throws {
        let converting = try Converting(.inMemory())
        let common = TestImage.Layer(
            TarBuilder.archive { tar in for file in 0..<200 { tar.file("common/f\(file)", "\(file)") } })
        var layers: [String: [String]] = [:]
        for name in ["first", "same", "one", "other"] {
            let own = TestImage.Layer(TarBuilder.archive { $0.file("own/name", name) })
            let written = try TestImage([common, own]).write(to: converting.directory.path(name), tag: "1")
            layers[name] = written.layers
        }
        func image(_ name: String) -> String { "oci:\(converting.directory.path(name)):1" }
        // So that the repository's lock is there to be held.
        try converting.convert(image("first"))

        let path =
            hosts == .two
            ? converting.path(".ducc-staging/repository-lock") : converting.directory.path("lock")
        let held = try OwnedDescriptor(opening: path, O_RDWR)
        var lock = flock()
        lock.l_type = Int16(F_WRLCK)
        #expect(fcntl(held.raw, F_SETLK, &lock) == 0)
        let running = try ["one", "other"].map { name in
            let wishes = ["same", name, name == "one" ? "other" : "one"].map { "'\(image($0))'" }
            let list = try converting.directory.write(
                "\(name).yaml",
                "cvmfs_repo: \(converting.repository)\ninput: [\(wishes.joined(separator: ", "))]\n")
            let command = [Programs.ducc, "convert", list, "-n", converting.log]
            let words = (hosts == .two ? Self.otherHost : ["env"]) + command
            return try RunningCommand(
                words[0], Array(words[1...]), environment: hosts == .two ? [:] : converting.environment)
        }
        for one in running {
            try waitUntil("both wait") { one.errorsSoFar.contains("waiting for \(path)") }
        }
        #expect(try DirectoryEntry.names(in: converting.path("localhost")) == ["first:1"])
        lock.l_type = Int16(F_UNLCK)
        #expect(fcntl(held.raw, F_SETLK, &lock) == 0)
        for one in running {
            let result = try one.wait()
            #expect(result.code == 0 && result.output.contains("0 failed"), "\(result.errors)")
        }

        for (name, digests) in layers {
            #expect(try text(of: converting.path("localhost/\(name):1/own/name")) == name)
            #expect(try DirectoryEntry.names(in: converting.path("localhost/\(name):1/common")).count == 200)
            for digest in digests {
                #expect(
                    Files.exists(
                        converting.path(".layers/\(digest.prefix(2))/\(digest)/.metadata/layers.json")))
            }
        }
        let told = try converting.events().filter { $0.action == .publishLayer }.map { $0[.layerDigest] }
        // Both had them in staging when neither could publish them.
        for digest in layers["same"] ?? [] { #expect(told.count { $0 == digest } == 1) }
        #expect(Set(told).count == 5)
        #expect(try converting.staged().isEmpty)
        let listed = try converting.ducc("list", "--json", converting.repository).output
        #expect(listed.split(separator: "\n").count == 4)
    }
}
