// follow.yaml. Everything that is wrong is found in one reading, each mistake with its place, so that nobody mends a
// file mistake by mistake. An unknown key is a mistake: a misspelled `timeout` would be the default in silence.

import FoundationEssentials
import Following
import Glibc
import Notifications
import Platform
import YAML

/// A configuration that can't be used: one line a mistake, `FILE:LINE:COLUMN: TEXT`.
package struct ConfigurationError: Error, CustomStringConvertible, Sendable {
    /// All mistakes, in the file's order.
    package let mistakes: [String]
    package var description: String { mistakes.joined(separator: "\n") }
}

extension Configuration {
    /// Reads a configuration file; its relative paths are meant from its own directory.
    ///
    /// - Throws: `ConfigurationError`.
    package static func read(path: String) throws(ConfigurationError) -> Configuration {
        let bytes: [UInt8]
        do throws(YAMLError) { bytes = try TextFile.read(path: path) } catch {
            throw ConfigurationError(mistakes: [error.description])
        }
        let parent = Files.parentPath(of: path)
        let directory = realpath(parent, nil).map { resolved in
            defer { free(resolved) }
            return String(cString: resolved)
        }
        return try parse(bytes, file: path, directory: directory ?? parent)
    }

    /// Reads a configuration that is in memory.
    ///
    /// - Parameters:
    ///   - file: the name that mistakes give.
    ///   - directory: what relative paths are meant from, absolute.
    /// - Throws: `ConfigurationError`.
    package static func parse(
        _ bytes: [UInt8], file: String, directory: String
    ) throws(ConfigurationError) -> Configuration {
        let root: YAMLNode
        do throws(YAMLError) { root = try YAMLNode.parse(bytes, file: file) } catch {
            throw ConfigurationError(mistakes: [error.description])
        }
        var reader = ConfigurationReader(file: file, directory: directory)
        let configuration = reader.configuration(root)
        guard reader.mistakes.isEmpty, let configuration else {
            throw ConfigurationError(
                mistakes: reader.mistakes.sorted { ($0.line, $0.column) < ($1.line, $1.column) }.map(
                    \.description))
        }
        return configuration
    }
}

/// Reads the nodes of one file, and gathers what is wrong with them.
struct ConfigurationReader {
    let file: String
    let directory: String
    private(set) var mistakes: [YAMLError] = []

    init(file: String, directory: String) {
        self.file = file
        self.directory = directory
    }

    /// What later versions have.
    private static let laterKeys = ["metrics_file", "where", "webhook"]

    mutating func configuration(_ root: YAMLNode) -> Configuration? {
        guard isMapping(root, "a configuration", ConfigurationKey.all) else { return nil }
        if let node = value("version", of: root), node.text != "1" {
            wrong(node, "the version must be 1")
        }
        let stream = text("stream", of: root).map(absolute)
        let state = text("state", of: root).map(absolute)
        if stream == nil, root.value("stream") == nil { wrong(root, "the required key stream is missing") }
        if state == nil, root.value("state") == nil { wrong(root, "the required key state is missing") }
        var configuration = Configuration(stream: stream ?? "", state: state ?? "")
        configuration.rotated = list("rotated", of: root).map(absolute)
        configuration.rotateWait = seconds("rotate_wait", of: root) ?? configuration.rotateWait
        configuration.shutdownGrace = seconds("shutdown_grace", of: root) ?? configuration.shutdownGrace
        var defaults = HookConfiguration(name: "", target: .exec([]), directory: directory)
        if let node = value("defaults", of: root), isMapping(node, "defaults", ConfigurationKey.delivery) {
            readDelivery(node, &defaults)
        }
        guard let node = value("hooks", of: root) else {
            wrong(root.value("hooks") ?? root, "the required key hooks is missing: a list of hooks")
            return nil
        }
        guard case .sequence(let nodes, _) = node else {
            wrong(node, "hooks must be a list, this is \(node.kind)")
            return nil
        }
        for node in nodes {
            if let hook = hook(node, defaults) {
                if configuration.hooks.contains(where: { $0.name == hook.name }) {
                    wrong(node.value("name") ?? node, "there is another hook \(quoted(hook.name)) before")
                }
                configuration.hooks.append(hook)
            }
        }
        if nodes.isEmpty { wrong(node, "hooks is empty: there is nobody to tell") }
        return configuration
    }

