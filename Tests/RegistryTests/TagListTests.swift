// The tags of a repository: all pages, whatever the registry thinks a page is.

import Images
import Platform
import Registry
import Support
import Testing

@Suite("A registry's tags")
struct TagListTests {
    private func expand(_ name: String) throws -> [String] {
        try RegistryClient(agent: "test").expand(try ImageReference(parsing: name)).map(\.normalised)
    }

    /// A registry that gives its tags in pages of two.
    private static func paging(_ tags: [String], link: @escaping @Sendable (Int) -> String) throws
        -> ScriptedServer
    {
        try ScriptedServer { request in
            let query = request.target.split(separator: "?").last ?? ""
            let start = query.hasPrefix("last=") ? Int(query.dropFirst(5)) ?? 0 : 0
            let page = tags.dropFirst(start).prefix(2).map { "\"\($0)\"" }.joined(separator: ",")
            let more = start + 2 < tags.count ? [("Link", link(start + 2))] : []
            return .init(200, more, body: Array("{\"name\":\"a/b\",\"tags\":[\(page)]}".utf8))
        }
    }

    @Test(
        "all pages are read, however the next one is named",
        arguments: [
            "</v2/a/b/tags/list?last=N>; rel=\"next\"",
            "<https://elsewhere.example.org/v2/a/b/tags/list?last=N>; rel=next",
            "</first>; rel=\"first\", <?last=N>;  rel=\"next\"",
        ])
    func pages(link: String) throws {
        let tags = ["1.0", "latest", "1.1", "x", "1x2", "1.2.3", "-bad-", "1.10"]
        let server = try Self.paging(tags) { link.replacing("N", with: "\($0)") }
        #expect(
            try expand("http://\(server.host)/a/b:1.*")
                == ["1.0", "1.1", "1.2.3", "1.10"].map { "http://\(server.host)/a/b:\($0)" })
        #expect(server.requests.count == 4)
        #expect(server.requests[0].target == "/v2/a/b/tags/list?n=1000")
        #expect(
            try expand("http://\(server.host)/a/b:[0-9].?")
                == ["1.0", "1.1"].map { "http://\(server.host)/a/b:\($0)" })
        #expect(try expand("http://\(server.host)/a/b:2*") == [])
    }

    @Test("a list without end is refused, one that can't be read too, in one line")
    func endless() throws {
        let server = try Self.paging(["a", "b", "c", "d"]) { _ in "</v2/a/b/tags/list?last=0>; rel=\"next\"" }
        for (server, text) in [
            (server, "without end"),
            (try ScriptedServer { _ in .init(200, body: Array("<html>".utf8)) }, "can be read"),
            (try ScriptedServer { _ in .init(404) }, "no repository a/b"),
        ] {
            let error = #expect(throws: SourceError.self) { try expand("http://\(server.host)/a/b:*") }
            #expect(error?.description.contains(text) == true, "\(error?.description ?? "")")
        }
    }

    @Test("a repository without tags has none, and a name without wildcard asks nobody")
    func none() throws {
        let server = try ScriptedServer { _ in .init(200, body: Array(#"{"name":"a","tags":null}"#.utf8)) }
        #expect(try expand("http://\(server.host)/a:*") == [])
        #expect(try expand("http://\(server.host)/a:1") == ["http://\(server.host)/a:1"])
        #expect(server.requests.count == 1)
    }

    @Test("a real registry's tags are one wish each, and a wish list with a pattern converts all of them")
    func real() throws {
        let directory = try TemporaryDirectory()
        let registry = try DockerRegistry()
        let layout = directory.path("layout")
        try RegistryTests.image.write(to: layout, tag: "1")
        for tag in ["3.11", "3.12", "3.x", "2.7", "3a11"] {
            try registry.push(layout, tag: "1", as: "python:\(tag)")
        }
        let list = try directory.write(
            "wishes.yaml",
            """
            version: 1
            cvmfs_repo: \(directory.path("repository"))
            input:
              - 'http://\(registry.host)/python:3.*'
              - 'http://\(registry.host)/python:4*'
            """)
        let result = try run(
            Programs.ducc, ["convert", list], environment: ["DUCC_LOCK_FILE": directory.path("lock")])
        #expect(result.code == 0 && result.errors.contains("python:4*: no tag matches"), "\(result.errors)")
        #expect(
            try DirectoryEntry.names(in: directory.path("repository/\(registry.host)")).sorted()
                == ["python:3.11", "python:3.12", "python:3.x"])
        let missing = try run(
            Programs.ducc,
            [
                "convert-single-image", "http://\(registry.host)/none:*", directory.path("repository"), "-n",
                directory.path("n.log"),
            ],
            environment: ["DUCC_LOCK_FILE": directory.path("lock")])
        #expect(missing.code == 1)
        #expect(try text(of: directory.path("n.log")).contains("\"action\":\"end_image_conversion\""))
    }
}
