// The service manager's side of sd_notify: a real datagram socket.

import CLinux
import Glibc
import Platform

/// A socket such as systemd listens on.
package final class ServiceManager {
    package let address: String
    private let socket: OwnedDescriptor

    /// - Parameter address: a path, or `@` and a name.
    package init(_ address: String) throws {
        self.address = address
        socket = OwnedDescriptor(raw: Glibc.socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue), 0))
        var own = sockaddr_un()
        own.sun_family = sa_family_t(AF_UNIX)
        let name = address.utf8.map { $0 == UInt8(ascii: "@") ? 0 : $0 }
        withUnsafeMutableBytes(of: &own.sun_path) { $0.copyBytes(from: name) }
        let length = socklen_t(2 + name.count)
        let code = withUnsafePointer(to: &own) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(socket.raw, $0, length) }
        }
        guard code == 0 else { throw SystemError("bind", address) }
    }

    /// The next datagram, as text; nil where there is none.
    package func received() -> String? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = recv(socket.raw, &buffer, buffer.count, CInt(ducc_MSG_DONTWAIT_NOSIGNAL))
        return count < 0 ? nil : String(decoding: buffer[..<count], as: UTF8.self)
    }
}
