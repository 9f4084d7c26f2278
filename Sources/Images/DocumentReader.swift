// Reading typed fields of a JSON document, each error with the path of the field: `layers[3].digest`.

struct DocumentReader {
    let value: JSONValue
    let path: String
    private let what: String

    /// Reads a whole document, which must be an object.
    init(_ bytes: [UInt8], what: String) throws(ManifestError) {
        do throws(JSONError) {
            value = try JSONValue.parse(bytes, limit: ManifestDocument.largestSize)
        } catch { throw ManifestError("the \(what) is not readable: \(error)") }
        guard case .object = value else {
            throw ManifestError("the \(what) is not readable: it is \(value.kind), not an object")
        }
        path = ""
        self.what = what
    }

    private init(_ value: JSONValue, path: String, what: String) {
        self.value = value
        self.path = path
        self.what = what
    }

    /// The value of a key; nil where it is absent or null.
    private func field(_ key: String) throws(ManifestError) -> JSONValue? {
        do throws(JSONError) {
            return try value.value(key)
        } catch { throw ManifestError("the \(what) is ambiguous: \(error)") }
    }

    private func spelled(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    private func wrong(_ key: String, _ value: JSONValue, expected: String) -> ManifestError {
        ManifestError("the \(what)'s \(spelled(key)) is \(value.kind), not \(expected)")
    }

    private func missing(_ key: String) -> ManifestError {
        ManifestError("the \(what) has no \(spelled(key))")
    }

    func string(_ key: String) throws(ManifestError) -> String? {
        guard let value = try field(key) else { return nil }
        guard case .string(let text) = value else { throw wrong(key, value, expected: "a string") }
        return text
    }

    func integer(_ key: String) throws(ManifestError) -> Int64? {
        guard let value = try field(key) else { return nil }
        guard case .integer(let number) = value else { throw wrong(key, value, expected: "a whole number") }
        return number
    }

    func boolean(_ key: String) throws(ManifestError) -> Bool? {
        guard let value = try field(key) else { return nil }
        guard case .boolean(let truth) = value else { throw wrong(key, value, expected: "true or false") }
        return truth
    }

    /// An object in the document.
    func child(_ key: String) throws(ManifestError) -> DocumentReader? {
        guard let value = try field(key) else { return nil }
        guard case .object = value else { throw wrong(key, value, expected: "an object") }
        return DocumentReader(value, path: spelled(key), what: what)
    }

    /// The values of a list; none where it is absent or null.
    private func values(_ key: String, limit: Int) throws(ManifestError) -> [JSONValue] {
        guard let value = try field(key) else { return [] }
        guard case .array(let elements) = value else { throw wrong(key, value, expected: "a list") }
        guard elements.count <= limit else {
            throw ManifestError(
                "the \(what)'s \(spelled(key)) has \(elements.count) entries, more than \(limit) are not accepted"
            )
        }
        return elements
    }

    /// The objects of a list.
    func list(_ key: String, limit: Int) throws(ManifestError) -> [DocumentReader] {
        var readers: [DocumentReader] = []
        for (index, element) in try values(key, limit: limit).enumerated() {
            guard case .object = element else {
                throw wrong("\(key)[\(index)]", element, expected: "an object")
            }
            readers.append(DocumentReader(element, path: "\(spelled(key))[\(index)]", what: what))
        }
        return readers
    }

    /// The descriptors of a list; nil where it is absent or null.
    func descriptors(_ key: String, limit: Int) throws(ManifestError) -> [Descriptor]? {
        guard try field(key) != nil else { return nil }
        return try list(key, limit: limit).map { reader throws(ManifestError) in try reader.descriptor() }
    }

    /// The strings of a list.
    func strings(_ key: String, limit: Int) throws(ManifestError) -> [String] {
        var texts: [String] = []
        for (index, element) in try values(key, limit: limit).enumerated() {
            guard case .string(let text) = element else {
                throw wrong("\(key)[\(index)]", element, expected: "a string")
            }
            texts.append(text)
        }
        return texts
    }

    /// A digest out of a text that stands at a key.
    func digest(_ text: String, at key: String) throws(ManifestError) -> Digest {
        do throws(DigestError) {
            return try Digest(text)
        } catch { throw ManifestError("the \(what)'s \(spelled(key)): \(error)") }
    }

    /// This object as a descriptor.
    func descriptor() throws(ManifestError) -> Descriptor {
        guard let digestText = try string("digest") else { throw missing("digest") }
        guard let size = try integer("size") else { throw missing("size") }
        guard (0...Descriptor.largestSize).contains(size) else {
            throw ManifestError("the \(what)'s \(spelled("size")) is \(size), which no content has")
        }
        var annotations: [String: String] = [:]
        if let child = try child("annotations"), case .object(let members) = child.value {
            for (key, value) in members {
                guard case .string(let text) = value else {
                    throw child.wrong(quoted(key), value, expected: "a string")
                }
                annotations[key] = text
            }
        }
        return Descriptor(
            mediaType: try string("mediaType").map(MediaType.bare) ?? "",
            digest: try digest(digestText, at: "digest"), size: size, urls: try strings("urls", limit: 100),
            platform: try platform(), annotations: annotations)
    }

    private func platform() throws(ManifestError) -> ImagePlatform? {
        guard let child = try child("platform") else { return nil }
        return try child.platformFields()
    }

    /// This object's `os`, `architecture` and `variant`; nil where neither of the first two is given.
    func platformFields() throws(ManifestError) -> ImagePlatform? {
        let system = try string("os") ?? ""
        let architecture = try string("architecture") ?? ""
        if system.isEmpty && architecture.isEmpty { return nil }
        guard
            let platform = ImagePlatform(
                operatingSystem: system, architecture: architecture, variant: try string("variant"))
        else {
            throw ManifestError(
                "the \(what)'s \(path.isEmpty ? "platform" : path) is none: \(quoted("\(system)/\(architecture)"))"
            )
        }
        return platform
    }
}
