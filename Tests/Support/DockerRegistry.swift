// Debian's real docker-registry, on a port of its own, with its access log: what a request cost is read there.

import Glibc
import Platform

/// A registry that runs as long as this object lives.
package final class DockerRegistry: Sendable {
    private let directory: TemporaryDirectory
    private let process: ChildProcess
    /// "127.0.0.1:PORT".
    package let host: String

    package init() throws {
        directory = try TemporaryDirectory()
        var started: (ChildProcess, String)?
        // A port that was free a moment ago may be taken now: then try another.
        for _ in 0..<10 where started == nil { started = try Self.start(in: directory) }
        guard let started else { throw SupportError("docker-registry does not start; see its log") }
        (process, host) = started
    }

    deinit {
        process.signalGroup(SIGKILL)
        _ = process.wait()
    }

    /// Copies an image from a layout into the registry.
    package func push(_ layout: String, tag: String, as name: String) throws {
        try runSuccessfully(
            "skopeo",
            [
                "copy", "--quiet", "--dest-tls-verify=false", "--preserve-digests", "oci:\(layout):\(tag)",
                "docker://\(host)/\(name)",
            ])
    }

    /// The requests so far, one line each: "GET /v2/… 200".
    package func requests() throws -> [String] {
        try text(of: directory.path("log")).split(separator: "\n").compactMap { line in
            // Apache's combined form: … "GET /v2/ HTTP/1.1" 200 …
            let parts = line.split(separator: "\"", omittingEmptySubsequences: false)
            guard parts.count > 2, parts[1].hasSuffix(" HTTP/1.1") || parts[1].hasSuffix(" HTTP/2.0") else {
                return nil
            }
            let status = parts[2].split(separator: " ").first ?? ""
            return parts[1].split(separator: " ").prefix(2).joined(separator: " ") + " " + status
        }
    }

    /// The requests that `body` causes.
    package func requests(during body: () throws -> Void) throws -> [String] {
        let before = try requests().count
        try body()
        return Array(try requests().dropFirst(before))
    }

    private static func start(in directory: TemporaryDirectory) throws -> (ChildProcess, String)? {
        let host = "127.0.0.1:\(try LoopbackPort.free())"
        let configuration = try directory.write(
            "config.yml",
            """
            version: 0.1
            log: {accesslog: {disabled: false}, level: warn}
            storage: {filesystem: {rootdirectory: \(directory.path("data"))}, delete: {enabled: true}}
            http: {addr: "\(host)", secret: test}
            """)
        let log = try OwnedDescriptor(
            opening: directory.path("log"), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, mode: 0o600)
        let process = try ChildProcess.start(
            "docker-registry", ["serve", configuration], output: log.raw, errors: log.raw)
        let end = try process.endDescriptor()
        for _ in 0..<2000 {
            var descriptor = pollfd(fd: end.raw, events: Int16(POLLIN), revents: 0)
            if poll(&descriptor, 1, 5) == 1 { break }
            if answers(host) { return (process, host) }
        }
        process.signalGroup(SIGKILL)
        _ = process.wait()
        return nil
    }

    private static func answers(_ host: String) -> Bool {
        (try? run("curl", ["-fsS", "-o", "/dev/null", "http://\(host)/v2/"]))?.code == 0
    }
}
