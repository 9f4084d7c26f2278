import CLinux
import Glibc

/// A pipe whose ends no other program inherits.
public struct Pipe: Sendable {
    /// The end that is read.
    public let reading: SharedDescriptor
    /// The end that is written.
    public let writing: SharedDescriptor

    /// Makes a pipe.
    ///
    /// - Throws: `SystemError`.
    public init() throws(SystemError) {
        var ends: [CInt] = [0, 0]
        guard ducc_pipe(&ends) == 0 else { throw SystemError("make a pipe") }
        reading = SharedDescriptor(OwnedDescriptor(raw: ends[0]))
        writing = SharedDescriptor(OwnedDescriptor(raw: ends[1]))
    }
}
