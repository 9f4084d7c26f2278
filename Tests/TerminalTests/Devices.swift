// What the tests write to.

import Glibc
import Platform
import Support
import Terminal

/// A file in a terminal's place.
final class LogFile {
    private let descriptor: OwnedDescriptor
    let device: TerminalDevice

    init(_ path: String) throws {
        descriptor = try OwnedDescriptor(opening: path, O_WRONLY | O_CREAT | O_APPEND, mode: 0o600)
        device = TerminalDevice(descriptor: descriptor.raw)
    }
}

extension PseudoTerminal {
    var device: TerminalDevice { TerminalDevice(descriptor: descriptor) }
}
