// Hard links on their way through a server, which resolves each once, in byte order of what it names: a group whose links
// name anything but its one real entry can be published or not, depending on how its names sort.

import Glibc
import Platform
import Support
import Testing

@Suite("Hard links in a CernVM-FS repository", .enabled(if: CernVMServer.isPossible))
struct CernVMLinkTests {
    let server: CernVMServer
    let converting: Converting

    init() throws {
        server = try CernVMServer()
        converting = try Converting(server: server)
    }

    /// Groups of names, each with its content; in an archive each link names one that came before.
    private struct Groups {
        var random: SplitMix
        /// What each name has.
        private(set) var contents: [String: String] = [:]

        init(seed: UInt64) { random = SplitMix(state: seed) }

        private mutating func name() -> String {
            let letters = Array("abmyz.-_ é")
            let parts = (0...Int.random(in: 0...2, using: &random)).map { depth in
                // Directories and files never have the same name.
                let name = String(
                    (0..<Int.random(in: 1...3, using: &random)).compactMap { _ in
                        letters.randomElement(using: &random)
                    })
                return "\(depth)\(name)x"
            }
            return (parts.dropLast() + ["f" + parts[parts.count - 1]]).joined(separator: "/")
        }

        private mutating func fresh() -> String {
            while true {
                let name = name()
                if contents[name] == nil { return name }
            }
        }

        /// A layer with groups of its own, and further names of files that are there.
        mutating func layer(_ number: Int) -> TestImage.Layer {
            var tar = TarBuilder()
            let lower = contents.keys.sorted()
            for size in [2, 3, 7, 50] {
                let text = "\(number) \(size)"
                var names = [fresh()]
                tar.file(names[0], text, mode: 0o640)
                contents[names[0]] = text
                for _ in 1..<size {
                    let link = fresh()
                    tar.hardLink(link, to: names.randomElement(using: &random) ?? names[0])
                    contents[link] = text
                    names.append(link)
                }
                // One of the group, maybe its first, becomes another file.
                if let replaced = names.randomElement(using: &random) {
                    tar.file(replaced, "replaced in \(text)")
                    contents[replaced] = "replaced in \(text)"
                }
            }
            for target in lower.shuffled(using: &random).prefix(10) {
                let link = fresh()
                tar.hardLink(link, to: target)
                contents[link] = contents[target]
            }
            return TestImage.Layer(tar.finished())
        }
    }

    private func check(_ contents: [String: String], _ when: String) throws {
        let root = converting.path("localhost/layout:1")
        for (name, content) in contents {
            let found = try? text(of: "\(root)/\(name)")
            #expect(found == content, "\(when): \(name)")
        }
    }

    @Test(
        "are whole in groups of 2 to 50, whatever their names, across layers and to files of earlier revisions"
    )
    func groups() throws {
        let rounds = TestScale.count(5, long: 40)
        for round in 0..<rounds {
            var groups = Groups(seed: UInt64(round))
            var layers: [TestImage.Layer] = []
            // Each image has the layers of the last one, which are links to an earlier revision then.
            for number in 0..<3 {
                layers.append(groups.layer(number))
                try TestImage(layers).write(to: converting.layout, tag: "1")
                let result = try converting.convert("oci:\(converting.layout):1")
                #expect(result.code == 0, "round \(round): \(result.errors)")
                try check(groups.contents, "round \(round), \(number + 1) layers")
            }
        }
        #expect(try server.revision() == 1 + 3 * rounds)
        #expect(try server.chainedLinks() == 0 && server.isWhole())
    }
}
