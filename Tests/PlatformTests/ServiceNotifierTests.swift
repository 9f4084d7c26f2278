// The service manager's side is a real datagram socket.

import CLinux
import Glibc
import Platform
import Support
import Testing

struct ServiceNotifierTests {
    @Test("each message is one datagram as systemd wants it", arguments: [false, true])
    func messages(isAbstract: Bool) throws {
        let directory = try TemporaryDirectory()
        let address = isAbstract ? "@ducc-test-\(RandomIdentifier.hex(8))" : directory.path("notify")
        let manager = try ServiceManager(address)
        let notifier = try #require(ServiceNotifier(environment: ["NOTIFY_SOCKET": address]))
        try notifier.ready()
        #expect(manager.received() == "READY=1")
        try notifier.ready(status: "3 hooks")
        #expect(manager.received() == "READY=1\nSTATUS=3 hooks")
        try notifier.status("two\nREADY=1 lines\0")
        #expect(manager.received() == "STATUS=two READY=1 lines ")
        try notifier.keepAlive()
        #expect(manager.received() == "WATCHDOG=1")
        try notifier.stopping(status: "bye")
        #expect(manager.received() == "STOPPING=1\nSTATUS=bye")

        let before = MonotonicClock.nanoseconds() / 1000
        try notifier.reloading()
        let parts = try #require(manager.received()).split(separator: "=").map(String.init)
        #expect(parts.dropLast() == ["RELOADING", "1\nMONOTONIC_USEC"])
        let time = try #require(UInt64(parts.last ?? ""))
        #expect(time >= before && time <= MonotonicClock.nanoseconds() / 1000)
        #expect(manager.received() == nil)
    }

    @Test(
        "who wasn't started by a manager has nobody to tell",
        arguments: [[:], ["NOTIFY_SOCKET": ""], ["NOTIFY_SOCKET": "/"], ["NOTIFY_SOCKET": "vsock:2:1"]])
    func nobody(environment: [String: String]) { #expect(ServiceNotifier(environment: environment) == nil) }

    @Test(
        "the watchdog counts where it is meant for this process",
        arguments: [
            ("60000000", "7", 60_000_000_000), ("60000000", nil, 60_000_000_000), ("60000000", "8", nil),
            ("0", "7", nil), ("-1", "7", nil), ("soon", "7", nil), (nil, "7", nil),
            ("18446744073709551615", nil, nil),
        ] as [(String?, String?, UInt64?)])
    func watchdog(microseconds: String?, process: String?, expected: UInt64?) throws {
        var environment = ["NOTIFY_SOCKET": "/run/notify"]
        environment["WATCHDOG_USEC"] = microseconds
        environment["WATCHDOG_PID"] = process
        let notifier = try #require(ServiceNotifier(environment: environment, process: 7))
        #expect(notifier.watchdogInterval == expected)
    }

    @Test("a manager that is gone is an error, and neither a signal nor a wait")
    func gone() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("notify")
        let missing = try #require(ServiceNotifier(environment: ["NOTIFY_SOCKET": path]))
        #expect(throws: SystemError("notify", path, code: ENOENT)) { try missing.ready() }
        do { _ = try ServiceManager(path) }
        #expect(throws: SystemError("notify", path, code: ECONNREFUSED)) { try missing.ready() }
        let long = "/" + String(repeating: "x", count: 120)
        let tooLong = try #require(ServiceNotifier(environment: ["NOTIFY_SOCKET": long]))
        #expect(throws: SystemError("notify", long, code: ENAMETOOLONG)) { try tooLong.ready() }
    }
}
