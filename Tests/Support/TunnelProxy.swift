// A proxy that knows CONNECT alone (RFC 9110, section 9.3.6): what `https_proxy` names.

import Glibc
import Platform

/// A proxy on a loopback port, for as long as this object lives.
package final class TunnelProxy: Sendable {
    private let directory: TemporaryDirectory
    private let process: ChildProcess
    /// "127.0.0.1:PORT".
    package let host: String

    package init() throws {
        directory = try TemporaryDirectory()
        let script = try directory.write("proxy.py", Self.script)
        let port = directory.path("port")
        let log = try OwnedDescriptor(opening: directory.path("errors"), O_WRONLY | O_CREAT, mode: 0o600)
        process = try ChildProcess.start(
            "python3", [script, port, directory.path("heads")], output: log.raw, errors: log.raw)
        do {
            try waitUntil("the proxy has a port") { Files.exists(port) }
            host = "127.0.0.1:\(try text(of: port))"
        } catch {
            process.signalGroup(SIGKILL)
            _ = process.wait()
            throw error
        }
    }

    deinit {
        process.signalGroup(SIGKILL)
        _ = process.wait()
    }

    /// The heads of all requests so far, each with its lines.
    package func requests() throws -> [[Substring]] {
        guard Files.exists(directory.path("heads")) else { return [] }
        return try text(of: directory.path("heads")).split(separator: "\r\n\r\n").map {
            $0.split(separator: "\r\n")
        }
    }

    private static let script = #"""
        import os, socket, sys, threading
        port, heads = sys.argv[1:3]
        def copy(source, target):
            try:
                while data := source.recv(65536): target.sendall(data)
            except OSError: pass
            finally:
                try: target.shutdown(socket.SHUT_WR)
                except OSError: pass
        def serve(client):
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                byte = client.recv(1)
                if not byte: return
                head += byte
            with open(heads, "ab") as log: log.write(head)
            method, target, _ = head.split(b" ", 2)
            if method != b"CONNECT":
                return client.sendall(b"HTTP/1.1 405 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            name, _, number = target.decode().rpartition(":")
            server = socket.create_connection((name, int(number)))
            client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            threading.Thread(target=copy, args=(server, client), daemon=True).start()
            copy(client, server)
        listening = socket.create_server(("127.0.0.1", 0))
        with open(port + ".new", "w") as file: file.write(str(listening.getsockname()[1]))
        os.rename(port + ".new", port)
        while True: threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()
        """#
}
