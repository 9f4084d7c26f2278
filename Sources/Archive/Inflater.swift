// gzip through ISA-L, streaming: 4 to 7 times the speed of zlib.
//
// RFC 1952 lets a file be several members, one behind the other, and tools pad with zeros behind the last: both are
// read. Anything else behind a member is an error, and so is an end inside one.

import CISAL
import Platform

/// The bytes of a gzip stream, inflated.
package final class GzipStream: ByteStream {
    private let source: any ByteStream
    private let state: UnsafeMutablePointer<inflate_state>
    private let output: UnsafeMutableRawBufferPointer
    private var input = UnsafeRawBufferPointer(start: nil, count: 0)
    /// Bytes that ISA-L had taken into its bit buffer beyond a member's end; `pending` is what follows them.
    private let leftover: UnsafeMutableRawBufferPointer
    private var pending = UnsafeRawBufferPointer(start: nil, count: 0)
    private var position = Position.betweenMembers

    private enum Position { case betweenMembers, inMember, ended }

    /// A stream that inflates `source`, which must begin with a gzip member.
    package init(_ source: any ByteStream) {
        self.source = source
        state = .allocate(capacity: 1)
        state.initialize(to: inflate_state())
        output = .allocate(byteCount: 256 << 10, alignment: 64)
        leftover = .allocate(byteCount: 8, alignment: 8)
    }

    deinit {
        state.deallocate()
        output.deallocate()
        leftover.deallocate()
    }

    package func next() throws -> UnsafeRawBufferPointer {
        do { return try inflateSome() } catch {
            position = .ended
            throw error
        }
    }

    private func inflateSome() throws -> UnsafeRawBufferPointer {
        while position != .ended {
            if position == .betweenMembers {
                guard try beginMember() else {
                    position = .ended
                    break
                }
            }
            state.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
            state.pointee.avail_out = UInt32(output.count)
            while state.pointee.avail_out > 0, position == .inMember {
                if state.pointee.avail_in == 0 { try refill() }
                // Without input ISA-L may still have output to give; when it has none, the data ended too early.
                let noInput = state.pointee.avail_in == 0
                let room = state.pointee.avail_out
                try step()
                guard !noInput || position == .betweenMembers || state.pointee.avail_out < room else {
                    throw ArchiveError("gzip data is cut short")
                }
            }
            let count = output.count - Int(state.pointee.avail_out)
            if count > 0 { return UnsafeRawBufferPointer(rebasing: output[..<count]) }
        }
        return UnsafeRawBufferPointer(start: nil, count: 0)
    }

    private func step() throws {
        let code = isal_inflate(state)
        guard code == ISAL_DECOMP_OK else {
            throw ArchiveError(
                code == ISAL_INCORRECT_CHECKSUM ? "gzip data has a wrong checksum" : "gzip data is damaged")
        }
        guard state.pointee.block_state == ISAL_BLOCK_FINISH else { return }
        let rest = UnsafeRawBufferPointer(start: state.pointee.next_in, count: Int(state.pointee.avail_in))
        // Whole bytes still in the bit buffer come before those.
        let held = max(0, Int(state.pointee.read_in_length)) / 8
        if held == 0 {
            input = rest
        } else {
            let bits = state.pointee.read_in >> UInt64(state.pointee.read_in_length % 8)
            for index in 0..<held { leftover[index] = UInt8(truncatingIfNeeded: bits >> UInt64(8 * index)) }
            input = UnsafeRawBufferPointer(rebasing: leftover[..<held])
            pending = rest
        }
        position = .betweenMembers
    }

    /// Skips padding and prepares for a member.
    ///
    /// - Returns: false at the end of the data.
    private func beginMember() throws -> Bool {
        while true {
            let zeros = input.prefix { $0 == 0 }.count
            input = UnsafeRawBufferPointer(rebasing: input[zeros...])
            if !input.isEmpty { break }
            try fetch()
            if input.isEmpty { return false }
        }
        guard input[0] == 0x1f else {
            throw ArchiveError("there is something that isn't gzip behind the gzip data")
        }
        isal_inflate_init(state)
        state.pointee.crc_flag = UInt32(ISAL_GZIP)
        give(input)
        position = .inMember
        return true
    }

    private func refill() throws {
        try fetch()
        give(input)
    }

    /// Makes the next bytes of the source `input`.
    private func fetch() throws {
        if pending.isEmpty {
            input = try source.next()
        } else {
            input = pending
            pending = UnsafeRawBufferPointer(start: nil, count: 0)
        }
    }

    private func give(_ bytes: UnsafeRawBufferPointer) {
        state.pointee.next_in = UnsafeMutablePointer(
            mutating: bytes.baseAddress?.assumingMemoryBound(to: UInt8.self))
        state.pointee.avail_in = UInt32(bytes.count)
    }
}
