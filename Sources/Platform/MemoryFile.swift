import CLinux
import Glibc

extension Files {
    /// A file without a name that holds these bytes, to be read from its beginning: input that waits for nobody. A
    /// program may read it, or not, or leave early.
    ///
    /// - Throws: `SystemError`.
    public static func memoryFile(with bytes: [UInt8]) throws(SystemError) -> OwnedDescriptor {
        let raw = ducc_memory_file("input")
        guard raw >= 0 else { throw SystemError("make a file in memory") }
        let file = OwnedDescriptor(raw: raw)
        try writeAll(bytes, to: file.raw, path: "a file in memory")
        lseek(file.raw, 0, SEEK_SET)
        return file
    }
}
