// How many descriptors this process may have open. The usual limit of 1,024 is for programs that use select(2), which we
// are not, but whatever we start may be.

import Glibc
import Synchronization

/// The limit on open descriptors.
public enum DescriptorLimit {
    /// What it was before it was raised; 0: it was not.
    private static let before = Atomic<UInt64>(0)
    /// What a program that is started gets; 0: what this process has.
    static var original: UInt64 { before.load(ordering: .relaxed) }
    private static let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)

    /// Raises it as far as this process may; programs that it starts still get the old one.
    public static func raise() {
        var limit = rlimit()
        guard getrlimit(resource, &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
        before.store(UInt64(limit.rlim_cur), ordering: .relaxed)
        limit.rlim_cur = limit.rlim_max
        setrlimit(resource, &limit)
    }

    /// Does something with the limit as it was: a child inherits it.
    static func withOriginal<Result>(_ body: () -> Result) -> Result {
        let original = original
        var limit = rlimit()
        guard original > 0, getrlimit(resource, &limit) == 0 else { return body() }
        let raised = limit.rlim_cur
        limit.rlim_cur = rlim_t(original)
        setrlimit(resource, &limit)
        defer {
            limit.rlim_cur = raised
            setrlimit(resource, &limit)
        }
        return body()
    }
}
