// What an image is called: where it comes from, and where it is published.
//
// Guarantee: a reference that parses publishes at `publicPath` and nowhere else. That path is relative, has no empty
// component, no `.` or `..`, no control character, and begins neither with a dot nor with `podmanStore`, so it never
// meets the parts of the repository that the layout keeps for itself. Every name in it fits a file system (255 bytes).

/// The name of one image, or of several where its tag holds wildcards.
///
/// `[SCHEME://]REGISTRY/REPOSITORY[:TAG][@DIGEST]`, `oci:PATH[:REF]` or `docker-archive:PATH[:REF]`.
package struct ImageReference: Hashable, Sendable, CustomStringConvertible {
    /// How a registry is spoken to.
    package enum Scheme: String, Hashable, Sendable {
        /// With TLS, the default.
        case https
        /// Without.
        case http
    }

    /// Where an image is read from.
    package enum Source: Hashable, Sendable {
        /// A registry; the host is as spelled, with its port where one was written.
        case registry(scheme: Scheme, host: String)
        /// A directory in the OCI image layout.
        case ociLayout(path: String)
        /// A file that `docker save` wrote.
        case dockerArchive(path: String)
    }

    /// Where the image is read from.
    package let source: Source
    /// The repository; of a layout or an archive the last part of its path.
    package let repository: String
    /// The tag (`REF` of a layout or an archive), or nil where none was written.
    package let tag: String?
    /// The digest, or nil where none was written.
    package let digest: Digest?
    /// The text that was parsed.
    let original: String

    init(source: Source, repository: String, tag: String?, digest: Digest?, original: String) {
        self.source = source
        self.repository = repository
        self.tag = tag
        self.digest = digest
        self.original = original
    }

    /// Two references are equal where they name the same image of the same source, however they were spelled.
    package static func == (left: ImageReference, right: ImageReference) -> Bool {
        left.source == right.source && left.repository == right.repository && left.tag == right.tag
            && left.digest == right.digest
    }

    /// Hashes what `==` compares.
    package func hash(into hasher: inout Hasher) {
        hasher.combine(source)
        hasher.combine(repository)
        hasher.combine(tag)
        hasher.combine(digest)
    }

    /// Whether the tag is a pattern, which stands for every tag of the repository that it matches.
    package var tagHasWildcard: Bool { tag.map(Glob.hasWildcard) ?? false }

    /// Whether a tag of the repository is meant: it is the tag, or matches the tag's wildcards.
    package func includes(tag candidate: String) -> Bool {
        guard let tag else { return false }
        return Glob(tag).matches(candidate)
    }

    /// The same image with another tag, as a wildcard is expanded.
    ///
    /// - Throws: `ReferenceError` where the tag is none, for instance because a registry's tag list says nonsense.
    package func replacing(tag: String) throws(ReferenceError) -> ImageReference {
        let text = spelled(tag: tag)
        if let problem = ReferenceGrammar.problem(inTag: tag, wildcards: false) {
            throw ReferenceError(text, problem)
        }
        let result = ImageReference(
            source: source, repository: repository, tag: tag, digest: digest, original: text)
        if let problem = result.lengthProblem { throw ReferenceError(text, problem) }
        return result
    }

    /// With the tag `latest` where there is neither tag nor digest. In a layout or an archive an absent `REF` means
    /// the only image in it, so those stay as they are.
    package var resolved: ImageReference {
        guard case .registry = source, tag == nil, digest == nil else { return self }
        return ImageReference(
            source: source, repository: repository, tag: "latest", digest: nil, original: original)
    }

    private func spelled(tag: String?) -> String {
        let prefix =
            switch source {
            case .registry(let scheme, let host): "\(scheme.rawValue)://\(host)/\(repository)"
            case .ociLayout(let path): "oci:\(path)"
            case .dockerArchive(let path): "docker-archive:\(path)"
            }
        return prefix + (tag.map { ":\($0)" } ?? "") + (digest.map { "@\($0)" } ?? "")
    }
}

extension ImageReference {
    /// The registry's host, with its port, as spelled; `localhost` of a layout or an archive.
    package var registry: String {
        guard case .registry(_, let host) = source else { return "localhost" }
        return host
    }

    /// `SCHEME://REGISTRY/REPOSITORY[:TAG][@DIGEST]` after resolving: `image_request` of the events. Of a layout or an
    /// archive it is the reference as given.
    package var normalised: String {
        guard case .registry = source else { return original }
        return spelled(tag: resolved.tag)
    }

    /// The same as `normalised`.
    package var description: String { normalised }

    /// `REGISTRY/REPOSITORY[:TAG]` after resolving: `image` of the events.
    package var imageName: String {
        "\(registry)/\(repository)\(publicTag.map { ":\($0)" } ?? "")"
    }

    /// Where the image's link is, relative to the repository's root: `<registry>/<repository>:<tag>`, or
    /// `<registry>/<repository>:sha256:<hex>` where there is only a digest.
    package var publicPath: String {
        "\(registry)/\(repository):\(publicTag ?? digest?.description ?? "latest")"
    }

    private var publicTag: String? { tag ?? (digest == nil ? "latest" : nil) }

    /// The host to ask: that of Docker Hub's registry for `docker.io` and `registry.hub.docker.com`.
    package var requestRegistry: String { isDockerHub ? "registry-1.docker.io" : registry }

    /// The repository to ask for: on Docker Hub a one-word name is in `library/`.
    package var requestRepository: String {
        isDockerHub && !repository.utf8.contains(UInt8(ascii: "/")) ? "library/\(repository)" : repository
    }

    /// Whether the registry is Docker Hub's, under either name.
    package var isDockerHub: Bool {
        guard case .registry(_, let host) = source else { return false }
        return ["docker.io", "registry.hub.docker.com"].contains(host.lowercased())
    }

    /// What is too long in the published path for a file system, or nil.
    var lengthProblem: String? {
        for component in publicPath.split(separator: "/") where component.utf8.count > 255 {
            return "its published name \(quoted(component)) has \(component.utf8.count) bytes, "
                + "a file name has at most 255"
        }
        return nil
    }
}
