// The oracle: umoci, a tool that we didn't write, unpacks the same OCI layout, and the two trees are compared.
//
// Where umoci (0.4.7) and the OCI image specification differ the specification wins: the image then says what may
// differ, and why.

import Glibc
import Platform
import Support
import Testing

/// An image that umoci and the built `cvmfs_ducc` unpack to the same tree.
struct OracleImage: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let layers: @Sendable () throws -> [TestImage.Layer]
    /// The layers as umoci can read them, where it can't read those that we can.
    var oracleLayers: (@Sendable () throws -> [TestImage.Layer])?
    /// What may differ: fields of paths. Each use says why.
    private(set) var exceptions: [String: Set<TreeComparison.Field>] = [:]

    init(_ name: String, layers: @escaping @Sendable () throws -> [TestImage.Layer]) {
        testDescription = name
        self.layers = layers
    }

    init(_ name: String, _ fills: (@Sendable (inout TarBuilder) -> Void)...) {
        self.init(name) { fills.map { TestImage.Layer(TarBuilder.archive($0)) } }
    }

    /// Directories that no layer names: umoci gives them the time of unpacking, the specification says nothing, and
    /// `conversion.md` the layer's creation time, so that an image is the same whenever it is unpacked.
    func implying(_ directories: String...) -> OracleImage {
        differing(directories.map { ($0, [.time]) })
    }

    /// A directory that an entry names, and in which later only names imply another: umoci leaves it the time of that,
    /// the specification says that an entry's attributes are those of what is extracted.
    func touching(_ directories: String...) -> OracleImage {
        differing(directories.map { ($0, [.time]) })
    }

    /// Something that may differ; whoever says so says why.
    func differing(_ exceptions: [(String, Set<TreeComparison.Field>)]) -> OracleImage {
        var image = self
        for (path, fields) in exceptions { image.exceptions[path, default: []].formUnion(fields) }
        return image
    }

    /// What umoci shall read instead.
    func readable(by layers: @escaping @Sendable () throws -> [TestImage.Layer]) -> OracleImage {
        var image = self
        image.oracleLayers = layers
        return image
    }
}

/// Both programs, as root or as nobody.
struct Oracle {
    let directory: TemporaryDirectory
    private let user: [String]
    private let ducc: String

    /// Whether umoci is there.
    static let isInstalled = (try? run("umoci", ["--version"]).code) == 0
    static let nobody: uid_t = 65534

    init(unprivileged: Bool) throws {
        directory = try TemporaryDirectory()
        guard unprivileged else {
            user = []
            ducc = Programs.ducc
            return
        }
        user = ["setpriv", "--reuid=\(Self.nobody)", "--regid=\(Self.nobody)", "--clear-groups"]
        // The checkout may lie where nobody else gets to.
        ducc = directory.path("cvmfs_ducc")
        try runSuccessfully("sh", ["-c", #"ln "$0" "$1" 2>/dev/null || cp "$0" "$1""#, Programs.ducc, ducc])
        guard chown(directory.path, Self.nobody, Self.nobody) == 0 else { throw SystemError("give away") }
    }

    /// Unpacks an image with both.
    ///
    /// - Parameter server: where ours goes to; nil: it goes to a directory. There what is made of it does not depend on
    ///   who does it: umoci is run by root.
    /// - Returns: where they differ.
    func differences(_ image: OracleImage, on server: CernVMServer? = nil) throws -> [String] {
        let layout = directory.path("layout")
        try TestImage(try image.layers()).write(to: layout, tag: "1")
        let repository = server?.name ?? directory.path("repository")
        let result = try start(
            user + [ducc, "convert-single-image", "oci:\(layout):1", repository],
            ["DUCC_LOCK_FILE": directory.path("lock"), "DUCC_TMP_DIR": directory.path].merging(
                server?.environment ?? [:]
            ) { $1 })
        guard result.code == 0 else { throw SupportError("cvmfs_ducc: \(result.errors)") }

        let readable = image.oracleLayers == nil ? layout : directory.path("readable")
        if let layers = image.oracleLayers { try TestImage(try layers()).write(to: readable, tag: "1") }
        let other = directory.path("umoci")
        let oracleUser = server == nil ? user : []
        let oracle = try start(
            oracleUser + ["umoci", "raw", "unpack"] + (oracleUser.isEmpty ? [] : ["--rootless"]) + [
                "--image", "\(readable):1", other,
            ], [:])
        guard oracle.code == 0 else { throw SupportError("umoci: \(oracle.errors)") }
        return TreeComparison.withoutEngineFiles(
            try TreeComparison.differences(
                "\(server?.mounted ?? repository)/localhost/layout:1/", other, inServer: server != nil
            ) { path, field in image.exceptions[path]?.contains(field) == true }
        ).filter { server == nil || $0 != "./.cvmfscatalog: only in the first" }
    }

    private func start(_ words: [String], _ environment: [String: String]) throws -> CommandResult {
        // umoci leaves the modes of directories that no layer names to the umask.
        let words = ["sh", "-c", #"umask 022; exec "$@""#, "sh"] + words
        return try run(words[0], Array(words.dropFirst()), environment: environment)
    }
}

@Suite("An image equals what umoci makes of it")
struct OracleTests {
    @Test(
        "as root", .enabled(if: geteuid() == 0, "only root can give files away"),
        .enabled(if: Oracle.isInstalled, "umoci is not installed"), arguments: OracleImage.all)
    func asRoot(image: OracleImage) throws {
        let differences = try Oracle(unprivileged: false).differences(image)
        #expect(differences.isEmpty, "\(differences.joined(separator: "\n"))")
    }

    @Test(
        "on a CernVM-FS repository, published by root or by its owner without privileges",
        .enabled(if: CernVMServer.isPossible), .enabled(if: Oracle.isInstalled, "umoci is not installed"),
        arguments: [false, true])
    func server(unprivileged: Bool) throws {
        let server = try CernVMServer(owner: unprivileged ? "nobody" : "root", real: CernVMServer.isReal)
        for image in OracleImage.all {
            let differences = try Oracle(unprivileged: unprivileged).differences(image, on: server)
            #expect(differences.isEmpty, "\(image.testDescription): \(differences.joined(separator: "\n"))")
        }
        #expect(try server.revision() == 1 + OracleImage.all.count)
        #expect(try server.chainedLinks() == 0 && server.isWhole())
    }

    @Test(
        "without privileges", .enabled(if: geteuid() == 0, "only root can become nobody"),
        .enabled(if: Oracle.isInstalled, "umoci is not installed"), arguments: OracleImage.all)
    func unprivileged(image: OracleImage) throws {
        let differences = try Oracle(unprivileged: true).differences(image)
        #expect(differences.isEmpty, "\(differences.joined(separator: "\n"))")
    }
}
