// What podman makes of an image's documents. It reads them into types (image-spec's Go structs, and Docker's): one text
// where it wants a list, and it lists no image any more, of any store. So an image that it can't read stays out of its
// store, and everybody else's images stay in.

import Images
import Platform
import Repository

/// Why podman can't have an image.
package struct PodmanProblem: Error, CustomStringConvertible {
    /// In one line.
    package let description: String
}

/// Looks whether podman can read an image.
enum PodmanReadable {
    /// What podman wants a member to be; null and absent are fine.
    private indirect enum Kind: Sendable {
        case text, flag, number, time
        case list(Kind)
        /// An object whose members are all of a kind.
        case map(Kind)
        case object([String: Kind])
    }

    private static let settings: Kind = .object([
        "User": .text, "ExposedPorts": .map(.object([:])), "Env": .list(.text), "Entrypoint": .list(.text),
        "Cmd": .list(.text), "Volumes": .map(.object([:])), "WorkingDir": .text, "Labels": .map(.text),
        "StopSignal": .text, "ArgsEscaped": .flag, "Hostname": .text, "Domainname": .text,
        "AttachStdin": .flag,
        "AttachStdout": .flag, "AttachStderr": .flag, "Tty": .flag, "OpenStdin": .flag, "StdinOnce": .flag,
        "Image": .text, "NetworkDisabled": .flag, "MacAddress": .text, "OnBuild": .list(.text),
        "StopTimeout": .number, "Shell": .list(.text), "Memory": .number, "MemorySwap": .number,
        "CpuShares": .number, "Cpuset": .text,
        "Healthcheck": .object([
            "Test": .list(.text), "Interval": .number, "Timeout": .number, "StartPeriod": .number,
            "Retries": .number,
        ]),
    ])
    private static let configuration: Kind = .object([
        "created": .time, "author": .text, "architecture": .text, "os": .text, "variant": .text,
        "os.version": .text, "os.features": .list(.text), "config": settings, "container_config": settings,
        "rootfs": .object(["type": .text, "diff_ids": .list(.text)]),
        "history": .list(
            .object([
                "created": .time, "created_by": .text, "author": .text, "comment": .text,
                "empty_layer": .flag,
            ])),
        "id": .text, "parent": .text, "comment": .text, "container": .text, "docker_version": .text,
        "Size": .number,
    ])
    private static let descriptor: Kind = .object([
        "mediaType": .text, "digest": .text, "size": .number, "urls": .list(.text),
        "annotations": .map(.text),
        "data": .text, "artifactType": .text,
        "platform": .object([
            "architecture": .text, "os": .text, "os.version": .text, "os.features": .list(.text),
            "variant": .text,
        ]),
    ])
    private static let manifest: Kind = .object([
        "schemaVersion": .number, "mediaType": .text, "artifactType": .text, "config": descriptor,
        "layers": .list(descriptor), "annotations": .map(.text), "subject": descriptor,
    ])

    /// - Throws: `PodmanProblem`.
    static func check(
        _ names: [String], configuration: [UInt8], manifest: [UInt8]
    ) throws(PodmanProblem) {
        try check(configuration, self.configuration, "configuration")
        try check(manifest, self.manifest, "manifest")
        for name in names where !PodmanName.isReadable(name) {
            throw PodmanProblem(description: "podman takes no image of the name \(name)")
        }
    }

    private static func check(_ bytes: [UInt8], _ kind: Kind, _ what: String) throws(PodmanProblem) {
        let value: JSONValue
        do { value = try JSONValue.read(bytes, limit: ManifestDocument.largestSize) } catch {
            throw PodmanProblem(description: "its \(what) is odd: \(error)")
        }
        if let path = misfit(value, kind) {
            throw PodmanProblem(description: "its \(what)'s \(path) is nothing that podman reads")
        }
    }

    /// Where a value is of another kind; nil where it isn't.
    private static func misfit(_ value: JSONValue, _ kind: Kind, at path: String = "text") -> String? {
        switch (kind, value) {
        case (_, .null), (.text, .string), (.flag, .boolean), (.number, .integer): return nil
        case (.time, .string(let text)): return PodmanTime.isReadable(text) ? nil : path
        case (.list(let kind), .array(let values)):
            return values.indices.lazy.compactMap { misfit(values[$0], kind, at: "\(path)[\($0)]") }.first
        case (.map(let kind), .object(let members)):
            return members.lazy.compactMap { misfit($1, kind, at: "\(path).\(quoted($0))") }.first
        case (.object(let kinds), .object(let members)):
            // Go takes a key in any letter case.
            let kinds = Dictionary(kinds.map { ($0.lowercased(), $1) }) { first, _ in first }
            return members.lazy.compactMap { key, value in
                kinds[key.lowercased()].flatMap { misfit(value, $0, at: quoted(key)) }
            }.first
        default: return path
        }
    }
}

/// Times as Go reads them, and writes them again (RFC 3339, years of four digits).
enum PodmanTime {
    /// Whether Go reads a text as a time, and writes it again.
    static func isReadable(_ text: String) -> Bool {
        guard
            text.wholeMatch(
                of:
                    /[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})/
            ) != nil,
            let time = Timestamp(rfc3339: text)
        else { return false }
        // From 0000-01-01 to 9999-12-31, in UTC and with any offset.
        return (-62_167_132_800..<253_402_214_400).contains(time.seconds)
    }
}

/// Names as podman takes them (distribution's reference grammar).
enum PodmanName {
    /// Whether podman can read a name; one that it can't makes it list none.
    static func isReadable(_ name: String) -> Bool {
        let match = name.wholeMatch(
            of:
                /((?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*(?::[0-9]+)?(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)+)(?::[\w][\w.-]{0,127}|@sha256:[0-9a-f]{64})/
        )
        return match.map { $0.1.utf8.count <= 255 } ?? false
    }
}
