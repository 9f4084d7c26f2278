// docker-credential-NAME: a program that keeps credentials (docker-credential-helpers, "Development"). `get` reads the
// server's name from standard input and answers `{"ServerURL","Username","Secret"}`; the user name `<token>` says that
// the secret is an identity token.

import FoundationEssentials
import Glibc
import Images
import Platform

/// A credential helper.
package struct CredentialHelper {
    private let name: String
    private let file: String
    private let environment: [String: String]
    private let seconds: Double

    /// - Parameters:
    ///   - name: the part behind `docker-credential-`.
    ///   - file: the file that names it.
    ///   - seconds: how long it may take.
    /// - Throws: `SourceError` for a name that no helper has.
    package init(
        _ name: String, named file: String, _ environment: [String: String], seconds: Double = 30
    ) throws(SourceError) {
        guard
            name.utf8.allSatisfy({
                (0x30...0x39).contains($0) || (0x41...0x5a).contains($0) || (0x61...0x7a).contains($0)
                    || "._-".utf8.contains($0)
            })
        else {
            throw SourceError(
                "\(file) names the credential helper \(quoted(name)): that is no program's name")
        }
        self.name = name
        self.file = file
        self.environment = environment
        self.seconds = seconds
    }

    /// Asks for a server's credential.
    ///
    /// - Returns: nil where the helper has none.
    /// - Throws: `SourceError` where it fails, hangs or answers nonsense; `Interrupted`.
    package func get(_ server: String) throws -> Credential? {
        let program = "docker-credential-\(name)"
        let path = (environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":")
            .map { directory -> String in "\(directory)/\(program)" }.first { access($0, X_OK) == 0 }
        guard let path else {
            throw SourceError(
                "\(file) names the credential helper \(program), which is not in PATH: install it")
        }
        let (output, status) = try run(path, program, server)
        func failure(_ what: String) -> SourceError {
            SourceError(
                "the credential helper \(program) (named in \(file)) \(what) for \(server); "
                    + "try: echo \(server) | \(program) get")
        }
        let text = String(decoding: output, as: UTF8.self)
        if status != .exited(0) {
            // The words of credentials.ErrCredentialsNotFound, which every helper prints.
            if text.contains("credentials not found") { return nil }
            throw failure("failed (\(status))")
        }
        struct Answer: Decodable {
            let Username: String
            let Secret: String
        }
        guard let answer = try? JSONDecoder().decode(Answer.self, from: Data(output)), !answer.Secret.isEmpty,
            answer.Username == "<token>" || !answer.Username.isEmpty && !answer.Username.contains(":")
        else { throw failure("gave no answer that can be used") }
        return Credential(
            kind: answer.Username == "<token>"
                ? .identityToken(answer.Secret)
                : .password(user: answer.Username, password: answer.Secret), origin: program)
    }

    private func run(_ path: String, _ program: String, _ server: String) throws -> ([UInt8], ExitStatus) {
        let input = try Pipe()
        let output = try Pipe()
        let silence = try OwnedDescriptor(opening: "/dev/null", O_WRONLY)
        let process = try ChildProcess.start(
            path, ["get"], environment: environment.map { "\($0)=\($1)" }, input: input.reading.raw,
            output: output.writing.raw, errors: silence.raw)
        var ended = false
        defer {
            if !ended {
                process.signalGroup(SIGKILL)
                _ = process.wait()
            }
        }
        // A server's name fits into a pipe: nobody has to read it now. A helper that doesn't read it at all does no
        // harm either: this end of the pipe is still open.
        try Files.writeAll(Array("\(server)\n".utf8), to: input.writing.raw, path: program)
        input.writing.close()
        output.writing.close()
        let deadline = MonotonicClock.nanoseconds() + UInt64(seconds * 1e9)
        /// Waits until a descriptor is readable.
        func wait(for descriptor: CInt) throws {
            while true {
                try Interruption.check()
                let now = MonotonicClock.nanoseconds()
                guard now < deadline else {
                    throw SourceError(
                        "the credential helper \(program) (named in \(file)) gave no answer in \(seconds) s: "
                            + "does it wait for somebody to type a password?")
                }
                var waiting = [
                    pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
                    pollfd(fd: Interruption.descriptor, events: Int16(POLLIN), revents: 0),
                ]
                poll(&waiting, 2, CInt((deadline - now) / 1_000_000 + 1))
                if waiting[0].revents != 0 { return }
            }
        }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            try wait(for: output.reading.raw)
            let count = retrying { read(output.reading.raw, &buffer, buffer.count) }
            guard count > 0 else { break }
            bytes += buffer[..<count]
            guard bytes.count <= 1 << 20 else {
                throw SourceError("the credential helper \(program) (named in \(file)) answers without end")
            }
        }
        try wait(for: try process.endDescriptor().raw)
        ended = true
        return (bytes, process.wait())
    }
}

/// A pipe whose ends no other program inherits.
private struct Pipe {
    /// One end: closed once, at the latest when it goes.
    final class End {
        private(set) var raw: CInt
        init(_ raw: CInt) {
            self.raw = raw
            _ = fcntl(raw, F_SETFD, FD_CLOEXEC)
        }
        func close() {
            if raw >= 0 { _ = Glibc.close(raw) }
            raw = -1
        }
        deinit { close() }
    }
    let reading: End
    let writing: End

    init() throws(SystemError) {
        var ends: [CInt] = [0, 0]
        guard pipe(&ends) == 0 else { throw SystemError("make a pipe") }
        (reading, writing) = (End(ends[0]), End(ends[1]))
    }
}
