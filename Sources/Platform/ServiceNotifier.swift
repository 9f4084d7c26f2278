// Telling the service manager how we are: systemd's notification protocol (sd_notify), which is one datagram with
// lines of NAME=VALUE, without its library.

import CLinux
import Glibc

/// The service manager that started this process and wants to hear from it.
public struct ServiceNotifier: Sendable {
    /// A path, or `@` and a name in the abstract namespace.
    private let address: String
    /// How often the manager wants `keepAlive` at least, in nanoseconds; nil where it doesn't watch this process.
    /// Half of it is a good pace.
    public let watchdogInterval: UInt64?

    /// - Parameters:
    ///   - environment: where `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` are looked for.
    ///   - process: who is to be watched.
    /// - Returns: nil where nobody wants to hear, which is the case for whatever systemd didn't start.
    public init?(
        environment: [String: String] = ProcessEnvironment.current, process: pid_t = getpid()
    ) {
        guard let address = environment["NOTIFY_SOCKET"], let first = address.utf8.first,
            // What else there is leads out of this machine (vsock:…) and is not for a service in a container's place.
            first == UInt8(ascii: "/") || first == UInt8(ascii: "@"), address.utf8.count > 1
        else { return nil }
        self.address = address
        // The variables are inherited: they may have been meant for whoever started us.
        let isOurs = environment["WATCHDOG_PID"].map { $0 == "\(process)" } ?? true
        let microseconds = environment["WATCHDOG_USEC"].flatMap { UInt64($0) } ?? 0
        let (nanoseconds, isTooMuch) = microseconds.multipliedReportingOverflow(by: 1000)
        watchdogInterval = isOurs && nanoseconds > 0 && !isTooMuch ? nanoseconds : nil
    }

    /// The service works. Also the end of `reloading`.
    ///
    /// - Throws: `SystemError`, as all of these: worth a line in the log, no reason to stop.
    public func ready(status: String? = nil) throws(SystemError) {
        try send("READY=1" + Self.line(status: status))
    }

    /// The configuration is being read again; `ready` is to follow, whatever comes of it.
    ///
    /// - Throws: `SystemError`.
    public func reloading(status: String? = nil) throws(SystemError) {
        let microseconds = MonotonicClock.nanoseconds() / 1000
        try send("RELOADING=1\nMONOTONIC_USEC=\(microseconds)" + Self.line(status: status))
    }

    /// The service is about to end.
    ///
    /// - Throws: `SystemError`.
    public func stopping(status: String? = nil) throws(SystemError) {
        try send("STOPPING=1" + Self.line(status: status))
    }

    /// A line for people: what the service is doing.
    ///
    /// - Throws: `SystemError`.
    public func status(_ text: String) throws(SystemError) { try send("STATUS=" + Self.flat(text)) }

    /// The service still lives: to be said from where the work is done, not from a thread that only says this.
    ///
    /// - Throws: `SystemError`.
    public func keepAlive() throws(SystemError) { try send("WATCHDOG=1") }

    private static func line(status: String?) -> String { status.map { "\nSTATUS=" + flat($0) } ?? "" }

    /// A line break would begin another message.
    private static func flat(_ text: String) -> String {
        String(decoding: text.utf8.map { $0 == 10 || $0 == 0 ? 32 : $0 }, as: UTF8.self)
    }

    private func send(_ message: String) throws(SystemError) {
        var target = sockaddr_un()
        target.sun_family = sa_family_t(AF_UNIX)
        var name = Array(address.utf8)
        // In the abstract namespace a name begins with NUL, and ends where the address's length says.
        let isAbstract = name[0] == UInt8(ascii: "@")
        name[0] = isAbstract ? 0 : name[0]
        guard name.count < MemoryLayout.size(ofValue: target.sun_path) else {
            throw SystemError("notify", address, code: ENAMETOOLONG)
        }
        withUnsafeMutableBytes(of: &target.sun_path) { $0.copyBytes(from: name) }
        let length = MemoryLayout.offset(of: \sockaddr_un.sun_path).map {
            $0 + name.count + (isAbstract ? 0 : 1)
        }

        let raw = socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard raw >= 0 else { throw SystemError("notify", address) }
        let descriptor = OwnedDescriptor(raw: raw)
        // A manager that is busy is waited for, since READY must arrive; one that stands still doesn't stop us.
        var patience = timeval(tv_sec: 5, tv_usec: 0)
        setsockopt(
            descriptor.raw, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        let bytes = Array(message.utf8)
        let sent = withUnsafePointer(to: &target) { target in
            target.withMemoryRebound(to: sockaddr.self, capacity: 1) { target in
                retrying {
                    sendto(
                        descriptor.raw, bytes, bytes.count, CInt(MSG_NOSIGNAL), target,
                        socklen_t(length ?? 0))
                }
            }
        }
        guard sent == bytes.count else { throw SystemError("notify", address) }
    }
}