    private mutating func hook(_ node: YAMLNode, _ defaults: HookConfiguration) -> HookConfiguration? {
        guard isMapping(node, "a hook", ConfigurationKey.hook) else { return nil }
        var hook = defaults
        guard let name = text("name", of: node) else {
            wrong(node, "the hook has no name")
            return nil
        }
        if !CursorFile.isValid(name: name) {
            wrong(node.value("name"), "a name has letters, digits, '.', '_' and '-', and no dot in front")
        }
        hook.name = name
        let exec = command("exec", of: node)
        let pipe = command("pipe", of: node)
        switch (exec, pipe) {
        case (let words?, nil): hook.target = .exec(words)
        case (nil, let words?): hook.target = .pipe(words)
        case (nil, nil):
            if node.value("exec") == nil, node.value("pipe") == nil {
                wrong(node, "the hook \(quoted(name)) needs one of exec and pipe")
            }
        case (_?, _?): wrong(node.value("pipe"), "the hook \(quoted(name)) has both exec and pipe")
        }
        for (key, field) in [("action", Field.action), ("image", .image), ("status", .status)] {
            let patterns = list(key, of: node)
            if key == "status" {
                for pattern in patterns where !["ok", "error"].contains(pattern) {
                    wrong(node.value(key), "status is ok or error, not \(quoted(pattern))")
                }
            }
            hook.filter.add(field, patterns)
        }
        for text in list("field", of: node) {
            if !hook.filter.add(text) {
                wrong(node.value("field"), "field takes NAME=PATTERN, not \(quoted(text))")
            }
        }
        if case .sequence(let words, _)? = node.value("exec") {
            for word in words {
                for mistake in Placeholder.mistakes(in: word.text ?? "", hook.filter) { wrong(word, mistake) }
            }
        }
        hook.from = word("from", of: node) ?? hook.from
        readDelivery(node, &hook)
        hook.concurrency =
            number("concurrency", of: node, ConfigurationKey.concurrencies) ?? hook.concurrency
        if case .pipe = hook.target, let node = node.value("concurrency") {
            wrong(node, "a pipe is one process: concurrency is for exec")
        }
        hook.orderBy = text("order_by", of: node)
        hook.user = text("user", of: node)
        if let text = text("cwd", of: node) { hook.directory = absolute(text) }
        hook.gaps = flag("gaps", of: node)
        hook.ownEvents = flag("own_events", of: node)
        hook.environment = environment(node)
        return hook
    }

    private mutating func readDelivery(_ node: YAMLNode, _ hook: inout HookConfiguration) {
        hook.timeout = seconds("timeout", of: node) ?? hook.timeout
        hook.killAfter = seconds("kill_after", of: node) ?? hook.killAfter
        hook.onExhausted = word("on_exhausted", of: node) ?? hook.onExhausted
        guard let retry = value("retry", of: node),
            isMapping(retry, "retry", ConfigurationKey.retry)
        else { return }
        hook.retry.attempts =
            number("attempts", of: retry, ConfigurationKey.attempts) ?? hook.retry.attempts
        if let delay = seconds("delay", of: retry) { hook.retry.delayMilliseconds = Int(delay * 1000) }
        if let delay = seconds("max_delay", of: retry) {
            hook.retry.longestDelayMilliseconds = Int(delay * 1000)
        }
    }

    private mutating func environment(_ node: YAMLNode) -> [String: String] {
        guard let node = value("env", of: node) else { return [:] }
        guard case .mapping(let entries, _) = node else {
            wrong(node, "env must be a mapping of variables, this is \(node.kind)")
            return [:]
        }
        var variables: [String: String] = [:]
        for entry in entries {
            let name = entry.key.text
            guard case .scalar(let value) = entry.value, !name.isEmpty, !name.contains("="),
                !(name + value.text).utf8.contains(0)
            else {
                wrong(entry.value, "env takes NAME: TEXT")
                continue
            }
            variables[name] = value.isNull ? "" : value.text
        }
        return variables
    }

    // MARK: Values

    private mutating func wrong(_ node: YAMLNode?, _ text: String) {
        mistakes.append(YAMLError(file: file, at: node?.position, text))
    }

    private mutating func isMapping(
        _ node: YAMLNode, _ what: String, _ known: [ConfigurationKey]
    ) -> Bool {
        let keys = known.map(\.name)
        guard case .mapping(let entries, _) = node else {
            wrong(node, "\(what) is a mapping, this is \(node.kind)")
            return false
        }
        for entry in entries where !keys.contains(entry.key.text) {
            let key = entry.key.text
            let text: String
            if Self.laterKeys.contains(key) {
                text = "\(key) is not yet there: it comes with a later version"
            } else if let near = Suggestion.nearest(to: key, in: keys) {
                text = "the key \(quoted(key)) is unknown, did you mean \(near)?"
            } else {
                text = "the key \(quoted(key)) is unknown; there are \(keys.joined(separator: ", "))"
            }
            mistakes.append(YAMLError(file: file, at: entry.key.position, text))
        }
        return true
    }

