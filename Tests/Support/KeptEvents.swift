// The notification files of all tests, kept until their end: `make test` has every line that any of them emitted
// validated against the schema (`Tests/validate-events`).

import Glibc
import Platform

/// Keeps notification files when a test's directory goes.
enum KeptEvents {
    /// Where they are kept; nil where nobody wants them.
    private static let directory = ProcessEnvironment.current["DUCC_TEST_EVENTS"]

    /// Keeps the files of a directory and its subdirectories that begin as an event does, or end as one.
    static func keep(from directory: String, depth: Int = 3) {
        guard let kept = Self.directory, let names = try? DirectoryEntry.names(in: directory) else { return }
        for name in names {
            let path = "\(directory)/\(name)"
            var information = stat()
            guard lstat(path, &information) == 0 else { continue }
            switch information.st_mode & S_IFMT {
            case S_IFDIR where depth > 0: keep(from: path, depth: depth - 1)
            case S_IFREG where holdsEvents(path, size: Int(information.st_size)):
                let place = "\(kept)/\(RandomIdentifier.hex(8))"
                // Another file system can't share it.
                if link(path, place) != 0 { _ = try? run("cp", [path, place]) }
            default: break
            }
        }
    }

    private static func holdsEvents(_ path: String, size: Int) -> Bool {
        guard size > 100, let file = try? OwnedDescriptor(opening: path, O_RDONLY | O_NONBLOCK) else {
            return false
        }
        var first = [UInt8](repeating: 0, count: 9)
        var last = [UInt8](repeating: 0, count: 45)
        guard pread(file.raw, &first, first.count, 0) == first.count,
            pread(file.raw, &last, last.count, off_t(size - last.count)) == last.count
        else { return false }
        return first == Array("{\"time\":\"".utf8) || last.starts(with: Array(",\"check\":\"".utf8))
    }
}
