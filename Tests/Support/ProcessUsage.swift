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

    /// How long it has kept a processor busy, in seconds.
    package func processorTime() throws -> Double {
        // The name in front may have anything in it.
        let words = try text(of: "/proc/\(process.identifier)/stat").split(separator: ")").last?
            .split(separator: " ")
        guard let words, words.count > 12, let user = Double(words[11]), let system = Double(words[12]) else {
            throw SupportError("the kernel doesn't tell a program's time")
        }
        return (user + system) / Double(sysconf(CInt(_SC_CLK_TCK)))
    }

    /// How many descriptors it has open.
    package func descriptorCount() throws -> Int {
        try DirectoryEntry.names(in: "/proc/\(process.identifier)/fd").count
    }
}
