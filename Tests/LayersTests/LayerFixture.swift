import Archive
import Glibc
import Images
import Layers
import Platform
import Support

/// Unpacks archives into directories of its own, as an image's layers.
final class LayerFixture {
    let directory: TemporaryDirectory
    private(set) var layers: [(result: UnpackedLayer?, root: SharedDescriptor)] = []

    init() throws {
        FileCreationMask.clear()
        directory = try TemporaryDirectory()
    }

    /// The root of a layer.
    func path(_ layer: Int, _ name: String = "") -> String { directory.path("\(layer)/\(name)") }

    /// Unpacks an archive as the next layer.
    ///
    /// - Parameters:
    ///   - packed: the blob, where it isn't made here.
    ///   - delivered: the bytes that come instead of the ones the digest names.
    @discardableResult
    func unpack(
        _ archive: [UInt8], compression: Compression = .none, packed: [UInt8]? = nil,
        limits: LayerLimits = LayerLimits(),
        blob delivered: [UInt8]? = nil
    ) throws -> UnpackedLayer {
        let blob = try packed ?? compression.apply(archive)
        let file = try directory.write("blob-\(layers.count)", delivered ?? blob)
        guard let digest = Digest(sha256Hex: SHA256.hex(of: blob)) else { throw SupportError("no digest") }
        let descriptor = Descriptor(mediaType: MediaType.ociLayer, digest: digest, size: Int64(blob.count))
        let path = path(layers.count)
        try Files.makeDirectories(path)
        let root = SharedDescriptor(try OwnedDescriptor(opening: path, O_RDONLY | O_DIRECTORY))
        let stream = try VerifiedStream(try FileStream(path: file), descriptor)
        let result = try LayerUnpacker.unpack(
            stream, into: root, diffIdentifier: Digest(sha256Hex: SHA256.hex(of: archive)),
            created: timespec(tv_sec: 1_600_000_000, tv_nsec: 0), limits: limits)
        layers.append((result, root))
        return result
    }

    /// Unpacks what `fill` puts into an archive.
    @discardableResult
    func unpack(_ fill: (inout TarBuilder) -> Void) throws -> UnpackedLayer {
        try unpack(TarBuilder.archive(fill))
    }

    /// Reads the layers again as an image that has them finds them.
    func tree() throws -> FlatTree {
        try FlatTree(
            layers.map { try LayerTree(reading: $0.root, context: $0.result?.context ?? LayerContext()) })
    }

    /// The merged tree's entries as "path" or "path/" for directories, each with the layer it comes from, and where it
    /// is another, the path in the layer; sorted.
    func merged() throws -> [String] {
        let tree = try tree()
        try tree.checkLinks()
        var found: [String] = []
        try tree.walk { step, path, origin in
            let other = strcmp(path, origin.path) == 0 ? "" : " \(String(cString: origin.path))"
            switch step {
            case .enter: found.append("\(String(cString: path))/ \(origin.layer)\(other)")
            case .entry: found.append("\(String(cString: path)) \(origin.layer)\(other)")
            case .leave: break
            }
        }
        return found.sorted()
    }
}

/// What is at a path, links not followed; nil where there is nothing.
func information(_ path: String) -> stat? {
    var information = stat()
    return lstat(path, &information) == 0 ? information : nil
}
