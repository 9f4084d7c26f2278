// SIGKILL at random instants of a publication: of the program alone, or of the server with it.

import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("Publishing into a CernVM-FS repository, killed at random", .enabled(if: CernVMServer.isPossible))
struct CernVMKilledTests {
    let server: CernVMServer
    let converting: Converting
    /// How long a step of the server takes at least, in milliseconds, so that kills hit it.
    private static let stay = 60
    private static let spooling = "spooling"
    private static let steps = [spooling] + CernVMInterruptionTests.steps

    init() throws {
        server = try CernVMServer()
        converting = try Converting(server: server)
    }

    /// What takes a while to spool.
    private static let large = (0..<(8 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 9) }

    private static func image(_ name: String) -> TestImage {
        let layers = ["common", name].map { layer in
            TestImage.Layer(
                TarBuilder.archive { tar in
                    tar.file("name", layer)
                    tar.add("large", content: large)
                    for number in 0..<100 { tar.file("\(layer)/\(number)", "\(layer) \(number)") }
                })
        }
        return TestImage(layers)
    }

    /// What is visible is an image, whole.
    ///
    /// - Returns: its name.
    private func visible(_ when: String) throws -> String {
        var name = ""
        // A server that outlived its program mounts another revision, maybe just now.
        try waitUntil("\(when): what is visible is whole") {
            name = (try? wholeImage()) ?? ""
            return name != ""
        }
        return name
    }

    /// - Returns: the visible image's name; nil where it isn't whole.
    private func wholeImage() throws -> String? {
        let root = converting.path("localhost/layout:1")
        let name = try text(of: "\(root)/name")
        for layer in ["common", name] {
            guard try DirectoryEntry.names(in: "\(root)/\(layer)").count == 100,
                try text(of: "\(root)/\(layer)/99") == "\(layer) 99"
            else { return nil }
        }
        return name
    }

    @Test("nothing incomplete is visible, no transaction stays open, and the next run publishes and tells")
    func random() throws {
        let wanted = TestScale.count(1, long: 6)
        var hits: [String: Int] = [:]
        var generator = SplitMix(state: UInt64.random(in: 0 ... .max))
        try Self.image("image0").write(to: converting.layout, tag: "1")
        #expect(try converting.convert("oci:\(converting.layout):1").code == 0)
        var round = 0
        for step in Self.steps {
            for _ in 0..<wanted {
                round += 1
                let withServer = Bool.random(using: &generator)
                let delay = CInt.random(in: 0..<CInt(Self.stay), using: &generator)
                let when = "\(step), \(delay) ms into it, \(withServer ? "with the server" : "alone")"
                if try kill(in: step, after: delay, withServer, round) { hits[step, default: 0] += 1 }
                // A server that was killed between two mounts leaves the second one to the next run.
                if try !withServer || !DirectoryEntry.names(in: server.mounted).isEmpty {
                    let before = try visible(when)
                    #expect(["image\(round)", "image\(round - 1)"].contains(before), "\(when)")
                }
                let again = try converting.convert("oci:\(converting.layout):1")
                #expect(again.code == 0, "\(when): \(again.errors)")
                #expect(try visible("\(when), and run again") == "image\(round)", "\(when)")
                #expect(!server.isInTransaction, "\(when)")
                #expect(try converting.staged().isEmpty, "\(when)")
            }
        }
        #expect(try server.isWhole())
        // Where a server outlived its program, its note is there until another operation.
        #expect(try converting.convert("oci:\(converting.layout):1", "--convert-again").code == 0)
        let left = try DirectoryEntry.names(in: server.notes).filter { $0 != "untold" }
        #expect(left.isEmpty, "\(left)")
        // Each image was told of, also where the run was killed that published it.
        let told = try converting.events().filter { $0.action == .publishImage }.compactMap {
            $0[.configDigest]
        }
        #expect(Set(told).count == round + 1)
        print(
            "kills per step:",
            hits.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", "))
        for step in Self.steps {
            #expect(hits[step, default: 0] >= TestScale.count(1, long: 5), "\(step) was hardly ever hit")
        }
    }

    /// - Returns: whether the conversion was still at it when it was killed.
    private func kill(in step: String, after delay: CInt, _ withServer: Bool, _ round: Int) throws -> Bool {
        try Self.image("image\(round)").write(to: converting.layout, tag: "1")
        let reached = converting.directory.path("reached")
        unlink(reached)
        if step != Self.spooling {
            try server.setFault(
                step, "{\"once\": true, \"touch\": \"\(reached)\", \"delay\": \(Double(Self.stay) / 1000)}")
        }
        let running = try converting.start(
            ["convert-single-image", "oci:\(converting.layout):1", converting.repository])
        let end = try running.process.endDescriptor()
        var descriptor = pollfd(fd: end.raw, events: Int16(POLLIN), revents: 0)
        func hasBegun() throws -> Bool {
            step == Self.spooling ? try !converting.staged().isEmpty : Files.exists(reached)
        }
        while try !hasBegun(), poll(&descriptor, 1, 1) == 0 {}
        // The instant itself: wherever it is then.
        let isOver = poll(&descriptor, 1, step == Self.spooling ? delay / 20 : delay) != 0
        let group = try CernVMServer.processGroup(startedBy: running)
        if withServer, let group {
            // It opens no transaction any more while its flag is waited for.
            _ = Glibc.kill(-group, SIGSTOP)
            try server.waitUntilFlagIsNoted()
        }
        running.signal(SIGKILL)
        if withServer, let group { _ = Glibc.kill(-group, SIGKILL) }
        _ = try running.wait()
        return !isOver
    }
}
