// A pipeline of two: a thread of its own reads a stream ahead of whoever uses its bytes, as far as the buffers go. What
// makes the bytes (a transfer, its hash, an inflater) then works at the same time as what becomes of them.

import Glibc

/// A stream that can write its bytes where somebody else wants them, so that they need not be copied.
public protocol FillingStream: ByteStream {
    /// Writes the next bytes.
    ///
    /// - Returns: how many; 0 at the end, and from then on.
    /// - Throws: as `next`.
    func fill(_ buffer: UnsafeMutableRawBufferPointer) throws -> Int
}

/// A stream whose source is read ahead, once it has filled a chunk: a short stream needs no thread.
///
/// The source is the other thread's until this stream has ended, thrown or been stopped; where it is let go of before,
/// the other thread gives it up as soon as the source lets it.
public final class ReadAheadStream: ByteStream {
    /// How many chunks are ahead at the most, the one that is lent included: 4 MiB, which keep the other side of a
    /// connection from waiting for us.
    private static let depth = 16
    private static let chunkSize = 256 << 10

    private let reader: Reader
    private var thread: RunningThread?
    private var lent: UnsafeMutableRawBufferPointer?
    /// Whether the last chunk was a full one: there is more, most likely.
    private var isLong = false

    /// A stream that reads `source` ahead.
    public init(_ source: any ByteStream) { reader = Reader(source) }

    deinit {
        // The source may keep its thread waiting for long: it ends on its own, and takes the source along.
        reader.cancel()
        thread?.detach()
    }

    /// The next bytes that were read ahead, once there are any.
    ///
    /// - Throws: the source's error, behind the bytes before it.
    public func next() throws -> UnsafeRawBufferPointer {
        if let lent { reader.giveBack(lent) }
        lent = nil
        if thread == nil, !reader.hasEnded {
            // Where the system has no more threads this one does the work.
            if isLong { thread = try? Threads.start { [reader] in while reader.readChunk() {} } }
            if thread == nil { _ = reader.readChunk() }
        }
        do {
            guard let chunk = try reader.take() else {
                stop()
                return UnsafeRawBufferPointer(start: nil, count: 0)
            }
            lent = chunk.buffer
            isLong = chunk.count == Self.chunkSize
            return UnsafeRawBufferPointer(rebasing: chunk.buffer[..<chunk.count])
        } catch {
            stop()
            throw error
        }
    }

    /// Asks the reading ahead to end, without waiting for it: for a chain of streams, before the first is stopped.
    public func cancel() { reader.cancel() }

    /// Ends the reading ahead: the stream is at its end, and the source the caller's again.
    ///
    /// - Returns: the source's error, where it had one that `next` has not thrown.
    @discardableResult
    public func stop() -> (any Error)? {
        reader.cancel()
        thread?.join()
        thread = nil
        return reader.takeFailure()
    }

    /// Reads the source and hands over filled buffers for empty ones.
    private final class Reader: @unchecked Sendable {
        typealias Chunk = (buffer: UnsafeMutableRawBufferPointer, count: Int)

        private enum Turn { case fill(UnsafeMutableRawBufferPointer), stop }

        private struct State {
            var empty: [UnsafeMutableRawBufferPointer] = []
            var filled: [Chunk] = []
            var hasEnded = false
            var failure: (any Error)?
        }

        private let state = Monitor(State())
        // What is below belongs to the thread that reads.
        private let source: any ByteStream
        private var buffers: [UnsafeMutableRawBufferPointer] = []
        /// What the source lent and no buffer had room for.
        private var rest = UnsafeRawBufferPointer(start: nil, count: 0)
        /// Why the source ended, as long as there are bytes before it.
        private var failure: (any Error)?

        init(_ source: any ByteStream) { self.source = source }

        deinit { for buffer in buffers { buffer.deallocate() } }

        /// Reads a chunk, once there is a buffer for it.
        ///
        /// - Returns: whether there may be more.
        func readChunk() -> Bool {
            if buffers.count < ReadAheadStream.depth {
                buffers.append(.allocate(byteCount: ReadAheadStream.chunkSize, alignment: 64))
                giveBack(buffers[buffers.count - 1])
            }
            let turn = state.wait { state -> Turn? in
                if state.hasEnded { return .stop }
                return state.empty.popLast().map { .fill($0) }
            }
            guard case .fill(let buffer) = turn else { return false }
            do {
                let count = try fill(buffer)
                state.change { state in
                    if count == 0 { state.hasEnded = true }
                    // Stopped meanwhile: nobody wants it any more.
                    if !state.hasEnded { state.filled.append((buffer, count)) }
                }
                return count > 0
            } catch {
                state.change { state in
                    if state.failure == nil { state.failure = error }
                    state.hasEnded = true
                }
                return false
            }
        }

        private func fill(_ buffer: UnsafeMutableRawBufferPointer) throws -> Int {
            if let source = source as? any FillingStream { return try source.fill(buffer) }
            if let failure { throw failure }
            var count = 0
            while count < buffer.count, count == 0 || !hasEnded {
                do { if rest.isEmpty { rest = try source.next() } } catch {
                    if count == 0 { throw error }
                    failure = error
                }
                if rest.isEmpty { break }
                let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(buffer.count - count))
                buffer[count...].copyBytes(from: piece)
                count += piece.count
                rest = UnsafeRawBufferPointer(rebasing: rest[piece.count...])
            }
            return count
        }

        /// The oldest chunk that was read; nil at the end.
        ///
        /// - Throws: the source's error, behind the last chunk.
        func take() throws -> Chunk? {
            let taken = state.wait { state -> Result<Chunk?, any Error>? in
                if !state.filled.isEmpty { return .success(state.filled.removeFirst()) }
                guard state.hasEnded else { return nil }
                defer { state.failure = nil }
                return state.failure.map { .failure($0) } ?? .success(nil)
            }
            return try taken.get()
        }

        func giveBack(_ buffer: UnsafeMutableRawBufferPointer) {
            state.change { $0.empty.append(buffer) }
        }

        /// Whether nothing more will be read.
        var hasEnded: Bool { state.wait { $0.hasEnded } }

        func cancel() {
            state.change { state in
                state.filled = []
                state.hasEnded = true
            }
        }

        func takeFailure() -> (any Error)? {
            state.wait { state in
                defer { state.failure = nil }
                return .some(state.failure)
            }
        }
    }
}
