import Glibc
import Platform
import Support
import Testing

@Suite("An image with a hostile layer")
struct HostileImageTests {
    @Test("fails with one line, and leaves nothing behind", arguments: HostileArchive.all)
    func refused(archive: HostileArchive) throws {
        let directory = try TemporaryDirectory()
        try directory.write("canary", "sings")
        try directory.write("canary-directory/file", "sings")
        let before = try HostileLayerTests.canary(directory)
        let layout = directory.path("layout")
        try TestImage(archive.layers.map { TestImage.Layer($0) }).write(to: layout, tag: "1")
        let repository = directory.path("repository")
        let result = try run(
            Programs.ducc, ["convert-single-image", "oci:\(layout):1", repository],
            environment: ["DUCC_LOCK_FILE": directory.path("lock")])
        #expect(result.code == 1)
        let errors = result.errors.split(separator: "\n").filter { $0.contains("level=error") }
        #expect(errors.count == 1 && errors[0].contains(archive.message), "\(result.errors)")
        #expect(try HostileLayerTests.canary(directory) == before)
        // What a repository is made with may stay; of the image there is nothing.
        let left = try runSuccessfully(
            "find", [repository, "-mindepth", "1", "!", "-name", "repository-lock", "!", "-type", "d"])
        #expect(left.isEmpty, "\(left)")
        for name in [".ducc-staging", ".layers", ".flat", "localhost"] {
            #expect(try DirectoryEntry.names(in: "\(repository)/\(name)").isEmpty)
        }
    }
}
