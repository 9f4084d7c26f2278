import Images
import Testing
import Wishes

func read(_ text: String) throws(WishListError) -> WishList {
    try WishList.parse(Array(text.utf8), file: "wishes.yaml")
}

@Suite("Wish lists")
struct WishListTests {
    @Test("everything that version 1 knows")
    func complete() throws {
        let list = try read(
            """
            version: 1
            user: robot
            cvmfs_repo: unpacked.cern.ch/sub/directory
            output_format: '$(scheme)://$(registry)/thin/$(image)'
            input:
              - docker.io/library/alpine:3.20
              - 'https://registry.example:5000/a/b@sha256:\(String(repeating: "0", count: 64))'
              - "oci:/srv/images/tool:1"
              - docker.io/library/debian:1?.*
            ignoreErrors:
              - https://docker.io/*/*:*
            """)
        #expect(list.version == 1)
        #expect(list.user == "robot")
        #expect(list.repository == "unpacked.cern.ch/sub/directory")
        #expect(list.outputFormat.text == "$(scheme)://$(registry)/thin/$(image)")
        #expect(
            try list.inputs.map { try $0.reference.get().imageName } == [
                "docker.io/library/alpine:3.20", "registry.example:5000/a/b", "localhost/tool:1",
                "docker.io/library/debian:1?.*",
            ])
        #expect(list.inputs.map(\.line) == [6, 7, 8, 9])
        #expect(list.inputs.map(\.column) == [5, 5, 5, 5])
        #expect(list.ignoreErrors.globs.map(\.pattern) == ["https://docker.io/*/*:*"])
        #expect(list.warnings.isEmpty)
    }

    @Test("only the repository and the input are needed")
    func minimal() throws {
        let list = try read("cvmfs_repo: /srv/images\ninput: [host/a]")
        #expect(list.version == 1)
        #expect(list.user == nil)
        #expect(list.outputFormat == .standard)
        #expect(list.outputFormat.text == "$(scheme)://$(registry)/$(repository)_thin:$(tag)")
        #expect(list.inputs.count == 1)
        #expect(!list.ignores(try ImageReference(parsing: "host/a")))
    }

    @Test("a byte order mark and CRLF are fine, and so are keys without a value where none is needed")
    func editors() throws {
        let list = try read(
            "\u{feff}version:\r\nuser: ~\r\nignoreErrors:\r\ncvmfs_repo: a.b\r\ninput:\r\n- host/a:1\r\n")
        #expect(list.inputs.map(\.line) == [6])
        #expect(list.inputs.map(\.text) == ["host/a:1"])
        #expect(list.user == nil)
    }

    @Test(
        "repositories by name, by name and directory, and by path",
        arguments: ["unpacked.cern.ch", "a.b/c/d", "/srv/x", "./x", "../x", "file:/srv/x", "/cvmfs/a.b"])
    func repositories(name: String) throws {
        #expect(try read("cvmfs_repo: \(name)\ninput: []").repository == name)
    }

    @Test(
        "a list that can't be used is refused with file, line and column",
        arguments: [
            (
                "",
                "wishes.yaml:1:1: a wish list is a mapping with the keys cvmfs_repo and input, this is empty"
            ),
            (
                "just text",
                "wishes.yaml:1:1: a wish list is a mapping with the keys cvmfs_repo and input, this is text"
            ),
            (
                "- a",
                "wishes.yaml:1:1: a wish list is a mapping with the keys cvmfs_repo and input, this is a list"
            ),
            (
                "a: [",
                "wishes.yaml:2:1: not YAML: did not find expected node content, while parsing a flow node"
            ),
            ("input: [host/a]", "wishes.yaml:1:1: the required key cvmfs_repo is missing"),
            ("cvmfs_repo: a.b", "wishes.yaml:1:1: the required key input is missing"),
            (
                "cvmfs_repo: a.b\ninputs: [host/a]",
                "wishes.yaml:2:1: the required key input is missing; did you mean it by 'inputs'?"
            ),
            (
                "cvmfsRepo: a.b\ninput: []",
                "wishes.yaml:1:1: the required key cvmfs_repo is missing; did you mean it by 'cvmfsRepo'?"
            ),
            ("cvmfs_repo:\ninput: []", "wishes.yaml:1:12: the required key cvmfs_repo has no value"),
            ("cvmfs_repo: a.b\ninput:\n", "wishes.yaml:2:7: the required key input has no value"),
            (
                "cvmfs_repo: [a]\ninput: []",
                "wishes.yaml:1:13: cvmfs_repo must be the name of a repository, this is a list"
            ),
            (
                "cvmfs_repo: a/../b\ninput: []",
                "wishes.yaml:1:13: cvmfs_repo 'a/../b' is neither REPOSITORY, REPOSITORY/DIRECTORY nor a directory's path"
            ),
            (
                "cvmfs_repo: a/\ninput: []",
                "wishes.yaml:1:13: cvmfs_repo 'a/' is neither REPOSITORY, REPOSITORY/DIRECTORY nor a directory's path"
            ),
            (
                "cvmfs_repo: \"/a\\nb\"\ninput: []",
                "wishes.yaml:1:13: cvmfs_repo '/a\\u{a}b' is neither REPOSITORY, REPOSITORY/DIRECTORY nor a directory's path"
            ),
            (
                "version: 2\ncvmfs_repo: a.b\ninput: []",
                "wishes.yaml:1:10: the version must be 1, this is '2'"
            ),
            (
                "version: 1.0\ncvmfs_repo: a.b\ninput: []",
                "wishes.yaml:1:10: the version must be 1, this is '1.0'"
            ),
            (
                "version: [1]\ncvmfs_repo: a.b\ninput: []",
                "wishes.yaml:1:10: the version must be 1, this is a list"
            ),
            (
                "user: {a: b}\ncvmfs_repo: a.b\ninput: []",
                "wishes.yaml:1:7: user must be text, this is a mapping"
            ),
            (
                "cvmfs_repo: a.b\ninput: host/a",
                "wishes.yaml:2:8: input must be a list of images, each behind a hyphen; this is text"
            ),
            (
                "cvmfs_repo: a.b\ninput: {host/a: 1}",
                "wishes.yaml:2:8: input must be a list of images, each behind a hyphen; this is a mapping"
            ),
            (
                "cvmfs_repo: a.b\ninput: []\nignoreErrors: x",
                "wishes.yaml:3:15: ignoreErrors must be a list of patterns, this is text"
            ),
            (
                "cvmfs_repo: a.b\ninput: []\nignoreErrors: [[x]]",
                "wishes.yaml:3:16: a pattern of ignoreErrors must be text, this is a list"
            ),
            (
                "cvmfs_repo: a.b\ninput: []\nuser: 'a:b'",
                "wishes.yaml:3:7: user is 'a:b': it takes a name without ':'"
            ),
            (
                "cvmfs_repo: a.b\ninput: []\noutput_format: not a name",
                "wishes.yaml:3:16: output_format: 'not a name' is no REGISTRY/REPOSITORY:TAG"
            ),
            (
                "cvmfs_repo: a.b\ninput: []\noutput_format: $(tga)",
                "wishes.yaml:3:16: output_format: the variable '$(tga)' does not exist; did you mean $(tag)?"
            ),
            (
                "cvmfs_repo: a.b\ninput: []\ninput: []",
                "wishes.yaml:3:1: the key input is there twice, first in line 2"
            ),
            (
                "cvmfs_repo: a.b\n---\ninput: []",
                "wishes.yaml:2:1: a second document begins; only one is allowed"
            ),
        ])
    func refused(text: String, line: String) {
        let error = #expect(throws: WishListError.self) { try read(text) }
        #expect(error?.description == line)
        #expect(error?.kind == .invalid)
    }

    @Test("a file that isn't there is unreadable, not invalid")
    func unreadable() {
        let error = #expect(throws: WishListError.self) { try WishList.read(path: "/nonexistent/w.yaml") }
        #expect(error?.kind == .unreadable)
        #expect(error?.description == "/nonexistent/w.yaml: cannot be read: No such file or directory")
    }

    @Test(
        "an unknown key is a warning, with the word that was probably meant",
        arguments: [
            ("inptu", "the key 'inptu' is unknown, did you mean input?"),
            ("Input", "the key 'Input' is unknown, did you mean input?"),
            ("ignore_errors", "the key 'ignore_errors' is unknown, did you mean ignoreErrors?"),
            ("output-format", "the key 'output-format' is unknown, did you mean output_format?"),
            ("usr", "the key 'usr' is unknown, did you mean user?"),
            ("comment", "the key 'comment' is unknown and has no effect"),
            ("\"\\e[31m\"", "the key '\\u{1b}[31m' is unknown and has no effect"),
        ])
    func unknownKeys(key: String, warning: String) throws {
        let list = try read("cvmfs_repo: a.b\ninput: [host/a]\n\(key): x\n")
        #expect(list.warnings == ["wishes.yaml:3:1: \(warning)"])
        #expect(list.inputs.count == 1)
    }

    @Test("a wish that is there twice is warned of and done once")
    func twice() throws {
        let list = try read("cvmfs_repo: a.b\ninput:\n- host/a\n- host/b\n- https://host/a:latest\n")
        #expect(list.inputs.map(\.text) == ["host/a", "host/b"])
        #expect(list.warnings == ["wishes.yaml:5:3: 'https://host/a:latest' is there twice, first in line 3"])
    }

    @Test("an empty list of wishes is a warning")
    func empty() throws {
        #expect(
            try read("cvmfs_repo: a.b\ninput: []").warnings == ["wishes.yaml:2:8: input asks for no image"])
    }

    @Test(
        "a bad wish fails alone, with its line and column",
        arguments: [
            (
                "alpine:3",
                "wishes.yaml:4:3: bad image reference 'alpine:3': names no registry; write docker.io/library/alpine:3"
            ),
            (
                "\"host/A\"",
                "wishes.yaml:4:3: bad image reference 'host/A': the repository part 'A' has capital letters; repositories are lower-case, write a"
            ),
            ("\"\"", "wishes.yaml:4:3: bad image reference '': it is empty; write REGISTRY/REPOSITORY:TAG"),
            (
                "host/a:",
                "wishes.yaml:4:3: this wish is a mapping; write a reference without a colon at its end"
            ),
            ("host/a: 3", "wishes.yaml:4:3: this wish is a mapping; write 'host/a:3' without the space"),
            ("", "wishes.yaml:4:2: this wish is empty"),
            ("~", "wishes.yaml:4:3: this wish is empty"),
            ("[host/a]", "wishes.yaml:4:3: a wish must be text, this one is a list"),
            ("{a: b, c: d}", "wishes.yaml:4:3: a wish must be text, this one is a mapping"),
            (
                "../../etc/passwd",
                "wishes.yaml:4:3: bad image reference '../../etc/passwd': the registry '..' begins or ends with a dot or has two in a row"
            ),
        ])
    func badWish(text: String, line: String) throws {
        let list = try read("cvmfs_repo: a.b\ninput:\n- host/first\n- \(text)\n- host/last\n")
        #expect(list.inputs.count == 3)
        #expect(list.inputs[1].line == 4)
        guard case .failure(let error) = list.inputs[1].reference else {
            Issue.record("the wish was accepted")
            return
        }
        #expect(error.description == line)
        #expect(error.kind == .invalid)
        #expect(try list.inputs[0].reference.get().repository == "first")
        #expect(try list.inputs[2].reference.get().repository == "last")
    }

    @Test("aliases may be wishes")
    func aliases() throws {
        let list = try read("cvmfs_repo: &r a.b\ninput: [&i host/a, host/b]\nignoreErrors: [*i]")
        #expect(list.inputs.count == 2)
        #expect(list.ignoreErrors.globs.map(\.pattern) == ["host/a"])
    }
}
