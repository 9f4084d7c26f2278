// What a running program has used, as the kernel tells it.

import Glibc
import Platform

extension RunningCommand {
    /// The most memory that it has had resident, in bytes.
    package func peakMemory() throws -> Int {
        let status = try text(of: "/proc/\(process.identifier)/status")
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        guard let kilobytes = line?.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else {
            throw SupportError("the kernel doesn't tell a program's memory")
        }
        return kilobytes << 10
    }

    /// How long its main thread has run, or waited for a processor to run on, in nanoseconds: how busy it would keep a
    /// processor of its own, whatever else the machine does.
    private func busyTime() throws -> UInt64 {
        let words = try text(of: "/proc/\(process.identifier)/schedstat").split(separator: " ")
        guard words.count > 1, let ran = UInt64(words[0]), let waited = UInt64(words[1]) else {
            throw SupportError("the kernel doesn't tell a program's time")
        }
        return ran + waited
    }

    /// Whether it sleeps most of the next fifth of a second. One that looks again and again never does.
    package func rests() throws -> Bool {
        let before = try busyTime()
        poll(nil, 0, 200)
        return try busyTime() - before < 100_000_000
    }

    /// How many descriptors it has open.
    package func descriptorCount() throws -> Int {
        try DirectoryEntry.names(in: "/proc/\(process.identifier)/fd").count
    }
}
