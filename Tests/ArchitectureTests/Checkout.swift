// The files of the repository as the tests read them.

import FoundationEssentials

/// The repository that these tests were compiled from.
enum Checkout {
    /// Its path.
    static let root: String = {
        var parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        parts.removeLast(3)
        return parts.joined(separator: "/")
    }()

    /// A file's text.
    static func text(_ path: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(filePath: "\(root)/\(path)")), as: UTF8.self)
    }

    /// The names in a directory.
    static func names(_ path: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "\(root)/\(path)").sorted()
    }

    /// The Swift files beneath a directory, as paths from the root.
    static func swiftFiles(_ path: String) throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: "\(root)/\(path)")
            .filter { $0.hasSuffix(".swift") }.map { "\(path)/\($0)" }.sorted()
    }

    /// The directories in `Sources`.
    static func modules() throws -> [String] {
        try names("Sources").filter { !$0.hasPrefix(".") && !$0.contains(".") }
    }

    /// What each module of `Sources` imports.
    static func imports() throws -> [String: Set<String>] {
        var graph: [String: Set<String>] = [:]
        for module in try modules() {
            graph[module] = try swiftFiles("Sources/\(module)").reduce(into: []) { found, file in
                found.formUnion(importedModules(in: try text(file)))
            }
        }
        return graph
    }

    /// The modules that a source text imports, whatever stands before or behind `import` on its line.
    static func importedModules(in text: String) -> Set<String> {
        var found: Set<String> = []
        for line in text.split(whereSeparator: { $0.isNewline || $0 == ";" }) {
            let words = code(line).split(whereSeparator: \.isWhitespace).map(String.init)
            guard let position = words.firstIndex(of: "import"), position + 1 < words.count else { continue }
            let modifiers: Set = ["public", "package", "internal", "fileprivate", "private"]
            guard words[..<position].allSatisfy({ $0.hasPrefix("@") || modifiers.contains($0) }) else {
                continue
            }
            let kinds: Set = [
                "struct", "class", "enum", "protocol", "typealias", "func", "let", "var", "actor",
            ]
            let isKind = kinds.contains(words[position + 1]) && position + 2 < words.count
            let path = words[position + (isKind ? 2 : 1)]
            found.insert(String(path.prefix { $0 != "." }).replacing("`", with: ""))
        }
        return found
    }

    /// A line without its comment.
    static func code(_ line: Substring) -> Substring {
        guard let start = line.firstRange(of: "//")?.lowerBound else { return line }
        // `https://` in a string is no comment.
        return start > line.startIndex && line[line.index(before: start)] == ":" ? line : line[..<start]
    }

    /// What `Package.swift` declares with `module(…)`: each module and its dependencies in quotes.
    static func declaredModules() throws -> [String: Set<String>] {
        var graph: [String: Set<String>] = [:]
        for part in try text("Package.swift").components(separatedBy: " module(").dropFirst() {
            let names = part.prefix { $0 != ")" }.split(separator: "\"", omittingEmptySubsequences: false)
            guard names.count > 1, names[0].allSatisfy(\.isWhitespace) else { continue }
            graph[String(names[1])] = Set(
                names.enumerated().filter { $0.offset % 2 == 1 }.map { String($0.element) }
            )
            .subtracting([String(names[1])])
        }
        return graph
    }
}
