// Reading typed fields of a JSON document, each error with the path of the field: `layers[3].digest`. What nobody asks
// for is never looked at, so a document costs what its size does, however it is nested.

struct DocumentReader {
    private let container: KeyedDecodingContainer<JSONKey>
    private let keys: [String]
    private let path: String
    private let what: String

    /// Reads a whole document, which must be an object.
    ///
    /// - Parameter body: makes the result out of the object.
    static func read<Content>(
        _ bytes: [UInt8], what: String,
        _ body: @escaping (DocumentReader) throws(ManifestError) -> Content
    ) throws(ManifestError) -> Content {
        do {
            return try JSONText.read(bytes, limit: ManifestDocument.largestSize) { decoder in
                guard
                    let object = try JSONText.ifOfKind({ try decoder.container(keyedBy: JSONKey.self) })
                else { throw JSONError("it is \(try JSONKind(from: decoder).text), not an object") }
                return try body(DocumentReader(object, path: "", what: what))
            }
        } catch let error as ManifestError {
            throw error
        } catch { throw ManifestError("the \(what) is not readable: \(error)") }
    }

    private init(_ container: KeyedDecodingContainer<JSONKey>, path: String, what: String) {
        self.container = container
        keys = container.allKeys.map(\.stringValue)
        self.path = path
        self.what = what
    }

    private func spelled(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    private func wrong(_ key: String, _ kind: String, expected: String) -> ManifestError {
        // Of the right kind and wrong all the same: a text that breaks JSON's rules, which only its reading shows.
        let problem = kind == expected ? "\(kind) that JSON doesn't allow" : "\(kind), not \(expected)"
        return ManifestError("the \(what)'s \(spelled(key)) is \(problem)")
    }

    private func missing(_ key: String) -> ManifestError {
        ManifestError("the \(what) has no \(spelled(key))")
    }

    /// Whether there is the key, in any letter case, `null` or not.
    func has(_ key: String) throws(ManifestError) -> Bool { try find(key) != nil }

    private func find(_ key: String) throws(ManifestError) -> JSONKey? {
        do throws(JSONError) {
            return try JSONText.find(key, in: keys).map(JSONKey.init(stringValue:))
        } catch { throw ManifestError("the \(what) is ambiguous: \(error)") }
    }

    /// The value of a key; nil where it is absent or null.
    private func field<Value>(
        _ key: String, expected: String, _ read: (JSONKey) throws -> Value
    ) throws(ManifestError) -> Value? {
        guard let found = try find(key), (try? container.decodeNil(forKey: found)) == false else {
            return nil
        }
        do {
            return try read(found)
        } catch {
            let kind = try? container.decode(JSONKind.self, forKey: found)
            throw wrong(key, kind?.text ?? expected, expected: expected)
        }
    }

    func string(_ key: String) throws(ManifestError) -> String? {
        try field(key, expected: "a string") { try container.decode(String.self, forKey: $0) }
    }

    func integer(_ key: String) throws(ManifestError) -> Int64? {
        try field(key, expected: "a whole number") { try container.decode(Int64.self, forKey: $0) }
    }

    func boolean(_ key: String) throws(ManifestError) -> Bool? {
        try field(key, expected: "true or false") { try container.decode(Bool.self, forKey: $0) }
    }

    /// An object in the document.
    func child(_ key: String) throws(ManifestError) -> DocumentReader? {
        let object = try field(key, expected: "an object") {
            try container.nestedContainer(keyedBy: JSONKey.self, forKey: $0)
        }
        return object.map { DocumentReader($0, path: spelled(key), what: what) }
    }

    /// Reads the elements of a list one after the other; nil where it is absent or null.
    private func elements<Value>(
        _ key: String, limit: Int, expected: String,
        _ read: (inout any UnkeyedDecodingContainer, _ place: String) throws -> Value
    ) throws(ManifestError) -> [Value]? {
        guard
            var list = try field(
                key, expected: "a list", { try container.nestedUnkeyedContainer(forKey: $0) })
        else { return nil }
        let count = list.count ?? 0
        guard count <= limit else {
            throw ManifestError(
                "the \(what)'s \(spelled(key)) has \(count) entries, more than \(limit) are not accepted")
        }
        var values: [Value] = []
        while !list.isAtEnd {
            let place = "\(key)[\(list.currentIndex)]"
            do {
                values.append(try read(&list, place))
            } catch {
                let kind = try? list.decode(JSONKind.self)
                throw wrong(place, kind?.text ?? "null", expected: expected)
            }
        }
        return values
    }

    /// The objects of a list; nil where it is absent or null.
    func list(_ key: String, limit: Int) throws(ManifestError) -> [DocumentReader]? {
        try elements(key, limit: limit, expected: "an object") { list, place in
            DocumentReader(
                try list.nestedContainer(keyedBy: JSONKey.self), path: spelled(place), what: what)
        }
    }

    /// The descriptors of a list; nil where it is absent or null.
    func descriptors(_ key: String, limit: Int) throws(ManifestError) -> [Descriptor]? {
        try list(key, limit: limit)?.map { reader throws(ManifestError) in try reader.descriptor() }
    }

    /// The strings of a list; none where it is absent or null.
    func strings(_ key: String, limit: Int) throws(ManifestError) -> [String] {
        try elements(key, limit: limit, expected: "a string") { list, _ in try list.decode(String.self) }
            ?? []
    }

    /// All members of this object, each a string, their keys as spelled.
    private func texts() throws(ManifestError) -> [String: String] {
        var texts: [String: String] = [:]
        for key in keys {
            do {
                texts[key] = try container.decode(String.self, forKey: JSONKey(stringValue: key))
            } catch {
                let kind = try? container.decode(JSONKind.self, forKey: JSONKey(stringValue: key))
                throw wrong(quoted(key), kind?.text ?? "null", expected: "a string")
            }
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
        return Descriptor(
            mediaType: try string("mediaType").map(MediaType.bare) ?? "",
            digest: try digest(digestText, at: "digest"), size: size, urls: try strings("urls", limit: 100),
            platform: try platform(), annotations: try child("annotations")?.texts() ?? [:])
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
