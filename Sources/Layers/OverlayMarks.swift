// How a layer says that a lower layer's name is gone, in the form that overlayfs reads: a character device 0:0 in its
// place, and an attribute on a directory whose lower namesakes don't show (Linux, Documentation/filesystems/overlayfs).
//
// Where the file system has neither, the archive's own `.wh.` files stay: fuse-overlayfs reads them, and so does
// `LayerTree`, which also makes the layers of the original DUCC readable.

import CLinux
import Glibc
import Platform

/// The marks this process can make.
struct OverlayMarks: Sendable {
    /// The attributes of an opaque directory: `trusted.` needs root outside of any user namespace; overlayfs mounted
    /// with `userxattr` reads `user.`.
    static let opaqueAttributes = ["trusted.overlay.opaque", "user.overlay.opaque"]

    /// The names of an open file's extended attributes but for those marks, each a C string.
    ///
    /// - Throws: `SystemError`.
    static func otherAttributes(of descriptor: CInt) throws(SystemError) -> [[CChar]] {
        let size = flistxattr(descriptor, nil, 0)
        guard size > 0 else { return [] }
        var list = [CChar](repeating: 0, count: size)
        let length = flistxattr(descriptor, &list, size)
        guard length >= 0 else { throw SystemError("list extended attributes") }
        return list[..<length].split(separator: 0).map { Array($0) + [0] }
            .filter { !opaqueAttributes.contains(String(decodingCString: $0)) }
    }

    /// Marks a directory as hiding everything that lower layers have in it, for root's overlay mounts and for those of
    /// users: an engine without root reads the other attribute.
    ///
    /// - Returns: whether root's overlay mounts see it.
    /// - Throws: `SystemError`.
    @discardableResult
    func markOpaque(_ path: [CChar], at directory: CInt) throws(SystemError) -> Bool {
        let descriptor = try OwnedDescriptor(
            opening: path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: directory)
        var set: [String] = []
        for attribute in Self.opaqueAttributes {
            if fsetxattr(descriptor.raw, attribute, "y", 1, 0) == 0 {
                set.append(attribute)
                continue
            }
            guard errno == ENOTSUP || errno == EPERM else {
                throw SystemError("mark as opaque", String(decodingCString: path))
            }
        }
        if set.isEmpty { try makeEmptyFile(Self.cString(Whiteout.opaqueName), at: descriptor.raw) }
        return set.first == Self.opaqueAttributes.first
    }

    /// Hides a lower layer's name.
    ///
    /// - Throws: `SystemError`.
    func makeWhiteout(_ name: [UInt8], at parent: CInt) throws(SystemError) {
        if mknodat(parent, Self.cString(name), S_IFCHR, 0) == 0 { return }
        guard errno == EPERM || errno == EOPNOTSUPP || errno == EINVAL else {
            throw SystemError("hide", String(decoding: name, as: UTF8.self))
        }
        try makeEmptyFile(Self.cString(Whiteout.prefix + name), at: parent)
    }

    private func makeEmptyFile(_ name: [CChar], at parent: CInt) throws(SystemError) {
        let descriptor = openat(parent, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw SystemError("create", String(decodingCString: name)) }
        close(descriptor)
    }

    static func cString(_ name: [UInt8]) -> [CChar] { name.map { CChar(bitPattern: $0) } + [0] }
}
