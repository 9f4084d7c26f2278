// Reading a wish list: what must be there is an error where it is missing, what nobody knows is a warning, and a wish
// that can't be read fails alone.

import Images
import YAML

extension WishList {
    /// Reads a wish list.
    ///
    /// - Throws: `WishListError`: the file can't be read, or the list as a whole can't be used.
    package static func read(path: String) throws(WishListError) -> WishList {
        let bytes: [UInt8]
        do throws(YAMLError) {
            bytes = try TextFile.read(path: path)
        } catch { throw WishListError(error) }
        return try parse(bytes, file: path)
    }

    /// Reads a wish list that is in memory.
    ///
    /// - Parameter file: the name that errors and warnings give.
    /// - Throws: `WishListError`: the list as a whole can't be used.
    package static func parse(_ bytes: [UInt8], file: String) throws(WishListError) -> WishList {
        do throws(YAMLError) {
            var reader = WishListReader(file: file, root: try YAMLNode.parse(bytes, file: file))
            return try reader.list()
        } catch { throw WishListError(error) }
    }
}

private struct WishListReader {
    private static let known = ["version", "user", "cvmfs_repo", "output_format", "input", "ignoreErrors"]

    let file: String
    let root: YAMLNode
    private var warnings: [String] = []

    init(file: String, root: YAMLNode) {
        self.file = file
        self.root = root
    }

    mutating func list() throws(YAMLError) -> WishList {
        guard case .mapping(let entries, _) = root else {
            throw YAMLError(
                file: file, at: root.position,
                "a wish list is a mapping with the keys cvmfs_repo and input, this is \(root.kind)")
        }
        for entry in entries where !Self.known.contains(entry.key.text) {
            let hint = Suggestion.nearest(to: entry.key.text, in: Self.known)
            warn(
                at: entry.key.position,
                "the key \(quoted(entry.key.text)) is unknown"
                    + (hint.map { ", did you mean \($0)?" } ?? " and has no effect"))
        }
        try checkVersion()
        let repository = try self.repository()
        return WishList(
            version: 1, user: try user(), repository: repository, outputFormat: try outputFormat(),
            inputs: try inputs(), ignoreErrors: try ignoreErrors(), warnings: warnings)
    }

    private mutating func warn(at position: YAMLPosition, _ text: String) {
        warnings.append(YAMLError(file: file, at: position, text).description)
    }

    /// The value of a key; nil where it is absent or says nothing.
    private func value(_ key: String) -> YAMLNode? {
        guard let node = root.value(key), !node.isNull else { return nil }
        return node
    }

    private func required(_ key: String) throws(YAMLError) -> YAMLNode {
        if let node = value(key) { return node }
        if let node = root.value(key) {
            throw YAMLError(file: file, at: node.position, "the required key \(key) has no value")
        }
        if case .mapping(let entries, _) = root,
            let near = entries.first(where: {
                !Self.known.contains($0.key.text)
                    && Suggestion.nearest(to: $0.key.text, in: Self.known) == key
            })
        {
            throw YAMLError(
                file: file, at: near.key.position,
                "the required key \(key) is missing; did you mean it by \(quoted(near.key.text))?")
        }
        throw YAMLError(file: file, at: root.position, "the required key \(key) is missing")
    }

    private func text(_ key: String) throws(YAMLError) -> String? {
        guard let node = value(key) else { return nil }
        guard let text = node.text else {
            throw YAMLError(file: file, at: node.position, "\(key) must be text, this is \(node.kind)")
        }
        return text
    }

    private func checkVersion() throws(YAMLError) {
        guard let node = value("version") else { return }
        guard node.text == "1" else {
            throw YAMLError(
                file: file, at: node.position,
                "the version must be 1, this is \(node.text.map { quoted($0) } ?? node.kind)")
        }
    }

