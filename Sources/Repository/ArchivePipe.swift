// The archive on its way to a server that reads it from a pipe.
//
// Where this process is killed the pipe ends, and a server that sees it end between two entries takes what came so far
// for a whole archive and publishes it. So the pipe never ends there: everything is written in pieces that the kernel
// takes whole or not at all (PIPE_BUF), and no piece but the last ends at a multiple of tar's blocks. An archive that is
// cut is one that the server refuses.

import Archive
import CLinux
import Glibc
import Platform

/// Writes an archive into a pipe.
final class ArchivePipe: ByteSink {
    private static let blockSize = 512
    /// PIPE_BUF on Linux (pipe(7)).
    private static let atomicSize = 4096
    /// How much waits to be written.
    private static let capacity = 1 << 20

    private let pipe: SharedDescriptor
    private let reader: CInt
    private var waiting: [UInt8] = []
    /// How much was written.
    private var count: Int64 = 0
    /// Called again and again until it returns true.
    private let watch: () -> Bool
    private var isWatched = false

    /// - Parameters:
    ///   - pipe: the end to write to.
    ///   - reader: a descriptor that is readable once whoever reads is gone.
    ///   - watch: called again and again, as long as it returns false and the reader is there.
    init(_ pipe: SharedDescriptor, reader: CInt, watch: @escaping () -> Bool) {
        self.pipe = pipe
        self.reader = reader
        self.watch = watch
        waiting.reserveCapacity(Self.capacity + Self.atomicSize)
        _ = fcntl(pipe.raw, F_SETFL, O_NONBLOCK)
        _ = fcntl(pipe.raw, CInt(ducc_F_SETPIPE_SZ), 1 << 20)
    }

    /// - Throws: `Interrupted`; `SystemError` where nobody reads any more.
    func write(_ bytes: UnsafeRawBufferPointer) throws {
        waiting.append(contentsOf: bytes)
        if waiting.count >= Self.capacity { try flush(isLast: false) }
    }

    /// Writes what is left, the archive's end, as one piece.
    ///
    /// - Throws: as `write`.
    func finish() throws { try flush(isLast: true) }

    private func look() { if !isWatched { isWatched = watch() } }

    private func flush(isLast: Bool) throws {
        var begin = 0
        defer { waiting.removeFirst(begin) }
        try waiting.withUnsafeBytes { waiting in
            look()
            while let size = sizeOfNext(waiting.count - begin, isLast: isLast) {
                try put(UnsafeRawBufferPointer(rebasing: waiting[begin..<begin + size]))
                begin += size
                count += Int64(size)
            }
        }
    }

    /// How long the next piece is; nil where what is left has to wait.
    private func sizeOfNext(_ left: Int, isLast: Bool) -> Int? {
        if isLast, left <= Self.atomicSize { return left > 0 ? left : nil }
        // One byte at least stays, for the end.
        var size = min(left - 1, Self.atomicSize)
        if (count + Int64(size)) % Int64(Self.blockSize) == 0 { size -= 1 }
        return size > 0 ? size : nil
    }

    private func put(_ piece: UnsafeRawBufferPointer) throws {
        while true {
            try Interruption.check()
            let written = retrying { Glibc.write(pipe.raw, piece.baseAddress, piece.count) }
            if written == piece.count { return }
            guard written < 0, errno == EAGAIN else { throw SystemError("give an archive to cvmfs_server") }
            var descriptors = [
                pollfd(fd: pipe.raw, events: Int16(POLLOUT), revents: 0),
                pollfd(fd: reader, events: Int16(POLLIN), revents: 0),
                pollfd(fd: Interruption.descriptor, events: Int16(POLLIN), revents: 0),
            ]
            poll(&descriptors, nfds_t(descriptors.count), isWatched ? -1 : ServerCommand.pause)
            look()
            // It may have left children behind that have the pipe open and will never read.
            if descriptors[1].revents != 0 {
                throw SystemError("give an archive to cvmfs_server", code: EPIPE)
            }
        }
    }
}
