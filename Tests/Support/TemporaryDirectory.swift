import Glibc
import Platform

/// A directory of a test's own, gone with the value.
public final class TemporaryDirectory: Sendable {
    /// Its path, without symbolic links in it.
    public let path: String

    /// Creates it.
    public init() throws {
        let base = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        path = "\(base)/ducc-test-\(RandomIdentifier.hex(8))"
        try Files.makeDirectories(path, mode: 0o755)
    }

    deinit { try? Files.removeTree(path) }

    /// The path of something in it.
    public func file(_ name: String) -> String { "\(path)/\(name)" }

    /// Writes a file in it.
    public func write(_ text: String, to name: String, mode: mode_t = 0o644) throws {
        try Files.replace(file(name), with: Array(text.utf8), mode: mode, sync: false)
    }

    /// A file's text; nothing where it isn't there.
    public func text(of name: String) -> String {
        (try? Files.read(file(name), limit: 1 << 30)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    /// A file's lines, without their ends.
    public func lines(of name: String) -> [String] {
        text(of: name).split(separator: "\n", omittingEmptySubsequences: true).map(String.init)
    }

    /// Appends text to a file in one write, as another program would.
    public func append(_ text: String, to name: String) throws {
        let file = try OwnedDescriptor(opening: file(name), O_WRONLY | O_APPEND | O_CREAT, mode: 0o644)
        var text = text
        let written = text.withUTF8 { writeOnce(file.raw, $0) }
        guard written == text.utf8.count else { throw SystemError("append to", name) }
    }

    private func writeOnce(_ descriptor: CInt, _ bytes: UnsafeBufferPointer<UInt8>) -> Int {
        Glibc.write(descriptor, bytes.baseAddress, bytes.count)
    }
}