    private func repository() throws(YAMLError) -> String {
        let node = try required("cvmfs_repo")
        guard let name = node.text else {
            throw YAMLError(
                file: file, at: node.position,
                "cvmfs_repo must be the name of a repository, this is \(node.kind)")
        }
        let isPath = ["/", "./", "../", "file:"].contains { name.hasPrefix($0) }
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        guard !name.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7f }),
            isPath || parts.allSatisfy({ !["", ".", ".."].contains($0) })
        else {
            throw YAMLError(
                file: file, at: node.position,
                "cvmfs_repo \(quoted(name)) is neither REPOSITORY, REPOSITORY/DIRECTORY nor a directory's path"
            )
        }
        return name
    }

    private func user() throws(YAMLError) -> String? {
        guard let name = try text("user"), let node = value("user") else { return nil }
        guard !name.isEmpty, !name.contains(":") else {
            throw YAMLError(
                file: file, at: node.position, "user is \(quoted(name)): it takes a name without ':'")
        }
        return name
    }

    private func outputFormat() throws(YAMLError) -> OutputFormat {
        guard let text = try text("output_format"), let node = value("output_format") else {
            return .standard
        }
        do throws(OutputFormatError) {
            let format = try OutputFormat(text)
            // What variables make of it is seen with each image.
            guard text.contains("$(") || (try? ImageReference(parsing: text)) != nil else {
                throw OutputFormatError("\(quoted(text)) is no REGISTRY/REPOSITORY:TAG")
            }
            return format
        } catch { throw YAMLError(file: file, at: node.position, "output_format: \(error)") }
    }

    private func ignoreErrors() throws(YAMLError) -> IgnoreErrors {
        guard let node = value("ignoreErrors") else { return IgnoreErrors() }
        guard case .sequence(let elements, _) = node else {
            throw YAMLError(
                file: file, at: node.position, "ignoreErrors must be a list of patterns, this is \(node.kind)"
            )
        }
        var patterns: [String] = []
        for element in elements {
            guard let text = element.text else {
                throw YAMLError(
                    file: file, at: element.position,
                    "a pattern of ignoreErrors must be text, this is \(element.kind)")
            }
            patterns.append(text)
        }
        return IgnoreErrors(patterns)
    }

    private mutating func inputs() throws(YAMLError) -> [WishList.Input] {
        let node = try required("input")
        guard case .sequence(let elements, _) = node else {
            throw YAMLError(
                file: file, at: node.position,
                "input must be a list of images, each behind a hyphen; this is \(node.kind)")
        }
        if elements.isEmpty { warn(at: node.position, "input asks for no image") }
        var lines: [ImageReference: Int] = [:]
        var inputs: [WishList.Input] = []
        for element in elements {
            let input = input(element)
            if case .success(let reference) = input.reference {
                if let line = lines[reference.resolved] {
                    warn(at: element.position, "\(quoted(input.text)) is there twice, first in line \(line)")
                    continue
                }
                lines[reference.resolved] = input.line
            }
            inputs.append(input)
        }
        return inputs
    }

    private func input(_ node: YAMLNode) -> WishList.Input {
        let position = node.position
        func failure(_ text: String, _ problem: String) -> WishList.Input {
            let error = WishListError(YAMLError(file: file, at: position, problem))
            return WishList.Input(
                text: text, reference: .failure(error), line: position.line, column: position.column)
        }
        guard let text = node.text else {
            // `name: tag` with a space, and `name:` with nothing behind it, are mappings to YAML.
            if case .mapping(let entries, _) = node, entries.count == 1, let entry = entries.first {
                let key = entry.key.text
                if let tag = entry.value.text {
                    return failure(
                        "\(key): \(tag)",
                        "this wish is a mapping; write \(quoted("\(key):\(tag)")) without the space")
                }
                if entry.value.isNull {
                    return failure(
                        "\(key):", "this wish is a mapping; write a reference without a colon at its end")
                }
            }
            return failure(
                "", node.isNull ? "this wish is empty" : "a wish must be text, this one is \(node.kind)")
        }
        do throws(ReferenceError) {
            return WishList.Input(
                text: text, reference: .success(try ImageReference(parsing: text)), line: position.line,
                column: position.column)
        } catch {
            return failure(text, error.description)
        }
    }
}
