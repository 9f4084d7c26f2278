// `loop`: what it does at each turn, and how it ends.

import Glibc
import Notifications
import Platform
import Support
import Testing

@Suite("loop")
struct LoopTests {
    let converting: Converting
    let list: String

    init() throws {
        converting = try Converting()
        list = converting.directory.path("wishes.yaml")
    }

    /// Writes the list as an editor does, in one piece.
    private func wish(for images: [String]) throws {
        try converting.directory.write(
            "wishes.yaml",
            "version: 1\ncvmfs_repo: \(converting.repository)\ninput:\n"
                + images.map { "  - '\($0)'\n" }.joined())
    }

    private func image(_ name: String) throws -> String {
        try TestImage({ $0.file("name", name) }).write(to: converting.directory.path(name), tag: "1")
        return "oci:\(converting.directory.path(name)):1"
    }

    private func turns() -> Int {
        ((try? converting.actions()) ?? []).count { $0 == "end_iteration" }
    }

    /// What a file has; nil also at the moment in which a server mounts a revision in place of another.
    private func content(of name: String) -> String? { try? text(of: converting.path(name)) }

    /// Waits for a turn that began after now.
    private func waitForTurn() throws {
        let before = turns()
        try waitUntil("two turns") { turns() >= before + 2 }
    }

    @Test(
        "reads the list again at each turn, and keeps the last good one while it is broken",
        .onBothRepositories)
    func rereads() throws {
        let images = try ["one", "two", "three"].map(image)
        try wish(for: [images[0]])
        let running = try converting.start(["loop", list, "--interval", "0.05"])
        try waitUntil("the first image") { Files.exists(converting.path("localhost/one:1/name")) }
        try wish(for: Array(images[...1]))
        try waitUntil("the second image") { Files.exists(converting.path("localhost/two:1/name")) }

        try converting.directory.write("wishes.yaml", "input: [")
        try waitUntil("it is said") { running.errorsSoFar.contains("going on with the list as it was") }
        // An image that moves meanwhile is converted: the list is still the good one.
        try TestImage({ $0.file("name", "moved") }).write(to: converting.directory.path("two"), tag: "1")
        try waitUntil("the moved image") {
            content(of: "localhost/two:1/name") == "moved"
        }
        try waitForTurn()
        try wish(for: images)
        try waitUntil("the third image") { Files.exists(converting.path("localhost/three:1/name")) }
        running.signal(SIGTERM)
        let result = try running.wait()
        #expect(result.code == 143)
        let complaints = result.errors.split(separator: "\n").filter { $0.contains("level=error") }
        #expect(complaints.count == 2, "\(complaints)")
        #expect(complaints.allSatisfy { $0.contains("going on with") || $0.contains("interrupted") })
    }

    @Test(
        "tells of each turn, and of an image that needs no work only once", .onBothRepositories,
        arguments: [SIGINT, SIGTERM])
    func events(number: CInt) throws {
        try wish(for: [try image("one"), "oci:\(converting.directory.path("missing")):1"])
        let running = try converting.start(["loop", list, "--interval", "0.05"])
        try waitUntil("five turns") { turns() >= 5 }
        running.signal(number)
        let result = try running.wait()
        #expect(result.code == 128 + number)
        let events = try converting.events()
        #expect(events.first?.action == .startDUCC && events.last?.action == .endDUCC)
        #expect(events.count { $0.action == .skipImage } == 1)
        let starts = events.filter { $0.action == .startIteration }
        for start in starts {
            let end = try #require(events.first { $0.action == .endIteration && $0[.id] == start[.id] })
            #expect(start.repository == converting.repository && end.status == .error)
            #expect(end[.error] == "1 wish failed" || end[.error] == "interrupted")
        }
        #expect(Set(starts.compactMap { $0[.id] }).count == starts.count)
        #expect(result.output.split(separator: "\n").count { $0.hasPrefix("unchanged") } == 1)
        let verified = try run(Programs.follow, ["verify", converting.log])
        #expect(verified.code == 0, "\(verified.output)")
    }

    @Test("a repository that goes and comes back is converted into again")
    func repository() throws {
        let one = try image("one")
        try wish(for: [one])
        let running = try converting.start(["loop", list, "--interval", "0.05"])
        try waitUntil("the image") { Files.exists(converting.path("localhost/one:1/name")) }
        #expect(rename(converting.repository, converting.directory.path("away")) == 0)
        try converting.directory.write("repository", "no directory")
        try waitUntil("it is said") { running.errorsSoFar.contains("nothing is converted at this turn") }
        #expect(unlink(converting.repository) == 0)
        try waitUntil("the image again") { Files.exists(converting.path("localhost/one:1/name")) }
        running.signal(SIGTERM)
        #expect(try running.wait().code == 143)
    }

    @Test("an image of its own gets its turn beside a busy loop", .onBothRepositories)
    func fair() throws {
        try wish(for: [try image("busy")])
        // Publishes at each turn, without a pause.
        let running = try converting.start(["loop", list, "--interval", "0", "--convert-again"])
        try waitUntil("it is busy") { turns() >= 3 }
        let single = try image("single")
        for number in 0..<TestScale.count(2, long: 20) {
            try TestImage({ $0.file("name", "\(number)") })
                .write(to: converting.directory.path("single"), tag: "1")
            let before = turns()
            let result = try converting.convert(single)
            #expect(result.code == 0, "\(result.errors)")
            try waitUntil("it is visible") { content(of: "localhost/single:1/name") == "\(number)" }
            // Its own unpacking takes some turns of the loop's; waiting for ever would take all.
            let passed = turns() - before
            #expect(passed < 20, "\(passed) turns went by")
        }
        running.signal(SIGTERM)
        #expect(try running.wait().code == 143)
    }

    @Test("a list that can't be used at the start ends it, with the code that convert has")
    func start() throws {
        #expect(try converting.ducc("loop", list).code == 102)
        try converting.directory.write("wishes.yaml", "input: [")
        #expect(try converting.ducc("loop", list).code == 103)
        try wish(for: [])
        #expect(try converting.ducc("loop", list, "--interval", "-1").code == 2)
        #expect(try converting.ducc("loop", list, "--interval", "soon").code == 2)
        #expect(!Files.exists(converting.log))
    }
}
