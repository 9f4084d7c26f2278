// This machine's programs in images, with the libraries that they need.

import Platform

extension TarBuilder {
    /// Adds a program of this machine's, with its libraries, where it has them.
    ///
    /// - Parameters:
    ///   - path: where it is here.
    ///   - name: where it is in the image; nil: at the same path.
    package mutating func program(
        _ path: String, as name: String? = nil, mode: Int = 0o755, pax: [(String, [UInt8])] = []
    ) throws {
        add(
            name ?? String(path.dropFirst()), content: try Files.read(path, limit: 64 << 20), mode: mode,
            pax: pax)
        // A static one has none: ldd fails for it.
        for word in try run("ldd", [path]).output.split(whereSeparator: \.isWhitespace)
        where word.hasPrefix("/") {
            add(
                String(word.dropFirst()), content: try Files.read(String(word), limit: 64 << 20), mode: 0o755)
        }
    }
}

/// A program that prints how it was started.
package enum ShowProgram {
    private static let source = #"""
        #include <stdio.h>
        extern char **environ;
        int main(int count, char **arguments) {
            printf("%d%c", count, 0);
            for (char **next = arguments; *next; next++) printf("%s%c", *next, 0);
            for (char **next = environ; *next; next++) printf("%s%c", *next, 0);
            return 0;
        }
        """#

    /// The program, static, so that it runs in any image.
    package static func binary() throws -> [UInt8] {
        let directory = try TemporaryDirectory()
        let source = try directory.write("show.c", source)
        try runSuccessfully("gcc", ["-static", "-O1", "-o", directory.path("show"), source])
        return try Files.read(directory.path("show"), limit: 16 << 20)
    }

    /// What it printed.
    package struct Report: Equatable, Sendable {
        package let arguments: [String]
        package var environment: [String: String]

        /// - Returns: nil where it is none.
        package init?(_ output: String) {
            let fields = output.split(separator: "\0", omittingEmptySubsequences: false).map(String.init)
            guard let count = fields.first.flatMap({ Int($0) }), fields.count > count + 1 else { return nil }
            arguments = Array(fields[1...count])
            environment = [:]
            for entry in fields[(count + 1)...].dropLast() {
                let parts = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                // Twice would be a difference too.
                let name = environment[String(parts[0])] == nil ? String(parts[0]) : "\(parts[0]) twice"
                environment[name] = parts.count > 1 ? String(parts[1]) : nil
            }
        }
    }
}