    /// The value of a key; nil where it is absent or says nothing.
    private func value(_ key: String, of node: YAMLNode) -> YAMLNode? {
        guard let value = node.value(key), !value.isNull else { return nil }
        return value
    }

    private mutating func text(_ key: String, of node: YAMLNode) -> String? {
        guard let found = node.value(key) else { return nil }
        guard let text = found.text, !text.isEmpty, !text.utf8.contains(0) else {
            wrong(found, "\(key) must be text, this is \(found.kind)")
            return nil
        }
        return text
    }

    /// A text, or a list of texts.
    private mutating func list(_ key: String, of node: YAMLNode) -> [String] {
        guard let found = value(key, of: node) else { return [] }
        if let text = found.text { return [text] }
        guard case .sequence(let nodes, _) = found else {
            wrong(found, "\(key) must be text or a list of texts, this is \(found.kind)")
            return []
        }
        return nodes.compactMap { element in
            if let text = element.text { return text }
            wrong(element, "\(key) must be a list of texts, this is \(element.kind)")
            return nil
        }
    }

    private mutating func command(_ key: String, of node: YAMLNode) -> [String]? {
        guard let found = node.value(key) else { return nil }
        guard case .sequence(let nodes, _) = found, !nodes.isEmpty else {
            wrong(found, "\(key) is a list: the program and its arguments; no shell looks at it")
            return nil
        }
        var words: [String] = []
        for element in nodes {
            guard case .scalar(let scalar) = element, !scalar.text.utf8.contains(0) else {
                wrong(element, "\(key) must be a list of texts, this is \(element.kind)")
                return nil
            }
            words.append(scalar.text)
        }
        if words[0].isEmpty {
            wrong(found, "\(key) names no program")
            return nil
        }
        // With its directory it is meant from the configuration's; without, it is looked for in PATH.
        if words[0].utf8.contains(UInt8(ascii: "/")) { words[0] = absolute(words[0]) }
        return words
    }

    private mutating func number(_ key: String, of node: YAMLNode, _ range: ClosedRange<Int>) -> Int? {
        guard let found = value(key, of: node) else { return nil }
        if case .scalar(let scalar) = found, let number = scalar.integer, range.contains(number) {
            return number
        }
        wrong(found, "\(key) takes a number from \(range.lowerBound) to \(range.upperBound)")
        return nil
    }

    private mutating func flag(_ key: String, of node: YAMLNode) -> Bool {
        guard let found = value(key, of: node) else { return false }
        if case .scalar(let scalar) = found, let value = scalar.boolean { return value }
        wrong(found, "\(key) is true or false")
        return false
    }

    private mutating func word<Word: RawRepresentable & CaseIterable>(
        _ key: String, of node: YAMLNode
    ) -> Word? where Word.RawValue == String {
        guard let found = value(key, of: node) else { return nil }
        if let word = found.text.flatMap({ Word(rawValue: $0) }) { return word }
        let words = Word.allCases.map(\.rawValue)
        let near = found.text.flatMap { Suggestion.nearest(to: $0, in: words) }
        wrong(
            found,
            "\(key) is \(words.joined(separator: " or "))" + (near.map { "; did you mean \($0)?" } ?? ""))
        return nil
    }

    /// `250ms`, `5s`, `5m`, `1h`, `1d`, or a number of seconds.
    private mutating func seconds(_ key: String, of node: YAMLNode) -> Double? {
        guard let found = value(key, of: node) else { return nil }
        let units: [(String, Double)] = [("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)]
        if let text = found.text {
            let unit = units.first { text.hasSuffix($0.0) }
            let digits = text.dropLast(unit?.0.utf8.count ?? 0)
            if let number = Double(digits), number >= 0, number * (unit?.1 ?? 1) <= 365 * 86_400 {
                return number * (unit?.1 ?? 1)
            }
        }
        wrong(found, "\(key) takes a time like 250ms, 5s, 5m or 1h")
        return nil
    }

    private func absolute(_ path: String) -> String { path.hasPrefix("/") ? path : "\(directory)/\(path)" }

    private func quoted(_ text: String) -> String { "'\(YAMLError.printable(text))'" }
}
