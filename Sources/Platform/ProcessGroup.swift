import Glibc

/// Processes that were started together.
public enum ProcessGroup {
    /// Whether a process of the group still runs: one that has ended, and that nobody has waited for, doesn't.
    public static func isAlive(_ group: pid_t) -> Bool {
        guard kill(-group, 0) == 0 || errno == EPERM else { return false }
        let processes = (try? DirectoryEntry.names(in: "/proc")) ?? []
        return processes.contains { name in
            guard name.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                let bytes = try? Files.read("/proc/\(name)/stat", limit: 4096)
            else { return false }
            // `PID (NAME) STATE PARENT GROUP …`; a name may hold anything (proc_pid_stat(5)).
            let fields =
                String(decoding: bytes, as: UTF8.self).split(separator: ")").last?
                .split(separator: " ") ?? []
            return fields.count > 2 && pid_t(fields[2]) == group && fields[0] != "Z"
        }
    }
}
