// An HTTP/1.1 server that answers what a test tells it to, also what no good server would.

import CLinux
import Glibc
import Platform
import Synchronization

/// A server on a loopback port, for as long as this object lives.
package final class ScriptedServer: Sendable {
    /// What was asked.
    package struct Request: Sendable {
        package let method: String
        package let target: String
        package let headers: [String: String]
        package let content: [UInt8]
        package var body: String { String(decoding: content, as: UTF8.self) }
    }

    /// What is answered.
    package struct Answer: Sendable {
        package var status: Int
        package var headers: [(String, String)]
        package var body: [UInt8]
        /// The `Content-Length` where it shall not be the body's.
        package var length: Int?
        /// Whether the connection stays open behind the body, silent, until the client leaves.
        package var stalls = false
        /// What is sent instead of all of this, head included.
        package var raw: [UInt8]?
        /// What is sent behind it again and again, until the client leaves.
        package var refrain: [UInt8] = []

        package init(
            _ status: Int, _ headers: [(String, String)] = [], body: [UInt8] = [], length: Int? = nil
        ) {
            self.status = status
            self.headers = headers
            self.body = body
            self.length = length
        }

        /// Bytes that need not be an answer at all.
        package init(raw: String, refrain: String = "") {
            self.init(0)
            self.raw = Array(raw.utf8)
            self.refrain = Array(refrain.utf8)
        }

        /// No answer, on a connection that stays open.
        package static var silence: Answer {
            var answer = Answer(raw: "")
            answer.stalls = true
            return answer
        }
    }

    /// "127.0.0.1:PORT".
    package let host: String
    private let socket: CInt
    private let received = Mutex<[Request]>([])
    private let accepted = Atomic<Int>(0)
    private let thread = Mutex<RunningThread?>(nil)

    package init(_ answer: @escaping @Sendable (Request) -> Answer) throws {
        let descriptor = Glibc.socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw SystemError("make a socket") }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        socket = descriptor
        let port = try LoopbackPort.bind(descriptor)
        guard listen(descriptor, 64) == 0 else { throw SystemError("listen") }
        host = "127.0.0.1:\(port)"
        let started = try Threads.start { [weak self] in
            while true {
                let connection = accept(descriptor, nil, nil)
                guard connection >= 0 else { return }
                _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
                guard let self else {
                    close(connection)
                    return
                }
                self.accepted.add(1, ordering: .relaxed)
                // A connection that stalls holds up no other.
                try? Threads.start { self.serve(connection, answer) }.detach()
            }
        }
        thread.withLock { $0 = started }
    }

    deinit {
        // Wakes the thread that waits for a connection.
        shutdown(socket, CInt(SHUT_RDWR))
        thread.withLock { $0?.detach() }
        close(socket)
    }

    /// How many connections were made so far, whatever came of them.
    package var connections: Int { accepted.load(ordering: .relaxed) }

    /// Everything that was asked so far.
    package var requests: [Request] { received.withLock { $0 } }

    /// One request a connection: each answer says "Connection: close".
    private func serve(_ connection: CInt, _ answer: (Request) -> Answer) {
        defer { close(connection) }
        var head: [UInt8] = []
        var byte: UInt8 = 0
        while !head.suffix(4).elementsEqual("\r\n\r\n".utf8), head.count < 64 << 10 {
            guard read(connection, &byte, 1) == 1 else { return }
            head.append(byte)
        }
        let lines = String(decoding: head, as: UTF8.self).split(separator: "\r\n")
        let parts = lines.first?.split(separator: " ") ?? []
        guard parts.count == 3 else { return }
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            let pair = line.split(separator: ":", maxSplits: 1)
            if pair.count == 2 { headers[pair[0].lowercased()] = pair[1].drop { $0 == " " }.description }
        }
        var body: [UInt8] = []
        while body.count < min(Int(headers["content-length"] ?? "") ?? 0, 1 << 20) {
            guard read(connection, &byte, 1) == 1 else { return }
            body.append(byte)
        }
        let request = Request(
            method: String(parts[0]), target: String(parts[1]), headers: headers,
            content: body)
        received.withLock { $0.append(request) }
        let reply = answer(request)
        var text = "HTTP/1.1 \(reply.status) Scripted\r\nConnection: close\r\n"
        text += "Content-Length: \(reply.length ?? reply.body.count)\r\n"
        for (name, value) in reply.headers { text += "\(name): \(value)\r\n" }
        let bytes = Array((text + "\r\n").utf8) + (request.method == "HEAD" ? [] : reply.body)
        guard Self.send(reply.raw ?? bytes, to: connection) else { return }
        while !reply.refrain.isEmpty, Self.send(reply.refrain, to: connection) {}
        if reply.stalls {
            while read(connection, &byte, 1) > 0 {}
        }
    }

    /// - Returns: whether the client is still there.
    private static func send(_ bytes: [UInt8], to connection: CInt) -> Bool {
        bytes.withUnsafeBytes { bytes in
            var sent = 0
            while sent < bytes.count {
                let count = Glibc.send(
                    connection, bytes.baseAddress.map { $0 + sent }, bytes.count - sent, CInt(MSG_NOSIGNAL))
                guard count > 0 else { return false }
                sent += count
            }
            return true
        }
    }
}

/// Ports on the loopback address.
package enum LoopbackPort {
    /// Binds a socket to a port that is free.
    package static func bind(_ descriptor: CInt) throws -> Int {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        return try withUnsafeMutablePointer(to: &address) { pointer in
            try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                guard Glibc.bind(descriptor, raw, length) == 0, getsockname(descriptor, raw, &length) == 0
                else {
                    throw SystemError("bind a port")
                }
            }
            return Int(UInt16(bigEndian: pointer.pointee.sin_port))
        }
    }

    /// A port that is free now.
    package static func free() throws -> Int {
        let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw SystemError("make a socket") }
        defer { close(descriptor) }
        return try bind(descriptor)
    }
}
