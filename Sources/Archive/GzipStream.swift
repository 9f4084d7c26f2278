// gzip through ISA-L, streaming: 4 to 7 times the speed of zlib.
//
// RFC 1952 lets a file be several members, one behind the other, and tools pad with zeros behind the last: both are
// read. Anything else behind a member is an error, and so is an end inside one; what comes before it is given out first.
//
// A member's header is read here and not by ISA-L: its reader (2.30) forgets the header's flags where the header
// comes in two pieces, and then takes the data for something else.

import CISAL
import Platform

/// The bytes of a gzip stream, inflated.
package final class GzipStream: FillingStream {
    private let source: any ByteStream
    private let state: UnsafeMutablePointer<inflate_state>
    /// What `next` lends.
    private lazy var output = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 64)
    private var hasOutput = false
    private var input = UnsafeRawBufferPointer(start: nil, count: 0)
    private var position = Position.betweenMembers
    /// What went wrong behind what was given out last.
    private var failure: (any Error)?

    private enum Position { case betweenMembers, inMember, ended }

    /// A stream that inflates `source`, which must begin with a gzip member.
    package init(_ source: any ByteStream) {
        self.source = source
        state = .allocate(capacity: 1)
        state.initialize(to: inflate_state())
    }

    deinit {
        state.deallocate()
        if hasOutput { output.deallocate() }
    }

    package func next() throws -> UnsafeRawBufferPointer {
        hasOutput = true
        return UnsafeRawBufferPointer(rebasing: output[..<(try fill(output))])
    }

    package func fill(_ output: UnsafeMutableRawBufferPointer) throws -> Int {
        do {
            if let failure { throw failure }
            return try inflate(into: output)
        } catch {
            position = .ended
            failure = nil
            throw error
        }
    }

    private func inflate(into output: UnsafeMutableRawBufferPointer) throws -> Int {
        while position != .ended {
            if position == .betweenMembers {
                guard try beginMember() else {
                    position = .ended
                    break
                }
            }
            state.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
            state.pointee.avail_out = UInt32(output.count)
            do {
                while state.pointee.avail_out > 0, position == .inMember { try step() }
            } catch {
                guard state.pointee.avail_out < output.count else { throw error }
                failure = error
            }
            let count = output.count - Int(state.pointee.avail_out)
            if count > 0 { return count }
        }
        return 0
    }

    private func step() throws {
        if state.pointee.avail_in == 0 { try refill() }
        // Without input ISA-L may still have output to give; when it has none, the data ended too early.
        let noInput = state.pointee.avail_in == 0
        let room = state.pointee.avail_out
        let code = isal_inflate(state)
        guard code == ISAL_DECOMP_OK else {
            throw ArchiveError(
                code == ISAL_INCORRECT_CHECKSUM ? "gzip data has a wrong checksum" : "gzip data is damaged")
        }
        guard state.pointee.block_state == ISAL_BLOCK_FINISH else {
            if noInput, state.pointee.avail_out == room { throw ArchiveError("gzip data is cut short") }
            return
        }
        // The trailer is as long as the bit buffer, so nothing of what follows it is ever held back there.
        input = UnsafeRawBufferPointer(start: state.pointee.next_in, count: Int(state.pointee.avail_in))
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
            input = try source.next()
            if input.isEmpty { return false }
        }
        var header = GzipHeader()
        var used = 0
        while !header.isComplete {
            if used == input.count {
                input = try source.next()
                used = 0
                if input.isEmpty { throw ArchiveError("gzip data is cut short") }
            }
            guard header.take(input[used]) else {
                throw ArchiveError("there is something that isn't gzip behind the gzip data")
            }
            used += 1
        }
        isal_inflate_init(state)
        state.pointee.crc_flag = UInt32(ISAL_GZIP_NO_HDR_VER)
        input = UnsafeRawBufferPointer(rebasing: input[used...])
        give(input)
        position = .inMember
        return true
    }

    private func refill() throws {
        input = try source.next()
        give(input)
    }

    private func give(_ bytes: UnsafeRawBufferPointer) {
        state.pointee.next_in = UnsafeMutablePointer(
            mutating: bytes.baseAddress?.assumingMemoryBound(to: UInt8.self))
        state.pointee.avail_in = UInt32(bytes.count)
    }
}

/// A member's header (RFC 1952, section 2.3), taken a byte at a time.
struct GzipHeader {
    private enum Part { case fixed, extraLength, extra, name, comment, checksum, complete }

    private static let hasChecksum: UInt8 = 2
    private static let hasExtra: UInt8 = 4
    private static let hasName: UInt8 = 8
    private static let hasComment: UInt8 = 16

    private var part = Part.fixed
    private var flags: UInt8 = 0
    /// How many bytes of the part were taken.
    private var taken = 0
    private var extraLength = 0

    var isComplete: Bool { part == .complete }

    /// Takes the next byte.
    ///
    /// - Returns: false where it can't be a header's.
    mutating func take(_ byte: UInt8) -> Bool {
        taken += 1
        switch part {
        case .fixed:
            switch taken {
            case 1: return byte == 0x1f
            case 2: return byte == 0x8b
            case 3: return byte == 8  // deflate, the only method there is
            case 4:
                flags = byte
                return byte & 0xe0 == 0
            case 10: advance()
            default: break
            }
        case .extraLength:
            extraLength |= Int(byte) << (taken == 1 ? 0 : 8)
            if taken == 2 { advance() }
        case .extra: if taken == extraLength { advance() }
        case .name, .comment: if byte == 0 { advance() }
        case .checksum: if taken == 2 { advance() }
        case .complete: return false
        }
        return true
    }

    /// Goes to the next part that the flags announce.
    private mutating func advance() {
        taken = 0
        switch part {
        case .fixed where flags & Self.hasExtra != 0: part = .extraLength
        case .extraLength where extraLength > 0: part = .extra
        case .fixed, .extraLength, .extra:
            if flags & Self.hasName != 0 { part = .name } else { advancePastName() }
        case .name: advancePastName()
        case .comment: part = flags & Self.hasChecksum != 0 ? .checksum : .complete
        case .checksum, .complete: part = .complete
        }
    }

    private mutating func advancePastName() {
        if flags & Self.hasComment != 0 {
            part = .comment
        } else {
            part = flags & Self.hasChecksum != 0 ? .checksum : .complete
        }
    }
}
